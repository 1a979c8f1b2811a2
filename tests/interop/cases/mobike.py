"""MOBIKE (RFC 4555): a tunnel that stays when addresses change."""

import time

from rig import traffic
from rig.case import case
from rig.lab import OUTER
from rig.shell import check, wait_until

# The second way between the two ends: another link, another network.
SECOND = {"a": {4: "198.51.100.1", 6: "2001:db8:2::1"}, "b": {4: "198.51.100.2", 6: "2001:db8:2::2"}}
PREFIX = {4: 24, 6: 64}


def second_link(lab, family=4):
    """Another link beside the first; a's packets take it when the first is gone."""
    lab._veth("a", "wire2", "b", "wire2")
    for side, other in (("a", "b"), ("b", "a")):
        lab.ip(side, "addr", "add", f"{SECOND[side][family]}/{PREFIX[family]}", "dev", "wire2", *(["nodad"] if family == 6 else []))
        lab.ip(side, f"-{family}", "route", "add", "default", "via", SECOND[other][family], "metric", "2000")


def lose(lab, family):
    """a has no address of the family on its link any more."""
    lab.ip("a", f"-{family}", "addr", "flush", "dev", "wire", "scope", "global")
    lab.exec("a", "ip", f"-{family}", "route", "del", "default", ok=None)  # IPv4's goes with the address


def gain(lab, family):
    lab.ip("a", "addr", "add", f"{OUTER['a'][family]}/{PREFIX[family]}", "dev", "wire", *(["nodad"] if family == 6 else []))
    lab.ip("a", f"-{family}", "route", "replace", "default", "via", OUTER["b"][family])


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


def paths(peer):
    """Where our IKE SAs are, and where their Child SAs count their packets."""
    return {(sa["local"], sa["remote"]) for sa in peer.tunnel()["ike_sas"]}


def add_families(who, ours, first, second):
    about = f"{'we begin' if ours else 'the peer begins'} over IPv{first}"

    @case(f"mobike-{who}-v{first}-to-v{second}", f"{about}, and {'our' if ours else 'its'} network has only IPv{second}, then IPv{first} again: "
          "the SAs move from one family to the other and back (RFC 4555 3.4)", seconds=60)
    def _(setup):
        pair = setup.pair(swap=not ours, launch=False, outer=first, roams=True, liveness=2)
        pair.start()
        near = pair.sut if ours else pair.peer
        near.up()
        pair.wait_up()
        pair.prove()

        def to(family, other):
            gain(pair.lab, family)
            lose(pair.lab, other)
        # The host has both at first, and stays where it is.
        check(pair.sut.log().count("moved from ") == 0, "it moved although nothing had changed")
        taken = move(pair, lambda: lose(pair.lab, first))
        check(all(OUTER["a"][second] in str(one) and OUTER["b"][second] in str(one) for one in paths(pair.sut)),
              f"the path should be of IPv{second}: {paths(pair.sut)}")
        setup.note(f"to IPv{second} within {taken:.1f} s")
        taken = move(pair, lambda: to(first, second))
        check(all(OUTER["a"][first] in str(one) for one in paths(pair.sut)), f"the path should be of IPv{first} again: {paths(pair.sut)}")
        setup.note(f"back within {taken:.1f} s")
        for mover in pair.both:
            mover.rekey_child()
            time.sleep(1)
            pair.prove()


def add_v6(who, ours):
    @case(f"mobike-{who}-v6", f"{'we begin' if ours else 'the peer begins'} over IPv6, and {'our' if ours else 'its'} address goes, and comes "
          "back: the SAs move", seconds=60)
    def _(setup):
        pair = setup.pair(swap=not ours, launch=False, outer=6, roams=True, liveness=2)
        lose(pair.lab, 4)
        second_link(pair.lab, 6)
        pair.start()
        near = pair.sut if ours else pair.peer
        near.up()
        pair.wait_up()
        pair.prove()
        taken = move(pair, lambda: pair.lab.ip("a", "link", "set", "wire", "down"))
        check(all(SECOND["a"][6] in str(one) for one in paths(pair.sut)), f"the path should be over the other link: {paths(pair.sut)}")
        setup.note(f"moved within {taken:.1f} s")

        def back():
            pair.lab.ip("a", "link", "set", "wire", "up")
            gain(pair.lab, 6)
            pair.lab.ip("a", "link", "set", "wire2", "down")
        taken = move(pair, back)
        check(all(OUTER["a"][6] in str(one) for one in paths(pair.sut)), f"the path should be over the first link: {paths(pair.sut)}")
        setup.note(f"back within {taken:.1f} s")
        for mover in pair.both:
            mover.rekey_child()
            time.sleep(1)
            pair.prove()


for _who, _ours in (("initiator", True), ("responder", False)):
    add_families(_who, _ours, 4, 6)
    add_families(_who, _ours, 6, 4)
    add_v6(_who, _ours)


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
