"""MOBIKE (RFC 4555): a tunnel that stays when addresses change."""

import time

from rig import traffic
from rig.case import case
from rig.lab import OUTER
from rig.shell import check, wait_until

# The second way between the two ends: another link, another network.
SECOND = {"a": "198.51.100.1", "b": "198.51.100.2"}


def second_link(lab):
    """Another link beside the first; a's packets take it when the first is gone."""
    lab._veth("a", "wire2", "b", "wire2")
    for side, other in (("a", "b"), ("b", "a")):
        lab.ip(side, "addr", "add", SECOND[side] + "/24", "dev", "wire2")
        lab.ip(side, "route", "add", "default", "via", SECOND[other], "metric", "500")


def spis(peer):
    return {c.spi_in for c in peer.state().children}


def move(pair, leave, seconds=15):
    """Lets `leave` happen; the tunnel goes on with the IKE SA that it has. (libipsec cannot move a Child SA: strongSwan rekeys it.)"""
    ours = pair.sut.log().count("moved from ")
    leave()
    taken = traffic.wait_for_traffic(pair.lab, "a", seconds=seconds)
    pair.prove()
    wait_until(lambda: pair.sut.log().count("moved from ") > ours, 5, "we have moved")
    check(pair.sut.log().count(": IKE SA established with ") == 1, "the tunnel was set up anew instead of moved")
    return taken


def add(who, ours):
    @case(f"mobike-{who}", f"{'we begin' if ours else 'the peer begins'}, and {'our' if ours else 'its'} address goes, as from Wi-Fi to a phone "
          "network, and comes back: the SAs move, nothing leaves in clear")
    def _(setup):
        pair = setup.pair(swap=not ours, launch=False, roams=True, liveness=2)
        second_link(pair.lab)
        pair.start()
        near = pair.sut if ours else pair.peer
        near.up()
        pair.wait_up()
        pair.prove()
        taken = move(pair, lambda: pair.lab.ip("a", "link", "set", "wire", "down"))
        setup.note(f"moved within {taken:.1f} s")

        def back():
            pair.lab.ip("a", "link", "set", "wire", "up")
            pair.lab.ip("a", "route", "replace", "default", "via", OUTER["b"][4])
            pair.lab.ip("a", "link", "set", "wire2", "down")
        taken = move(pair, back)
        setup.note(f"back within {taken:.1f} s")
        for mover in pair.both:
            mover.rekey_child()
            time.sleep(1)
            pair.prove()


add("initiator", True)
add("responder", False)


# The other way round it is the peer's part to look for another way, and strongSwan looks only when its own network changes.
@case("mobike-silent-path", "we begin, the link in use dies without a word, and the peer has a second address: we find it", seconds=60)
def _(setup):
    pair = setup.pair(launch=False, roams=True, liveness=1)
    second_link(pair.lab)
    pair.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()

    # Both ends keep their addresses and routes; what they send over the link goes nowhere.
    def cut():
        for side in "ab":
            pair.lab.exec(side, "nft", "-f", "-", stdin="""
                table inet cut {
                    chain out { type filter hook output priority 0; oifname "wire" drop; }
                    chain in { type filter hook input priority 0; iifname "wire" drop; }
                }""")
    setup.note(f"moved within {move(pair, cut, seconds=40):.1f} s")


@case("mobike-off", "one side does not want MOBIKE: our address goes, and a new IKE SA takes the place of the old one")
def _(setup):
    pair = setup.pair(launch=False, roams=True, liveness=2, peer=dict(mobike=False, anybody=True))
    second_link(pair.lab)
    pair.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    before = spis(pair.sut)
    pair.lab.ip("a", "link", "set", "wire", "down")
    taken = traffic.wait_for_traffic(pair.lab, "a", seconds=30)
    wait_until(lambda: spis(pair.sut).isdisjoint(before) and spis(pair.sut), 10, "the old SAs are gone")
    pair.prove()
    setup.note(f"up again within {taken:.1f} s")
