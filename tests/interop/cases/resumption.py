"""Session resumption (RFC 5723): a ticket brings the tunnel back without a key exchange and without the proofs."""

import signal

from rig import traffic
from rig.case import case
from rig.lab import OUTER
from rig.rounds import Subject
from rig.shell import check, wait_until

OURS = 'resumption = "1h"'


def is_resumed(pair):
    """Of our only IKE SA."""
    found = pair.sut.tunnel()["ike_sas"]
    return len(found) == 1 and found[0]["resumed"]


def silence(lab, begins):
    """Nothing of ours reaches the guest: what it does not hear it does not answer, and nothing of its sending fails."""
    if begins:
        lab.exec("a", "nft", f"add table ip silence; add chain ip silence out {{ type filter hook output priority 0; }}; "
                             f"add rule ip silence out ip daddr {OUTER['b'][4]} drop")
    else:
        lab.exec("a", "nft", "delete table ip silence")


def by_ticket(this):
    """We begin: the peer has lost its IKE SA, or gets what it does not expect; it begins: it suspends, and our daemon is killed meanwhile."""
    pair = this.pair(sut={"ours": OURS, "liveness": 1}, peer={"pluto": (("session-resumption", "yes"),)})
    pair.start()
    this.initiate(pair)
    check(not is_resumed(pair), "the first IKE SA is resumed already")
    if this.role == "initiator":
        # Silence alone tells us: the peer keeps its IKE SA, and the ticket's takes its place.
        silence(this.lab, True)
        wait_until(lambda: not pair.sut.tunnel()["ike_sas"], 120, "we give up the silent peer", 1)
        silence(this.lab, False)
        pair.sut.up()
    else:
        for killed in (False, True):
            pair.peer.suspend()
            if killed:
                pair.sut.kill(signal.SIGKILL)
                pair.sut.start()
            pair.peer.up()
            wait_until(lambda: is_resumed(pair), 8, "the peer's IKE SA is a resumed one")
    wait_until(lambda: is_resumed(pair), 8, "our IKE SA is a resumed one")
    pair.wait_up(8)
    pair.prove()


SUBJECTS = (Subject("resumed", "an IKE SA is resumed by a ticket (RFC 5723), also after our daemon was killed", by_ticket,
                    needs=lambda driver: driver.resumes, absent="no session resumption"),)


@case("resumption-kill", "Culvert at both ends: the gateway is killed, and the tunnel is back by a ticket; once more without the key of tickets",
      only=("culvert",))
def _(setup):
    pair = setup.pair(peer_kind="culvert", start="auto", sut={"ours": OURS}, peer={"ours": OURS, "start": "manual"})
    pair.wait_up(8)
    pair.prove()
    pair.peer.kill(signal.SIGKILL)
    pair.peer.start()
    traffic.wait_for_traffic(pair.lab, "a", seconds=15)
    wait_until(lambda: is_resumed(pair), 8, "the IKE SA is a resumed one")
    pair.prove()
    counters = pair.peer.status()["ike_counters"]
    check(counters["resumed"] == 1 and counters["tickets_given"] >= 1, f"the gateway counts {counters}")
    pair.peer.kill(signal.SIGKILL)
    pair.peer.forget("ticket-keys")
    pair.peer.start()
    traffic.wait_for_traffic(pair.lab, "a", seconds=15)
    wait_until(lambda: pair.sut.tunnel()["ike_sas"] and not is_resumed(pair), 8, "the IKE SA was set up in full")
    pair.wait_up(8)
    pair.prove()
    check(pair.peer.status()["ike_drops"].get("bad_ticket", 0) >= 1, "the gateway did not see the void ticket")
