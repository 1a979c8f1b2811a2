"""Flows of many small packets: spread over several workers, and aggregated; order and counters as without."""

from rig import wire
from rig.case import case
from rig.lab import INNER
from rig.shell import check, wait_until

ONLY = ("culvert",)
FLOWS = 12
NUMBERS = 300

# Numbered datagrams of several flows, echoed by the other side; each must come back, and each flow in its order.
ECHO = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
s.bind((%r, 7007))
while True:
    data, who = s.recvfrom(2048); s.sendto(data, who)
"""

ASK = """
import select, socket, struct, sys, time
HELLO = 1 << 31
flows = []
for i in range(%d):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 20000 + i)); s.setblocking(False); flows.append(s)
got = [[] for _ in flows]
def collect(wait):
    for s in select.select(flows, [], [], wait)[0]:
        try:
            while True:
                n = struct.unpack("!I", s.recv(2048)[:4])[0]
                if n != HELLO: got[flows.index(s)].append(n)
        except BlockingIOError: pass
for attempt in range(100):  # until the other side listens
    flows[0].sendto(struct.pack("!I", HELLO), (sys.argv[2], 7007))
    if select.select(flows[:1], [], [], 0.2)[0]: break
for n in range(%d):
    for s in flows: s.sendto(struct.pack("!I", n) + b"x" * 400, (sys.argv[2], 7007))
    end = time.monotonic() + 5
    while sum(map(len, got)) + 60 < (n + 1) * len(flows) and time.monotonic() < end: collect(0.5)
end = time.monotonic() + 5
while sum(map(len, got)) < %d * len(flows) and time.monotonic() < end: collect(0.5)
print(sum(map(len, got)), all(g == sorted(g) for g in got))
""" % (FLOWS, NUMBERS, NUMBERS)


def ask(pair):
    answer = pair.lab.exec("a", "python3", "-c", ASK, INNER["a"][4], INNER["b"][4])
    check(answer.split() == [str(FLOWS * NUMBERS), "True"], f"of {FLOWS * NUMBERS} datagrams, and in order: {answer.strip()}")


def add(peer_kind, role):
    @case(f"workers-{role}-{peer_kind}", f"three workers and one Child SA carry {FLOWS} flows in order, through rekeys; {role}, the peer is {peer_kind}",
          only=ONLY)
    def _(setup):
        pair = setup.pair(peer_kind=peer_kind, launch=False)
        pair.sut.daemon["workers"] = 3
        pair.sut.extra = "per_resource_sas = 0\n"  # in the section of the tunnel; per_resource.py has the others
        if peer_kind == "culvert":
            pair.peer.daemon["workers"] = 2
        pair.start()
        (pair.sut if role == "initiator" else pair.peer).up()
        pair.wait_up()
        pair.prove()
        pair.lab.spawn("b", "python3", "-c", ECHO % INNER["b"][4], output=pair.lab.path("echo"))
        ask(pair)
        check(pair.sut.status()["daemon"]["data_path"]["workers"] == 3, "status does not say three workers")
        pair.sut.rekey_child()
        ask(pair)
        wait_until(lambda: any(c.packets_in and c.packets_out for c in pair.peer.state().children), 3,
                   "the peer's SAs counted packets both ways")
        pair.prove()


for _kind in ("strongswan", "culvert"):
    for _role in ("initiator", "responder"):
        add(_kind, _role)


@case("workers-xdp-culvert", f"four workers, AF_XDP for one of them: {FLOWS} flows stay in order while workers take to SAs of their own, and through rekeys", only=ONLY)
def _(setup):
    pair = setup.pair(peer_kind="culvert", launch=False, encapsulation="esp")
    for end in (pair.sut, pair.peer):
        end.daemon["workers"] = 4
        end.daemon["xdp"] = ["wire"]
    pair.start()
    found = pair.sut.status()["daemon"]["data_path"]["xdp"]
    check([(x["interface"], x["in_use"]) for x in found] == [("wire", True)], f"status says of AF_XDP: {found}")
    pair.lab.spawn("b", "python3", "-c", ECHO % INNER["b"][4], output=pair.lab.path("echo"))
    for _ in range(3):
        pair.sut.up()
        pair.wait_up()
        ask(pair)
        pair.sut.rekey_child()
        ask(pair)
        pair.sut.down()
        pair.wait_down()
    pair.sut.up()
    pair.wait_up()
    pair.prove()


@case("aggfrag-culvert", "IKE agrees on AGGFRAG (RFC 9347), and small packets share outer ones, through a rekey", only=ONLY)
def _(setup):
    pair = setup.pair(peer_kind="culvert", launch=False)
    for end in (pair.sut, pair.peer):
        end.tunnels = [t.but(aggfrag='{ hold = "2ms" }') for t in end.tunnels]
    pair.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    pair.lab.spawn("b", "python3", "-c", ECHO % INNER["b"][4], output=pair.lab.path("echo"))
    for _ in range(2):
        capture = wire.Capture(pair.lab, "a")
        ask(pair)
        classes, others = capture.stop()
        check(not others, f"not ESP: {others}")
        check(sum(classes.values()) < FLOWS * NUMBERS, f"{2 * FLOWS * NUMBERS} datagrams took as many outer packets: {classes}")
        pair.sut.rekey_child()
    pair.prove()
