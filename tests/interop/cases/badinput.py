"""What bad input gets: an error that names the culprit and the way out, and nothing half-made left behind."""

import os
import re
import signal
import time

from rig import shell
from rig.case import Pair, case
from rig.lab import SUBNET
from rig.shell import check, wait_until
from rig.tunnel import TunnelSpec

ONLY = ("culvert",)


def refused(pair, words, seconds=5):
    """Starts our daemon, which must end by itself with an error that has all the words."""
    pair.sut.launch()
    wait_until(lambda: pair.sut.process.poll() is not None, seconds, f"culvertd refuses; it says: {pair.sut.log()[-300:]}")
    code, text = pair.sut.process.returncode, pair.sut.log()
    check(0 < code < 128, f"culvertd ended with status {code}: {text[-300:]}")
    for word in words:
        check(re.search(word, text, re.I), f"'{word}' is missing in: {text[-600:]}")
    os.unlink(pair.sut.dir + "/log")


def untouched(pair, before):
    now = network(pair)
    check(now == before, f"left behind in the namespace: {sorted(now - before)}, gone: {sorted(before - now)}")


def network(pair):
    """The links, addresses and routes of our end."""
    return {line.strip() for what in (("-o", "link"), ("-o", "addr"), ("route", "show", "table", "all"),
                                      ("-6", "route", "show", "table", "all"), ("rule",))
            for line in re.sub(r"(expires|valid_lft|preferred_lft) \w+", "", pair.lab.ip(pair.sut.side, *what)).splitlines()}


def well(pair):
    pair.sut.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()


BROKEN = {
    "unknown-key": (lambda t: t + "peeer = \"192.0.2.9\"\n", [r"culvert\.toml:\d+", "peeer"]),
    "bad-address": (lambda t: t.replace('"192.0.2.2"', '"192.0.2.999"'), [r"culvert\.toml:\d+", "peer"]),
    "syntax": (lambda t: t + "local = [\n", [r"culvert\.toml:\d+"]),
    "no-secret": (lambda t: re.sub(r"secret = .*\n", "", t), [r"culvert\.toml", "secret"]),
    "bad-suite": (lambda t: t.replace('"aes256gcm16"]', '"aes999"]'), [r"culvert\.toml:\d+", "esp", "aes999"]),
    "overlap": (lambda t: t + '\n[tunnel.second]\npeer = "192.0.2.7"\nsecret = "also a long secret"\nlocal = ["10.1.0.0/16"]\n'
                              'remote = ["10.2.3.0/24"]\n', [r"culvert\.toml:\d+", "second", "overlap"]),
}


@case("bad-config", "a wrong key, address, suite, syntax, a missing secret, an overlapping network: file, line and field are named",
      only=ONLY)
def bad_config(setup):
    pair = setup.pair(launch=False)
    pair.peer.start()
    before = network(pair)
    pair.sut.write_config()
    with open(pair.sut.config, encoding="utf-8") as f:
        good = f.read()
    for name, (spoil, words) in BROKEN.items():
        bad = spoil(good)
        check(bad != good, f"{name} spoils nothing")
        with open(pair.sut.config, "w", encoding="utf-8") as f:
            f.write(bad)
        try:
            refused(pair, words)
            untouched(pair, before)
            pair.lab.exec("a", f"{pair.sut.binaries}/culvert", "check", pair.sut.config, ok=range(1, 127))
        except shell.Failed as reason:
            raise shell.Failed(f"{name}: {reason}") from None
    well(pair)


@case("bad-apply", "a running daemon refuses a bad file and goes on as before", only=ONLY)
def bad_apply(setup):
    pair = setup.pair()
    pair.sut.up()
    pair.wait_up()
    with open(pair.sut.config, "a", encoding="utf-8") as f:
        f.write("colour = \"blue\"\n")
    text = ""
    try:
        pair.sut.command("apply")
    except shell.Failed as reason:
        text = str(reason)
    # The beginning of what a command said is left out when it is long.
    check(re.search(r"\.toml:\d+", text) and "colour" in text, f"apply says: {text}")
    pair.sut.process.send_signal(signal.SIGHUP)
    # Each try is in the log, for whoever wonders later why the old configuration is in force.
    wait_until(lambda: len(re.findall(r"\.toml:\d+:\d+: .*colour", pair.sut.log())) == 2, 5, "the log tells of both refusals")
    pair.prove()


@case("port-used", "port 500 is taken: the error names the port, nothing is left behind", only=ONLY)
def port_used(setup):
    pair = setup.pair(launch=False)
    pair.peer.start()
    before = network(pair)
    hog = pair.lab.spawn("a", "python3", "-c", "import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                                               "s.bind(('0.0.0.0', 500))\nprint('bound', flush=True)\ntime.sleep(60)",
                         output=pair.lab.path("hog"))
    wait_until(lambda: os.path.getsize(pair.lab.path("hog")), 5, "the port is taken")
    pair.sut.write_config()
    refused(pair, ["500"])
    untouched(pair, before)
    shell.end(hog)
    well(pair)


@case("no-tun", "there is no /dev/net/tun: the error says so and what to do", only=ONLY)
def no_tun(setup):
    pair = setup.pair(launch=False)
    pair.peer.start()
    before = network(pair)
    pair.sut.write_config()
    real = pair.sut.launch
    pair.sut.launch = lambda: start_in(pair, "mount -t tmpfs tmpfs /dev/net")
    refused(pair, ["/dev/net/tun"])
    untouched(pair, before)
    pair.sut.launch = real
    well(pair)


