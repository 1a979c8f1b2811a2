"""A daemon ends, by SIGTERM or by SIGKILL, and is started again: traffic is back by itself within 5 s of the start."""

import signal
import time

from rig import traffic
from rig.case import case
from rig.shell import check

BOUND = 5.0
KINDS = {"term": signal.SIGTERM, "kill": signal.SIGKILL}


def restart(setup, pair, who, sig):
    pair.wait_up(8)
    pair.prove()
    daemon = pair.sut if who == "us" else pair.peer
    daemon.kill(sig)
    begin = time.monotonic()
    daemon.start()
    traffic.wait_for_traffic(pair.lab, "a", seconds=15)
    took = time.monotonic() - begin
    setup.note(f"traffic back {took:.2f} s after the start")
    check(took < BOUND, f"traffic came back only {took:.1f} s after the start")
    time.sleep(0.5)
    pair.wait_up()
    pair.prove()


def add(who, word, peer_kind):
    both = "-culvert" if peer_kind == "culvert" else ""

    @case(f"restart{both}-{who}-{word}", f"{'our daemon' if who == 'us' else 'the peer'} gets {KINDS[word].name} and is started again"
          + (", Culvert at both ends" if both else ""), only=("culvert",) if both else ())
    def _(setup):
        restart(setup, setup.pair(peer_kind=peer_kind, start="auto"), who, KINDS[word])


def add_lone_initiator(word, peer_kind):
    @case(f"restart-waiting-{peer_kind}-{word}", f"only our end begins tunnels; the peer ({peer_kind}) gets {KINDS[word].name} and is started "
          "again, and packets of both ends go on", only=("culvert",))
    def _(setup):
        pair = setup.pair(peer_kind=peer_kind, sut={"start": "auto"})
        streams = [traffic.Stream(pair.lab, side) for side in ("a", "b")]
        restart(setup, pair, "peer", KINDS[word])
        for stream in streams:
            stream.finish()


# After SIGKILL strongSwan says nothing about SPIs that it no longer knows: our end must find out by itself.
for _peer_kind in ("strongswan", "culvert"):
    for _word in KINDS:
        add_lone_initiator(_word, _peer_kind)
for _kind in ("strongswan", "culvert"):
    for _who in ("us", "peer"):
        for _word in KINDS:
            add(_who, _word, _kind)
