"""Rules that take selectors from packets (RFC 4301 4.4.1.2): each flow gets a Child SA of its own beside the tunnel's first."""

import json

from rig.case import case
from rig.lab import INNER
from rig.shell import check, wait_until

ONLY = ("culvert",)
PORTS = (7001, 7002, 7003)

SERVER = """
import socket, select
socks = [socket.create_server(("", port)) for port in %r]
while True:
    for s in select.select(socks, [], [])[0]:
        c, _ = s.accept(); c.sendall(c.recv(65536)); c.close()
""" % (PORTS,)

CLIENT = """
import socket, sys
s = socket.create_connection((sys.argv[2], int(sys.argv[3])), 8, (sys.argv[1], 0)); s.settimeout(8)
s.sendall(b"x" * 100); print(len(s.recv(4096)))
"""


def add(peer_kind):
    @case(f"populate-ports-{peer_kind}", f"a rule that takes the remote port from packets makes a Child SA for each port; the peer is {peer_kind}",
          only=ONLY)
    def _(setup):
        pair = setup.pair(peer_kind=peer_kind, launch=False)
        pair.sut.extra = ('\n[[policy]]\nname = "by-port"\naction = "protect"\nsa = "net"\nposition = "first"\n'
                          'local = ["10.1.0.0/16[tcp]"]\nremote = ["10.2.0.0/16[tcp]"]\npopulate = ["remote_port"]\n')
        pair.start()
        pair.sut.up()
        pair.wait_up()
        pair.prove()
        pair.lab.spawn("b", "python3", "-c", SERVER, output=pair.lab.path("server"))
        wait_until(lambda: all(f":{port} " in pair.lab.exec("b", "ss", "-tln") for port in PORTS), 5, "the server listens")
        for port in PORTS:
            got = pair.lab.exec("a", "python3", "-c", CLIENT, INNER["a"][4], INNER["b"][4], port)
            check(got.strip() == "100", f"port {port} answered {got!r}")
            # The first packet waited for the SA and was not lost; the next connection finds it.
            again = pair.lab.exec("a", "python3", "-c", CLIENT, INNER["a"][4], INNER["b"][4], port)
            check(again.strip() == "100", f"port {port} answered {again!r} the second time")
        children = [c for sa in pair.sut.tunnel()["ike_sas"] for c in sa["children"]]
        check(len(children) == 1 + len(PORTS), f"{len(children)} Child SAs: {json.dumps(children)}")
        for port in PORTS:
            ours = [c for c in children if str(port) in json.dumps(c["remote"])]
            check(len(ours) == 1, f"port {port} has {len(ours)} Child SAs: {json.dumps(children)}")
            counted = ours[0]["counters"]
            check(counted["outbound_packets"] >= 8 and counted["inbound_packets"] >= 6, f"port {port}: {counted}")
        wait_until(lambda: sum(1 for c in pair.peer.state().children if c.packets_in and c.packets_out) == 1 + len(PORTS), 3,
                   "the peer has as many Child SAs, and each counted packets both ways")
        pair.prove()
        pair.sut.rekey_child()
        wait_until(lambda: len(pair.peer.state().children) == 1 + len(PORTS), 8, "as many after a rekey of all")
        check(pair.lab.exec("a", "python3", "-c", CLIENT, INNER["a"][4], INNER["b"][4], PORTS[0]).strip() == "100", "no answer after the rekey")


for _kind in ("strongswan", "culvert"):
    add(_kind)
