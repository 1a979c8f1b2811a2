"""Several workers: each has a Child SA of its own where the peer takes them (RFC 9611), and all share one where it does not."""

import json

from rig.case import case
from rig.lab import INNER
from rig.shell import check, wait_until

ONLY = ("culvert",)
WORKERS = 3
FLOWS = 24
PORT = 7001

SERVER = """
import socket
s = socket.create_server(("", %d), backlog=64)
while True:
    c, _ = s.accept(); c.sendall(c.recv(65536)); c.close()
""" % PORT

# As many connections as it is told, each from a port of its own: the kernel spreads them over the queues of TUN.
CLIENT = """
import socket, sys
for n in range(int(sys.argv[3])):
    s = socket.create_connection((sys.argv[2], %d), 8, (sys.argv[1], 0)); s.settimeout(8)
    s.sendall(b"x" * 100); assert len(s.recv(4096)) == 100; s.close()
print("all")
""" % PORT


def flows(pair, count=FLOWS):
    got = pair.lab.exec("a", "python3", "-c", CLIENT, INNER["a"][4], INNER["b"][4], count)
    check(got.strip() == "all", f"the client said {got!r}")


def children(driver):
    return [c for sa in driver.tunnel()["ike_sas"] for c in sa["children"]]


def workers(driver):
    return sorted(c.get("resource") for c in children(driver) if c.get("resource") is not None)


def begin(setup, peer_kind, theirs=None, ours=WORKERS):
    """Up, with several workers at each end that can, and the server running behind b."""
    pair = setup.pair(peer_kind=peer_kind, launch=False)
    pair.sut.daemon["workers"] = ours
    if peer_kind == "culvert":
        pair.peer.daemon["workers"] = WORKERS
        if theirs is not None:
            pair.peer.extra = f"per_resource_sas = {theirs}\n"  # the section of the tunnel stands last
    pair.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    pair.lab.spawn("b", "python3", "-c", SERVER, output=pair.lab.path("server"))
    wait_until(lambda: f":{PORT} " in pair.lab.exec("b", "ss", "-tln"), 5, "the server listens")
    return pair


@case("per-resource-culvert", "several workers at both ends: each has a Child SA of its own, through rekeys too", only=ONLY)
def _(setup):
    pair = begin(setup, "culvert")

    def served():
        flows(pair)
        return len(workers(pair.sut)) >= WORKERS - 1

    # The worker that has the one for all needs none.
    wait_until(served, 15, "the other workers have their own")
    for driver in (pair.sut, pair.peer):
        all_of_them = children(driver)
        check(sum(1 for c in all_of_them if c.get("resource") is None) == 1, f"one for all: {json.dumps(all_of_them)}")
        check(len({json.dumps([c["local"], c["remote"], c["mode"]]) for c in all_of_them}) == 1, "they differ")
        check(len(all_of_them) <= 1 + 2 * WORKERS, f"{len(all_of_them)} Child SAs")
    wait_until(lambda: len(children(pair.sut)) == len(children(pair.peer)), 5, "as many at both ends")
    flows(pair, 60)
    used = [c for c in children(pair.sut) if c.get("resource") is not None and c["counters"]["outbound_packets"] > 0]
    check(len(used) >= WORKERS - 1, f"those for single workers carry their packets: {json.dumps(children(pair.sut))}")
    status = pair.sut.command("status")
    check(f" for worker {workers(pair.sut)[0]}: " in status, f"culvert status says which worker a Child SA is for: {status}")
    before = workers(pair.sut)
    old = {c["spi_inbound"] for c in children(pair.sut)}
    pair.sut.rekey_child()
    wait_until(lambda: not old & {c["spi_inbound"] for c in children(pair.sut)}, 15, "all are rekeyed")
    check(workers(pair.sut) == before, f"{before} before, {workers(pair.sut)} after the rekey")
    flows(pair)
    pair.prove()


@case("per-resource-few", "the peer takes one Child SA for a single worker and no more: TS_MAX_QUEUE, and all packets go on", only=ONLY)
def _(setup):
    # Requests of both ends that cross make two, which would be enough for three workers.
    pair = begin(setup, "culvert", theirs=1, ours=WORKERS + 1)

    def told():
        flows(pair)
        return "takes no further Child SAs for single workers" in pair.sut.log()

    wait_until(told, 15, "TS_MAX_QUEUE came")
    check(len(workers(pair.sut)) in (1, 2), f"{json.dumps(children(pair.sut))}")
    requests = pair.sut.log().count("CREATE_CHILD_SA request for a new Child SA")
    for _ in range(3):
        flows(pair)
    check(pair.sut.log().count("CREATE_CHILD_SA request for a new Child SA") == requests, "it was asked again")
    pair.prove()


@case("per-resource-strongswan", "a peer that does not know SA_RESOURCE_INFO: one Child SA for all workers, and all packets go on", only=ONLY)
def _(setup):
    pair = begin(setup, "strongswan")
    for _ in range(3):
        flows(pair)
    check(len(children(pair.sut)) == 1 and workers(pair.sut) == [], f"{json.dumps(children(pair.sut))}")
    pair.sut.rekey_child()
    flows(pair)
    check(len(children(pair.sut)) == 1 and len(pair.peer.state().children) == 1, f"{json.dumps(children(pair.sut))}")
    failure = pair.sut.tunnel().get("last_failure")
    check(failure is None, f"{failure}")
    pair.prove()
