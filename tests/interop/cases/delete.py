"""Deleting, from either side; and setting up again afterwards."""

from rig.case import case
from rig.shell import check, wait_until


def add(who):
    @case(f"delete-by-{who}", f"{who} deletes the IKE SA: nothing is left at either end, and a new tunnel comes up")
    def _(setup):
        pair = setup.pair()
        # Who deletes has set up: nobody else wants the tunnel, and so it stays down.
        mover = pair.sut if who == "us" else pair.peer
        mover.up()
        pair.wait_up()
        pair.prove()
        mover.down()
        pair.wait_down()
        mover.up()
        pair.wait_up()
        pair.prove()


add("us")
add("peer")


@case("delete-by-peer-of-ours", "the peer deletes what we want up: the old SAs go, and we set up anew without being asked", only=("culvert",))
def delete_of_ours(setup):
    pair = setup.pair()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    old = pair.sut.state()
    pair.peer.down()
    # In between there is an instant without SAs at both ends, too short to be waited for.
    wait_until(lambda: all(p.state().up and not set(p.state().ike) & set(old.ike) for p in pair.both), 10, "both ends have a new IKE SA")
    spis = {c.spi_in for c in old.children}
    check(not spis & {c.spi_in for c in pair.sut.state().children}, "an old child SA is still there")
    pair.prove()


@case("delete-child-by-peer", "the peer deletes only the child SA; a new one can be made")
def delete_child(setup):
    pair = setup.pair()
    pair.sut.up()
    pair.wait_up()
    old = pair.sut.state().children[0].spi_in
    pair.peer.down_child()
    wait_until(lambda: old not in {c.spi_in for p in pair.both for c in p.state().children}, 5, "the child SA is gone")
    check(not pair.peer.state().children, "the peer still has a child SA")
    pair.sut.up()
    pair.wait_up()
    pair.prove()
