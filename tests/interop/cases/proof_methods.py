"""Ends that prove themselves in different ways: one by secret, the other by certificate, or by nothing at all (RFC 7619)."""

from rig.case import case
from rig.shell import Failed, check

from cases.certificates import initiate, make


def differ(pair, own, other):
    for daemon, first, second in ((pair.sut, own, other), (pair.peer, other, own)):
        daemon.tunnels = [t.but(own_proof=first, peer_proof=second) for t in daemon.tunnels]


for _role in ("initiator", "responder"):
    for _own, _other in (("secret", "certificate"), ("certificate", "secret")):
        @case(f"proof-{_own}-{_other}-{_role}", f"we prove ourselves by {_own}, the peer by {_other}; we are the {_role}", only=("culvert",))
        def _(setup, role=_role, own=_own, other=_other):
            pair, _ = make(setup)
            differ(pair, own, other)
            pair.start()
            initiate(pair, role)

    for _own, _other in (("none", "certificate"), ("certificate", "none"), ("none", "none")):
        @case(f"proof-{_own}-{_other}-{_role}", f"we prove ourselves by {_own}, the peer by {_other} (Culvert); we are the {_role}",
              only=("culvert",))
        def _(setup, role=_role, own=_own, other=_other):
            pair, _ = make(setup, peer_kind="culvert")
            differ(pair, own, other)
            for daemon, proofs in ((pair.sut, (own, other)), (pair.peer, (other, own))):
                daemon.tunnels = [t.but(local_id="" if proofs[0] == "none" else t.local_id,
                                        remote_id="" if proofs[1] == "none" else t.remote_id) for t in daemon.tunnels]
            pair.start()
            initiate(pair, role)


@case("proof-none-unasked", "a peer that proves nothing is not let into a tunnel that does not say so", only=("culvert",))
def _(setup):
    pair, _ = make(setup, peer_kind="culvert")
    pair.peer.tunnels = [t.but(own_proof="none", peer_proof="certificate", local_id="") for t in pair.peer.tunnels]
    pair.start()
    try:
        pair.peer.up()
    except Failed:
        check("says it is nobody" in pair.sut.log(), "our end does not say why")
        check(not pair.sut.state().ike, "an IKE SA stands")
        return
    raise Failed("it was let in")
