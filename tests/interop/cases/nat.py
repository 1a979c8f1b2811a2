"""A NAT between the two (nftables masquerade with random ports)."""

import time

from rig import traffic
from rig.case import case
from rig.shell import check


def add(place):
    @case(f"nat-{place}", f"we are {place} a NAT that gives random ports; also rekeying and deleting across it")
    def _(setup):
        pair = setup.pair(layout="nat", swap=place == "outside")
        inner = pair.sut if place == "behind" else pair.peer
        inner.up()
        pair.wait_up()
        pair.prove()
        for mover in pair.both:
            mover.rekey_child()
            time.sleep(1)
            pair.prove()
            mover.rekey_ike()
            time.sleep(1)
            pair.prove()
        pair.sut.down()
        pair.wait_down()
        inner.up()
        pair.wait_up()
        pair.prove()


add("behind")
add("outside")


def add_forget(place):
    @case(f"nat-mapping-lost-{place}", f"we are {place} the NAT and it forgets its mappings: the outer end follows to the new port")
    def _(setup):
        pair = setup.pair(layout="nat", swap=place == "outside", liveness=1, mobike=False)
        (pair.sut if place == "behind" else pair.peer).up()
        pair.wait_up()
        pair.prove()
        pair.lab.forget_mappings()
        check(traffic.wait_for_traffic(pair.lab, "a", seconds=10) < 10, "no traffic")
        pair.prove()


add_forget("behind")
add_forget("outside")