@case("not-root", "not root: the error says so and what to do", only=ONLY)
def not_root(setup):
    pair = setup.pair(launch=False)
    pair.peer.start()
    before = network(pair)
    pair.sut.write_config()
    os.chmod(pair.lab.dir, 0o711)
    os.chmod(pair.sut.dir, 0o777)
    real = pair.sut.launch
    pair.sut.launch = lambda: start_in(pair, "true", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    refused(pair, ["must run as root", "sudo"])
    untouched(pair, before)
    pair.sut.launch = real
    well(pair)


def start_in(pair, preparation, *prefix):
    """Our daemon after a command in its private mount namespace, under a prefix."""
    sut = pair.sut
    sut.process = pair.lab.spawn(sut.side, "sh", "-c", preparation + ' && exec "$@"', "sh", *prefix, f"{sut.binaries}/culvertd",
                                 "--config", sut.config, "--socket", sut.socket, output=sut.dir + "/log")


@case("unreachable-peer", "one peer is unreachable, one silent: each is named, and the tunnel to a third works all the while", only=ONLY,
      seconds=90)
def unreachable(setup):
    pair = setup.pair(launch=False)
    good = pair.sut.tunnels[0]
    silent = TunnelSpec(good.local, "192.0.2.77", (SUBNET["a"][4],), ("10.77.0.0/16",), name="silent")
    nowhere = TunnelSpec(good.local, "198.51.100.1", (SUBNET["a"][4],), ("10.78.0.0/16",), name="nowhere")
    pair.sut.tunnels = [good, silent, nowhere]
    pair.start()
    pair.lab.ip("a", "route", "add", "unreachable", "198.51.100.0/24")
    pair.sut.up()
    pair.wait_up()
    for spec, word in ((silent, "not answered"), (nowhere, "no route")):
        began = time.monotonic()
        text = ""
        try:
            pair.sut.command("up", spec.name, "--wait", "4")
        except shell.Failed as reason:
            text = str(reason)
        except shell.subprocess.TimeoutExpired:
            raise shell.Failed(f"`culvert up {spec.name}` says nothing for 30 s") from None
        check(spec.remote in text and word in text, f"`culvert up {spec.name}` says: {text}")
        setup.note(f"up {spec.name}: refused after {time.monotonic() - began:.1f} s")
        check(not pair.sut.state(spec.name).children, "a child SA with nobody")
    pair.prove()


@case("second-tunnel-wrong-secret", "two tunnels to one strongSwan, one with a wrong secret: the other does not notice", only=ONLY)
def second_tunnel(setup):
    pair = setup.pair(launch=False)
    good_a, good_b = pair.sut.tunnels[0], pair.peer.tunnels[0]
    other = {"name": "other", "local_id": "carol.example", "secret": "the right one of the other"}
    pair.sut.tunnels = [good_a, good_a.but(**{**other, "secret": "the wrong one"}, remote_ts=("10.3.0.0/16",))]
    pair.peer.tunnels = [good_b, good_b.but(name="other", remote_id="carol.example", secret=other["secret"], local_ts=("10.3.0.0/16",))]
    pair.start()
    pair.sut.up()
    pair.wait_up()
    text = ""
    try:
        pair.sut.up("other")
    except shell.Failed as reason:
        text = str(reason)
    check(re.search("secret|AUTHENTICATION_FAILED", text), f"`culvert up other` says: {text}")
    check(not pair.sut.state("other").ike and not pair.sut.state("other").children, "something is left of the tunnel that failed")
    pair.prove()


@case("garbage", "malformed datagrams to both ports are dropped and counted; the tunnel goes on", only=ONLY)
def garbage(setup):
    pair = setup.pair()
    pair.sut.up()
    pair.wait_up()
    before = pair.sut.status()
    pair.lab.exec("b", "python3", "-c", """
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for size in (0, 1, 3, 4, 8, 27, 28, 29, 100, 1400):
    for port in (500, 4500):
        for head in (b'', bytes(4), bytes(8), bytes(4) + b'\\x20' * 28, b'\\x21\\x20\\x22\\x08' * 7):
            s.sendto((head + os.urandom(size))[:1400], ('192.0.2.1', port))
""")
    time.sleep(0.5)
    after = pair.sut.status()
    dropped = sum(sum(after[k].values()) - sum(before[k].values()) for k in ("ike_drops", "packet_drops"))
    # A single octet may happen to be 0xff, a keepalive, which is counted as one.
    check(dropped == 100, f"100 malformed datagrams, {dropped} counted: {after['ike_drops']} {after['packet_drops']}")
    setup.note(f"{dropped} of 100 counted as dropped")
    pair.prove()


@case("clean-exit", "after SIGTERM the namespace's links, addresses, routes and rules are what they were", only=ONLY)
def clean_exit(setup):
    pair = setup.pair(launch=False)
    pair.peer.start()
    before = network(pair)
    pair.sut.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    pair.sut.stop()
    untouched(pair, before)
    check(not os.path.exists(pair.sut.socket), "the control socket is left behind")
    well(pair)
    # And after SIGKILL, which leaves no time to tidy up, the next start does it.
    pair.sut.kill(signal.SIGKILL)
    well(pair)
    pair.sut.stop()
    untouched(pair, before)
