"""Two hosts behind one NAT with transport mode to one server (RFC 3948 5.2), as two L2TP clients are."""

from rig import wire
from rig.case import case
from rig.lab import NAT_INSIDE, NAT_OUTSIDE
from rig.shell import check, wait_until
from rig.tunnel import TunnelSpec

ONLY = ("culvert",)
PORT = 1701

# Answers each datagram with what it was, and where from, as a server sees it. What comes in on the control port is an
# order: to send something to that port of the NAT.
ECHO = """
import socket, threading
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("", %d))
t = socket.create_server(("", %d))
def stream():
    while True:
        c, who = t.accept(); c.sendall(c.recv(4096)); c.close()
threading.Thread(target=stream, daemon=True).start()
while True:
    data, who = u.recvfrom(65536); u.sendto(data + b" " + str(who[1]).encode(), who)
""" % (PORT, PORT)

# Arguments: server, own port, mark, how many.
UDP = """
import socket, sys
server, port, mark, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.5)
if port: s.bind(("", port))
got = []
for i in range(count):
    try:
        s.sendto(("%%s-%%d" %% (mark, i)).encode(), (server, %d)); got.append(s.recv(4096).decode())
    except OSError:
        got.append("")
print("|".join(got))
""" % PORT

TCP = """
import socket, sys
server, port, mark = sys.argv[1], int(sys.argv[2]), sys.argv[3]
try:
    s = socket.socket(); s.settimeout(3); s.bind(("", port)); s.connect((server, %d)); s.sendall(mark.encode()); print(s.recv(4096).decode())
except OSError as error:
    print(error)
""" % PORT

ASK = "import socket, sys; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'from the server', (sys.argv[1], int(sys.argv[2])))"


def add(name, workers, selectors, about):
    @case(f"nat-transport-{name}", f"two hosts behind one NAT, transport mode, {about}: each gets its own answers, the same ports or not", only=ONLY)
    def _(setup):
        lab = setup.lab("nat")
        clients = {"a": NAT_INSIDE, "c": lab.add_behind_nat("c")}
        server = lab.outer("b")
        mode = 'mode = "transport"\nmobike = false'
        # One tunnel for all of them: their selectors are the same.
        gate = setup.daemon("culvert", lab, "b", [TunnelSpec(
            local=server, remote="", local_ts=(f"{server}{selectors}",), remote_ts=(f"{NAT_OUTSIDE}{selectors}",), name="l2tp",
            local_id="gate.example", remote_id="*.hosts.example", anybody=True, ours=mode)])
        gate.daemon["workers"] = workers
        gate.start()
        lab.spawn("b", "python3", "-c", ECHO, output=lab.path("echo"))
        daemons = {}
        for side, address in clients.items():
            daemons[side] = setup.daemon("culvert", lab, side, [TunnelSpec(
                local=address, remote=server, local_ts=(f"{address}{selectors}",), remote_ts=(f"{server}{selectors}",), name="l2tp",
                local_id=f"{side}.hosts.example", remote_id="gate.example", ours=mode)])
            daemons[side].start()

        def pairs():
            return len(gate.state("l2tp").children)

        def udp(side, port, count=3):
            said = lab.exec(side, "python3", "-c", UDP, server, port, side, count).strip().split("|")
            check(all(word.startswith(f"{side}-{i} ") for i, word in enumerate(said)), f"{side} gets {said}")
            ports = {word.split()[1] for word in said}
            check(len(ports) == 1, f"{side} is seen from {ports}")
            return int(ports.pop())

        daemons["a"].up("l2tp")
        check(udp("a", 40001) == 40001, "alone")
        daemons["c"].up("l2tp")
        capture = wire.Capture(lab, "b")
        for _ in range(2):
            check(udp("a", 40001) == 40001, "the flow from before")
            check(udp("a", 40002) == 40002 and udp("c", 40003) == 40003, "ports that only one has")
        check(udp("a", PORT) == PORT, "the first has its own port")
        other = udp("c", PORT)
        check(other != PORT, "the second has another")
        check(udp("a", PORT) == PORT and udp("c", PORT) == other, "both again")
        if not selectors:
            for side in ("a", "c"):
                said = lab.exec(side, "python3", "-c", TCP, server, 50007, side).strip()
                check(said == side, f"TCP of {side}: {said}")
                lab.exec(side, "ping", "-n", "-c", 2, "-i", "0.2", "-W", 1, "-e", 7, server)
        # The server begins one itself: nobody is meant.
        lab.exec("b", "python3", "-c", ASK, NAT_OUTSIDE, 9999)
        for mover in (daemons["a"], daemons["c"], gate):
            mover.rekey_child("l2tp")
            wait_until(lambda: pairs() == 2, 5, "two pairs")
            check(udp("a", PORT) == PORT and udp("c", PORT) == other, "after a rekey")
        classes, _ = capture.stop()
        clear = [text for kind, text in map(wire.classify, wire.frames(capture.file)) if f"UDP port {PORT}" in text or "9999" in text]
        check(not clear, f"on the wire in clear: {clear[:5]}")
        check(classes[wire.ESP_UDP] > 40, f"ESP in UDP: {dict(classes)}")
        drops = gate.status()["packet_drops"]
        check(drops.get("nat_peer_unclear", 0) >= 1, f"the packet that was for nobody: {drops}")
        check("another host behind" in gate.log(), "the log tells of the port")
        # The first goes: the second goes on.
        daemons["a"].down("l2tp")
        wait_until(lambda: pairs() == 1, 5, "one pair is left")
        check(udp("c", PORT) == other, "the one that is left")
        for side in clients:
            state = daemons[side].state("l2tp")
            check(side == "a" or state.children[0].packets_in > 0, "the pair has counted")


add("two", 1, "", "all traffic")
add("udp", 1, "[udp]", "UDP only")
add("workers", 2, "[udp]", "two workers")
