"""Several tunnels between the same two ends, told apart by their subnets alone: in one IKE SA, or each in its own."""

import sys

from rig.case import case
from rig.lab import INNER
from rig.shell import check, wait_until
from rig.traffic import PINGER

# The peer's side is the same: charon must have an address in it.
OTHER_A, OTHER_B = ("10.11.0.0/16",), ("10.2.0.0/16",)
OTHER_ADDRESS = "10.11.0.1"
COUNT = 5


def two(daemon, local, remote, ours=""):
    """The tunnel that carries the traffic is the second."""
    daemon.tunnels = [t.but(name="other", local_ts=local, remote_ts=remote, ours=ours) for t in daemon.tunnels] + \
                     [t.but(ours=ours) for t in daemon.tunnels]


def one_connection(peer):
    """strongSwan knows peers by their identities: what it has for one stands in one connection."""
    peer.tunnels = [t.but(further=(("other", OTHER_B, OTHER_A),)) for t in peer.tunnels]


def address_of_other(pair):
    pair.lab.ip("a", "addr", "add", f"{OTHER_ADDRESS}/32", "dev", "lo")


def prove_other(pair, theirs="net"):
    """The other tunnel carries traffic both ways, and both ends have counted it: we for that tunnel alone."""
    before = pair.sut.state("other"), pair.peer.state(theirs)
    there, here = INNER["b"][4], OTHER_ADDRESS
    for side, source, target in (("a", here, there), ("b", there, here)):
        got = int(pair.lab.exec(side, sys.executable, PINGER, source, target, COUNT, 0.05, 56, 1, timeout=COUNT + 30))
        check(got == COUNT, f"ping from {source} to {target}: {got} of {COUNT} came back")
    now = lambda: (pair.sut.state("other"), pair.peer.state(theirs))
    wait_until(lambda: all(state.packets_since(old) >= 2 * COUNT for old, state in zip(before, now())), 2,
               "the SAs have counted the pings of the other tunnel")


def shared(pair):
    """Both tunnels are in one IKE SA, as both ends see it."""
    ours = {pair.sut.state(name).ike for name in ("net", "other")}
    check(len(ours) == 1 and all(len(one) == 1 for one in ours), f"our tunnels have the IKE SAs {ours}")
    check(len(pair.peer.state().ike) == 1, f"the peer has the IKE SAs {pair.peer.state().ike}")


def prove_both(pair):
    pair.prove()
    prove_other(pair)
    shared(pair)


@case("same-peer-initiator", "we begin two tunnels to the same strongSwan: both are in one IKE SA, through rekeys of all of it, and each goes by itself", only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False)
    two(pair.sut, OTHER_A, OTHER_B)
    one_connection(pair.peer)
    pair.start()
    address_of_other(pair)
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    pair.sut.up("other")
    wait_until(lambda: len(pair.peer.state().children) == 2 and len(pair.sut.state("other").children) == 1, 8, "both ends have both")
    prove_both(pair)
    pair.sut.rekey_child("other")
    pair.peer.rekey_child("other")
    wait_until(lambda: len(pair.peer.state().children) == 2, 8, "the rekeyed pair replaces the old one")
    prove_both(pair)
    for daemon in (pair.sut, pair.peer):
        before = pair.sut.state("other").ike
        daemon.rekey_ike()
        wait_until(lambda: pair.sut.state("other").ike not in (before, ()) and len(pair.peer.state().ike) == 1, 8, "another IKE SA")
        prove_both(pair)
    # The one that began goes, and the IKE SA stays for the other.
    pair.sut.down()
    wait_until(lambda: len(pair.peer.state().children) == 1 and not pair.sut.state().children, 8, "strongSwan has the other alone")
    prove_other(pair)
    pair.sut.up()
    wait_until(lambda: len(pair.peer.state().children) == 2, 8, "strongSwan has both again")
    prove_both(pair)
    pair.sut.down("other")
    wait_until(lambda: len(pair.peer.state().children) == 1, 8, "strongSwan has one")
    pair.prove()


@case("same-peer-at-once", "two tunnels to the same strongSwan that come up by themselves: one IKE SA, also after strongSwan was restarted", only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False, sut={"start": "auto", "liveness": 2})
    two(pair.sut, OTHER_A, OTHER_B)
    one_connection(pair.peer)
    pair.start()
    address_of_other(pair)
    up = lambda: len(pair.peer.state().children) == 2 and all(len(pair.sut.state(n).children) == 1 for n in ("net", "other"))
    wait_until(up, 8, "both ends have both")
    prove_both(pair)
    pair.peer.stop()
    wait_until(lambda: not pair.sut.state().children and not pair.sut.state("other").children, 8, "we have heard that it has gone")
    pair.peer.start()
    wait_until(up, 15, "both ends have both again")
    prove_both(pair)


@case("same-peer-apart", "with share_ike_sa = false each of two tunnels to the same strongSwan has an IKE SA of its own", only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False)
    two(pair.sut, OTHER_A, OTHER_B, ours="share_ike_sa = false")
    one_connection(pair.peer)
    pair.start()
    address_of_other(pair)
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    pair.sut.up("other")
    wait_until(lambda: len(pair.peer.state().ike) == 2 and len(pair.peer.state().children) == 2, 8, "strongSwan has both")
    for name in ("net", "other"):
        check(len(pair.sut.state(name).children) == 1, f"we have no tunnel {name}")
    pair.prove()
    prove_other(pair)
    pair.sut.down("other")
    wait_until(lambda: len(pair.peer.state().children) == 1, 8, "strongSwan has one")
    pair.prove()


@case("same-peer-responder", "the peer (Culvert) begins two tunnels, the second of our configuration first: each has its own subnets", only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False, peer_kind="culvert")
    two(pair.sut, OTHER_A, OTHER_B)
    two(pair.peer, OTHER_B, OTHER_A)
    pair.start()
    address_of_other(pair)
    pair.peer.up()
    pair.wait_up()
    check(not pair.sut.state("other").children, "the other tunnel came up instead, or too")
    pair.prove()
    pair.peer.up("other")
    wait_until(lambda: all(len(d.state(name).children) == 1 for d in pair.both for name in ("net", "other")), 8, "both tunnels stand")
    prove_other(pair, theirs="other")
    shared(pair)
    pair.prove()
    pair.peer.down("other")
    wait_until(lambda: not pair.sut.state("other").children, 8, "the other tunnel is down")
    pair.prove()


@case("same-peer-one-ike-sa", "strongSwan asks over the IKE SA of the first tunnel for what the second has: both stand, and each counts its own traffic", only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False)
    two(pair.sut, OTHER_A, OTHER_B)
    one_connection(pair.peer)
    pair.start()
    address_of_other(pair)
    pair.peer.up()
    pair.wait_up()
    pair.peer.up("other")
    wait_until(lambda: all(len(pair.sut.state(name).children) == 1 for name in ("net", "other")), 8, "both tunnels stand")
    prove_both(pair)
    pair.peer.rekey_child("other")
    pair.peer.rekey_ike()
    wait_until(lambda: len(pair.peer.state().ike) == 1 and len(pair.peer.state().children) == 2, 8, "all is rekeyed")
    prove_both(pair)
    pair.peer.down_child("other")
    wait_until(lambda: not pair.sut.state("other").children, 8, "the other tunnel is down")
    pair.prove()
