"""Rekeying while packets flow: none may be lost that the network did not lose."""

import time

from rig.case import case
from rig.shell import check, wait_until
from rig.traffic import Stream


def spis(daemon):
    return {c.spi_in for c in daemon.state().children}


def begin(setup, **options):
    pair = setup.pair(**options)
    pair.sut.up()
    pair.wait_up()
    return pair, [Stream(pair.lab, side) for side in ("a", "b")]


def finish(setup, pair, streams):
    time.sleep(0.5)
    for name, stream in zip("ab", streams):
        sent, lost = stream.finish()
        check(sent > 50, f"the stream from {name} sent only {sent} packets")
        check(lost == 0, f"the stream from {name} lost {lost} of {sent} packets")
        setup.note(f"from {name} {sent} packets, none lost")
    wait_until(lambda: all(len(p.state().children) == 1 and len(p.state().ike) == 1 for p in pair.both), 8,
               "one IKE SA and one child SA is left at each end")
    pair.prove()


def add(what, who, suffix="", **options):
    @case(f"rekey-{what}-by-{who}{suffix}", f"{who} rekeys the {what} SA three times on command, traffic going on")
    def _(setup):
        pair, streams = begin(setup, **options)
        mover = pair.sut if who == "us" else pair.peer
        for _ in range(3):
            time.sleep(0.3)
            before = [p.state() for p in pair.both]
            mover.rekey_child() if what == "child" else mover.rekey_ike()

            def changed(before=before):
                now = [p.state() for p in pair.both]
                if what == "child":
                    return all({c.spi_in for c in n.children} - {c.spi_in for c in b.children} for n, b in zip(now, before))
                return all(set(n.ike) - set(b.ike) for n, b in zip(now, before))
            wait_until(changed, 5, f"both ends have a new {what} SA")
            wait_until(lambda: all(len(p.state().children) == 1 and len(p.state().ike) == 1 for p in pair.both), 8,
                       "the old SA is gone")
        finish(setup, pair, streams)


for _what in ("child", "ike"):
    for _who in ("us", "peer"):
        add(_what, _who)
for _who in ("us", "peer"):
    # With a key exchange of its own in every rekey; the first child SA of an IKE SA has none (RFC 7296 1.2).
    add("child", _who, "-pfs", esp="aes256gcm16-ecp256")


def add_lifetimes(who, **sides):
    @case(f"rekey-lifetimes-{who}", f"short lifetimes ({who}): the child SA is rekeyed three times and the IKE SA too, traffic going on",
          seconds=70)
    def _(setup):
        pair, streams = begin(setup, **sides)
        seen, seen_ike = set(), set()

        def enough():
            now = pair.sut.state()
            seen.update(c.spi_in for c in now.children)
            seen_ike.update(now.ike)
            return len(seen) >= 4 and len(seen_ike) >= 2
        wait_until(enough, 40, "four child SAs and two IKE SAs have been seen", 0.2)
        setup.note(f"{len(seen)} child SAs, {len(seen_ike)} IKE SAs")
        finish(setup, pair, streams)


_SHORT = {"child_lifetime": 3, "ike_lifetime": 5}
add_lifetimes("ours", sut=_SHORT)
add_lifetimes("theirs", peer=_SHORT)
add_lifetimes("both", **_SHORT)  # the two meet: simultaneous rekeys
