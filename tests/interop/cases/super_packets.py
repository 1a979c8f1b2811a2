"""TCP comes out of the tunnel in super-packets: how long ones the kernel gets, and that it gets what was sent."""

import json

from rig.case import case
from rig.lab import INNER
from rig.shell import check, wait_until

ONLY = ("culvert",)
MEGABYTES = 200
LENGTH_FIELD = 65535  # what IPv4 can say

# What came, by its digest; and the longest packet that the kernel had from the tunnel meanwhile.
RECEIVE = """
import hashlib, json, socket, sys, threading
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
seen = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(3)); seen.bind((sys.argv[2], 0)); seen.settimeout(0.5)
longest, done, head = 0, False, bytearray(1)
def watch():
    global longest
    while not done:
        try: longest = max(longest, seen.recv_into(head, 0, socket.MSG_TRUNC))
        except TimeoutError: pass
watcher = threading.Thread(target=watch); watcher.start()
s = socket.create_server((sys.argv[1], 7008), family=family); s.settimeout(60)
c, _ = s.accept(); c.settimeout(60)
h = hashlib.sha256()
while data := c.recv(1 << 20): h.update(data)
done = True; watcher.join()
print(json.dumps({"digest": h.hexdigest(), "longest": longest}))
"""

SEND = """
import hashlib, random, socket, sys, time
data, h = random.Random(1).randbytes(1 << 20), hashlib.sha256()
for attempt in range(100):  # until the other side listens
    try: s = socket.create_connection((sys.argv[1], 7008), 5); break
    except OSError: time.sleep(0.1)
s.settimeout(60)
for i in range(%d):
    piece = i.to_bytes(4, "big") + data[4:]
    s.sendall(piece); h.update(piece)
s.close(); print(h.hexdigest())
""" % MEGABYTES


def carry(pair, family):
    """Sends so many MB from b to a; the longest packet that a's kernel had."""
    lab = pair.lab
    device = pair.sut.status()["daemon"]["tun"]
    receiver = lab.spawn("a", "python3", "-c", RECEIVE, INNER["a"][family], device, output=lab.path(f"received-{family}"))
    sent = lab.exec("b", "python3", "-c", SEND, INNER["a"][family]).strip()
    wait_until(lambda: receiver.poll() is not None, 60, "the receiver has all")
    with open(lab.path(f"received-{family}")) as f:
        got = json.loads(f.read().splitlines()[-1])
    check(got["digest"] == sent, f"{MEGABYTES} MB came otherwise than they were sent")
    return got["longest"]


def says(pair):
    return pair.sut.status()["daemon"]["data_path"]["longest_tcp"]


@case("super-packets-culvert", "TCP for a host that forwards nothing gets super-packets longer than IPv4's length field; with forwarding none, at once",
      only=ONLY)
def _(setup):
    pair = setup.pair(peer_kind="culvert", launch=False)
    pair.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    linux = tuple(int(x) for x in open("/proc/sys/kernel/osrelease").read().split("-")[0].split(".")[:2])
    if linux >= (6, 3):
        check(says(pair) > LENGTH_FIELD, f"a host that forwards nothing: status says {says(pair)}")
        longest = carry(pair, 4)
        check(longest > LENGTH_FIELD, f"the longest packet had {longest} octets")
    carry(pair, 6)
    for ns in "ab":
        pair.lab.exec(ns, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    wait_until(lambda: says(pair) == LENGTH_FIELD, 5, "the daemon has seen that the host forwards")
    for family in (4, 6):
        longest = carry(pair, family)
        check(longest <= LENGTH_FIELD + 40, f"a host that forwards: the longest packet had {longest} octets")
    pair.prove()
