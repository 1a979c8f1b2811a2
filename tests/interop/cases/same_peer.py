"""Several tunnels between the same two ends, told apart by their subnets alone."""

from rig.case import case
from rig.shell import Failed, check, wait_until

# The peer's side is the same: charon must have an address in it.
OTHER_A, OTHER_B = ("10.11.0.0/16",), ("10.2.0.0/16",)


def two(daemon, local, remote):
    """The tunnel that carries the traffic is the second."""
    daemon.tunnels = [t.but(name="other", local_ts=local, remote_ts=remote) for t in daemon.tunnels] + daemon.tunnels


def one_connection(peer):
    """strongSwan knows peers by their identities: what it has for one stands in one connection."""
    peer.tunnels = [t.but(further=(("other", OTHER_B, OTHER_A),)) for t in peer.tunnels]


@case("same-peer-initiator", "we begin two tunnels to the same strongSwan, each with an IKE SA of its own: both stand", only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False)
    two(pair.sut, OTHER_A, OTHER_B)
    one_connection(pair.peer)
    pair.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    pair.sut.up("other")
    wait_until(lambda: len(pair.peer.state().ike) == 2 and len(pair.peer.state().children) == 2, 8, "strongSwan has both")
    for name in ("net", "other"):
        check(len(pair.sut.state(name).children) == 1, f"we have no tunnel {name}")
    pair.prove()
    pair.sut.down("other")
    wait_until(lambda: len(pair.peer.state().children) == 1, 8, "strongSwan has one")
    pair.prove()


@case("same-peer-responder", "the peer (Culvert) begins two tunnels, the second of our configuration first: each has its own subnets", only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False, peer_kind="culvert")
    two(pair.sut, OTHER_A, OTHER_B)
    two(pair.peer, OTHER_B, OTHER_A)
    pair.start()
    pair.peer.up()
    pair.wait_up()
    check(not pair.sut.state("other").children, "the other tunnel came up instead, or too")
    pair.prove()
    pair.peer.up("other")
    wait_until(lambda: all(len(d.state(name).children) == 1 for d in pair.both for name in ("net", "other")), 8, "both tunnels stand")
    pair.prove()
    pair.peer.down("other")
    wait_until(lambda: not pair.sut.state("other").children, 8, "the other tunnel is down")
    pair.prove()


@case("same-peer-one-ike-sa", "what another tunnel has is refused over the IKE SA of the first, with the way out: one tunnel for both", only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False)
    two(pair.sut, OTHER_A, OTHER_B)
    one_connection(pair.peer)
    pair.start()
    pair.peer.up()
    pair.wait_up()
    try:
        pair.peer.up("other")
    except Failed:
        pass
    else:
        raise Failed("the second Child SA came up")
    check("connection 'other' has them, but this IKE SA is that of 'net'" in pair.sut.log(), "our log does not say what to do")
    pair.prove()
    pair.sut.tunnels = [pair.sut.tunnels[1].but(local_ts=(*pair.sut.tunnels[1].local_ts, *OTHER_A))]
    pair.peer.down()
    pair.wait_down()
    pair.sut.reload()
    pair.peer.up()
    pair.wait_up()
    pair.peer.up("other")
    wait_until(lambda: all(len(d.state().children) == 2 for d in pair.both), 8, "both Child SAs stand")
    pair.prove()
