"""Two hosts that protect some of what they say to each other: the rest goes on in clear, and never the protected part."""

import json
import signal

from rig import wire
from rig.case import case
from rig.shell import check, wait_until

ONLY = ("culvert",)
PORT = 7777  # UDP, protected
OPEN = 2222  # TCP, in clear: where ssh would be

ECHO = """
import socket, threading
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", %d))
t = socket.create_server(("", %d))
def echo():
    while True:
        data, who = u.recvfrom(65536); u.sendto(data, who)
threading.Thread(target=echo, daemon=True).start()
while True:
    c, _ = t.accept(); c.sendall(c.recv(65536)); c.close()
""" % (PORT, OPEN)

UDP = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5); back = 0
for i in range(int(sys.argv[2])):
    try:
        s.sendto(bytes(int(sys.argv[3])), (sys.argv[1], %d))
        back += len(s.recv(65536)) == int(sys.argv[3])
    except OSError:
        pass
print(back)
""" % PORT

TCP = """
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], %d), 2); s.settimeout(2); s.sendall(b"x" * 100); print(len(s.recv(4096)))
except OSError:
    print(0)
""" % OPEN


def entry(lab, side, other, more=""):
    here, there = lab.outer(side), lab.outer(other)
    local, remote = (f"{here}[udp]", f"{there}[udp/{PORT}]") if side == "a" else (f"{here}[udp/{PORT}]", f"{there}[udp]")
    spi = {"a": 0x1001, "b": 0x1002}
    key = {"a": "0x" + "11" * 20, "b": "0x" + "22" * 20}
    return (f'[manual.hosts]\nmode = "transport"\nencapsulation = "none"\nlocal_address = "{here}"\npeer = "{there}"\n'
            f'spi_in = {spi[side]}\nspi_out = {spi[other]}\nsuite = "aes128gcm16-noesn"\n'
            f'encryption_key_in = "{key[side]}"\nencryption_key_out = "{key[other]}"\n'
            f'local = ["{local}"]\nremote = ["{remote}"]\n{more}')


def only_the_rest(capture):
    """Stops the capture; the protected port was on the wire in no frame. Returns the classes."""
    classes, _ = capture.stop()
    seen = []
    for frame in wire.frames(capture.file):
        kind, text = wire.classify(frame)
        # In transport mode whole packets are protected and the ESP packet is cut, so fragments of ESP are right.
        cut_esp = "later fragment" in text and frame[14 + 9] == 50
        if not cut_esp and ("UDP port" in text or "later fragment" in text or kind == wire.ICMP_ERROR):
            seen.append(text)
    check(not seen, f"on the wire in clear: {seen[:5]}")
    return classes


@case("hosts-rest", "transport mode for one port: the rest passes in clear, the port never, SA or not, daemon or not", only=ONLY)
def hosts_rest(setup):
    lab = setup.lab()
    daemons = {}
    for side, other in (("a", "b"), ("b", "a")):
        daemon = daemons[side] = setup.daemon("culvert", lab, side, [])
        daemon.extra = entry(lab, side, other, 'hard_lifetime = { packets = 400 }\n' if side == "a" else "")
        daemon.start()
    lab.spawn("b", "python3", "-c", ECHO, output=lab.path("echo"))
    peer = lab.outer("b")

    def udp(count, size=200):
        return int(lab.exec("a", "python3", "-c", UDP, peer, count, size))

    def tcp():
        return int(lab.exec("a", "python3", "-c", TCP, peer))

    wait_until(lambda: tcp() == 100, 5, "the port that no rule protects answers")
    listed = json.loads(daemons["a"].command("policy", "list", "--json"))
    text = json.dumps(listed)
    check("implicit" in text, f"the rule for the rest is listed: {text}")
    capture = wire.Capture(lab, "b")
    check(udp(5) == 5, "the protected port does not answer")
    check(udp(2, 5000) == 2, "datagrams longer than the path do not come back")
    check(tcp() == 100, "TCP to the peer is held up")
    classes = only_the_rest(capture)
    check(classes[wire.ESP] >= 14, f"the protected part travels as ESP: {dict(classes)}")
    check(classes[wire.OTHER] >= 4, f"TCP travels in clear: {dict(classes)}")

    # The SA's end is not its rule's.
    udp(450, 50)
    capture = wire.Capture(lab, "b")
    check(udp(2) == 0 and udp(1, 5000) == 0, "an answer without an SA")
    check(tcp() == 100, "TCP to the peer is held up once the SA has ended")
    classes = only_the_rest(capture)
    check(not classes[wire.ESP], f"ESP after the SA's end: {dict(classes)}")

    daemons["a"].kill(signal.SIGKILL)
    capture = wire.Capture(lab, "b")
    check(udp(3) == 0, "an answer although the daemon is gone: the protected port went out in clear")
    only_the_rest(capture)
    daemons["a"].start()
    check(tcp() == 100, "TCP to the peer after a restart")
    daemons["a"].stop()
    check(tcp() == 100, "TCP to the peer without us")
