"""`culvert doctor`: quiet on a host where all is well, and on others it names what is wrong and the way out."""

import json
import signal

from rig import shell
from rig.case import case
from rig.shell import check, wait_until
from rig.tunnel import TunnelSpec
from rig.lab import OUTER, SUBNET

ONLY = ("culvert",)

# Another IKE daemon, as far as doctor can see: its name, and UDP 500.
HOLDER = """
import ctypes, socket, time
ctypes.CDLL(None).prctl(15, b"charon", 0, 0, 0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 500)); time.sleep(60)
"""

FIREWALL = ("table inet office { chain in { type filter hook input priority 0; policy drop; iifname \"lo\" accept; tcp dport 22 accept; }; }")


def doctor(daemon, ok):
    """(state, found, way out) by (group, what); checks the exit status, the text and that both say the same."""
    told = json.loads(daemon.command("--json", "doctor", daemon.config, ok=(ok,)))
    text = daemon.command("doctor", daemon.config, ok=(ok,))
    check(all(len(line) <= 80 for line in text.splitlines() if daemon.dir not in line), f"a line is longer than a terminal:\n{text}")
    check(told["ok"] == (ok == 0) and told["problems"] == text.count("  PROBLEM  "), f"{told['problems']} problems in\n{text}")
    for one in told["checks"]:
        check(one["state"] != "problem" or one["way_out"], f"no way out: {one}")
    return {(one["group"], one["what"]): (one["state"], one["found"], one.get("way_out", "")) for one in told["checks"]}


def problems(found):
    return sorted(key for key, (state, _, _) in found.items() if state == "problem")


@case("doctor-fresh", "culvert doctor before culvertd ever ran: no problem on a good host; then it names charon, the firewall, the kernel's policies", only=ONLY)
def fresh(setup):
    shell.need_tool("nft", "nftables")
    lab = setup.lab()
    tunnel = TunnelSpec(OUTER["a"][4], OUTER["b"][4], (SUBNET["a"][4],), (SUBNET["b"][4],))
    daemon = setup.daemon("culvert", lab, "a", [tunnel])
    daemon.write_config()
    found = doctor(daemon, ok=0)
    check(found["network", "UDP port 500"][:2] == ("ok", "free"), f"{found}")
    check(found["culvertd", "daemon"][0] == "note" and "not running" in found["culvertd", "daemon"][1], f"{found}")
    check(found["tunnel net", "peer"][:2] == ("ok", f"{OUTER['b'][4]}, from {OUTER['a'][4]} by wire"), f"{found}")

    lab.spawn("a", "python3", "-c", HOLDER, output=lab.path("holder"))
    wait_until(lambda: ":500" in lab.exec("a", "ss", "-uln"), 5, "UDP 500 is held")
    lab.exec("a", "nft", FIREWALL)
    lab.exec("a", "ip", "xfrm", "policy", "add", "src", "10.0.0.0/8", "dst", "10.99.0.0/16", "dir", "out",
             "tmpl", "src", "192.0.2.1", "dst", "192.0.2.9", "proto", "esp", "mode", "tunnel")
    lab.ip("a", "route", "del", "default")
    daemon.tunnels = [tunnel, tunnel.but(name="far", remote="198.51.100.7", remote_ts=("10.3.0.0/16",))]
    daemon.write_config()
    found = doctor(daemon, ok=1)
    check(problems(found) == [("network", "UDP port 500"), ("network", "kernel IPsec"), ("network", "packet filters"), ("tunnel far", "peer")], f"{found}")
    check("charon (pid " in found["network", "UDP port 500"][1] and "stop strongSwan" in found["network", "UDP port 500"][2], f"{found}")
    # The way out that it names for the firewall is one.
    check(found["network", "packet filters"][1].startswith("inet office in drops UDP 500 in, UDP 4500 in"), f"{found}")
    lab.exec("a", "sh", "-c", found["network", "packet filters"][2])
    check(("network", "packet filters") not in problems(doctor(daemon, ok=1)), "the firewall's way out does not lead out")


@case("doctor-running", "culvert doctor beside a running culvertd: the tunnel's state and cipher; why it fails; what a killed culvertd leaves", seconds=60, only=ONLY)
def running(setup):
    pair = setup.pair(peer_kind="culvert")
    pair.sut.up()
    pair.wait_up()
    found = doctor(pair.sut, ok=0)
    check(found["network", "UDP port 500"][1] == f"held by culvertd (pid {pair.sut.status()['daemon']['pid']})", f"{found}")
    state = found["tunnel net", "state"]
    check(state[0] == "ok" and state[1].startswith("up, ") and " by " in state[1], f"{state}")
    backend = pair.sut.tunnel()["ike_sas"][0]["children"][0]["backend"]
    check(backend and backend in state[1], f"{backend} is not in {state}")

    pair.sut.tunnels = [t.but(secret="another secret than the peer's") for t in pair.sut.tunnels]
    pair.sut.reload()
    pair.sut.command("up", "net", ok=(1,))
    def failed():
        told = pair.sut.tunnel().get("last_failure")
        return told and pair.sut.tunnel()["state"] != "connecting"
    wait_until(failed, 15, "the other secret is refused")
    found = doctor(pair.sut, ok=1)
    check(problems(found) == [("tunnel net", "state")], f"{found}")
    check("it failed: " in found["tunnel net", "state"][1], f"{found}")

    pair.sut.kill(signal.SIGKILL)
    found = doctor(pair.sut, ok=1)
    check(problems(found) == [("network", "left behind")], f"{found}")
    check(SUBNET["b"][4] in found["network", "left behind"][1], f"{found}")
