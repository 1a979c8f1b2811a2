"""Packets between protected networks never travel in the clear, whatever state the tunnel is in."""

import signal
import time

from rig import traffic, wire
from rig.case import case
from rig.shell import check, wait_until

ONLY = ("culvert",)


def nothing_clear(capture, minimum=0):
    classes, others = capture.stop()
    check(not classes[wire.OTHER], f"on the wire in the clear: {others}")
    check(sum(classes.values()) >= minimum, "the capture saw nothing at all")


@case("leak-rig", "without a tunnel the same pings do appear on the wire: the other leak cases are able to fail")
def leak_rig(setup):
    lab = setup.lab()
    capture = wire.Capture(lab, "a")
    for family in (4, 6):
        check(traffic.ping(lab, "a", family, 3) == 3, "the namespaces do not reach each other")
    classes, others = capture.stop()
    check(classes[wire.OTHER] == 12, f"12 frames in the clear expected: {dict(classes)} {others}")


@case("leak-down", "a configured tunnel that is down holds its packets back", only=ONLY)
def leak_down(setup):
    pair = setup.pair(inner=(4, 6), peer_kind="culvert")
    capture = wire.Capture(pair.lab, "a")
    for family in (4, 6):
        check(traffic.ping(pair.lab, "a", family, 5, wait=0.2) == 0, "a ping came back without a tunnel")
    nothing_clear(capture)
    pair.sut.up()
    pair.wait_up()
    pair.prove()


@case("leak-life", "from connecting over rekeys and a delete to the next set-up, with a ping stream all the time", only=ONLY)
def leak_life(setup):
    pair = setup.pair(peer_kind="culvert")
    capture = wire.Capture(pair.lab, "a")
    streams = [traffic.Stream(pair.lab, side) for side in ("a", "b")]
    for _ in range(2):
        pair.sut.up()
        pair.wait_up()
        pair.sut.rekey_child()
        pair.peer.rekey_ike()
        time.sleep(0.5)
        # The peer ends what we want: for an instant there is nothing, then we set up anew, until we do not want it either.
        old = set(pair.sut.state().ike)
        pair.peer.down()
        wait_until(lambda: not any(old & set(p.state().ike) for p in pair.both), 5, "both ends have forgotten the IKE SA")
        pair.sut.down()
        pair.wait_down()
        time.sleep(0.2)
    for stream in streams:
        stream.finish()
    nothing_clear(capture, 50)
    pair.sut.up()
    pair.wait_up()
    pair.prove()


def restart(setup, sig, streaming):
    """The daemon at `b` ends and is started again while the ends named in `streaming` ping all the time, in both families."""
    pair = setup.pair(inner=(4, 6), peer_kind="culvert", start="auto")
    pair.wait_up(8)
    capture = wire.Capture(pair.lab, "a")
    streams = [traffic.Stream(pair.lab, side, family) for side in streaming for family in (4, 6)]
    time.sleep(0.3)
    pair.peer.kill(sig)
    time.sleep(0.7)
    pair.peer.start()
    traffic.wait_for_traffic(pair.lab, "a", seconds=8)
    time.sleep(0.3)
    for stream in streams:
        stream.finish()
    nothing_clear(capture, 50)
    pair.wait_up()
    pair.prove()


@case("leak-restart-term", "the other end's daemon gets SIGTERM and is started again, with ping streams from our end all the time", only=ONLY)
def leak_restart_term(setup):
    # Not from its end: a daemon that is told to end takes its routes and guards back, and its host is no longer protected.
    restart(setup, signal.SIGTERM, "a")


@case("leak-restart-kill", "a daemon gets SIGKILL and is started again, with ping streams from both hosts all the time", only=ONLY)
def leak_restart_kill(setup):
    restart(setup, signal.SIGKILL, "ab")


@case("leak-inbound", "what arrives in the clear although a tunnel should carry it is dropped and counted", only=ONLY)
def leak_inbound(setup):
    pair = setup.pair(inner=(4, 6), peer_kind="culvert")
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    # Without its daemon the other host sends in the clear, as somebody on the path could.
    pair.peer.stop()
    for family in (4, 6):
        check(traffic.ping(pair.lab, "b", family, 3, wait=0.2) == 0, "an answer to a ping in the clear")
    dropped = pair.sut.status()["packet_drops"].get("clear_from_wire", 0)
    check(dropped >= 6, f"six pings came in the clear, {dropped} were dropped for it")
