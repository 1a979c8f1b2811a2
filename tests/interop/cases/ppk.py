"""PPK (RFC 8784): with strongSwan, in both roles; left out where both allow it, and refused where one insists."""

import re

from cases import eap, guests
from rig.case import case
from rig.shell import Failed, check, wait_until

SECRET = "6f1d2c7a9be04453a1bb3e60d8c2f7740596aef1d3327c1f8e5b4a0d9c6e2713"
OTHER = "a03f5b1c88d24e6790b1ce5d7f3a6240c1d9e8b7f6a5948372615f4e3d2c1b0a"
USED = re.compile(r"keys with the PPK 'office'")


def initiator(pair, role):
    return pair.sut if role == "initiator" else pair.peer


def used(pair):
    return bool(USED.search(pair.sut.log()))


for _role in ("initiator", "responder"):
    for _proof in ("secret", "certificates"):
        @case(f"ppk-{_role}-{_proof}", f"we are the {_role}, a PPK beside {_proof}, which both insist on; rekeys of IKE and Child SA")
        def _(setup, role=_role, proof=_proof):
            pair = setup.pair(ppk=("office", SECRET, True), launch=False)
            if proof == "certificates":
                guests.flat(pair)
            pair.start()
            initiator(pair, role).up()
            pair.wait_up()
            check(used(pair), "our log does not have the PPK")
            pair.prove()
            before = [p.state() for p in pair.both]
            initiator(pair, role).rekey_ike()
            wait_until(lambda: all(set(p.state().ike) - set(b.ike) for p, b in zip(pair.both, before)), 8, "a new IKE SA at both ends")
            pair.prove()
            initiator(pair, role).rekey_child()
            wait_until(lambda: all({c.spi_in for c in p.state().children} - {c.spi_in for c in b.children} for p, b in zip(pair.both, before)),
                       8, "a new Child SA at both ends")
            pair.prove()

    @case(f"ppk-{_role}-eap", f"we are the {_role}, a PPK beside EAP of the initiator, which both insist on; a rekey of the IKE SA", only=("culvert",))
    def _(setup, role=_role):
        pair, client = eap.make(setup, role, ("mschapv2",), ppk=("office", SECRET, True))
        pair.start()
        client.up()
        pair.wait_up()
        check(used(pair), "our log does not have the PPK")
        check(f"EAP of '{eap.CAROL}' by MSCHAPV2 has gone well" in pair.sut.log(), "our log does not say who came")
        pair.prove()
        before = [p.state() for p in pair.both]
        client.rekey_ike()
        wait_until(lambda: all(set(p.state().ike) - set(b.ike) for p, b in zip(pair.both, before)), 8, "a new IKE SA at both ends")
        pair.prove()

    @case(f"ppk-{_role}-optional", f"we are the {_role}: neither insists on the PPK, and both have it; then the peer has none, or another")
    def _(setup, role=_role):
        pair = setup.pair(ppk=("office", SECRET, False))
        initiator(pair, role).up()
        pair.wait_up()
        check(used(pair), "our log does not have the PPK")
        pair.prove()
        pair.sut.down()
        pair.wait_down()
        # strongSwan as responder takes no other name than its own, whatever it insists on.
        pair.peer.tunnels = [t.but(ppk=("lab", OTHER, False) if role == "responder" else ()) for t in pair.peer.tunnels]
        pair.peer.reload()
        initiator(pair, role).up()
        pair.wait_up()
        check(len(USED.findall(pair.sut.log())) == 1, "our log has the PPK also the second time")
        pair.prove()

    @case(f"ppk-{_role}-refused", f"we are the {_role}: the peer has another PPK under the same name: refused; then it has the same")
    def _(setup, role=_role):
        pair = setup.pair(ppk=("office", SECRET, True), peer={"ppk": ("office", OTHER, True)})
        try:
            initiator(pair, role).up()
        except Failed:
            pass
        check(not any(p.state().up for p in pair.both), "there is a tunnel in spite of it")
        pair.sut.down_quietly()
        pair.peer.tunnels = [t.but(ppk=("office", SECRET, True)) for t in pair.peer.tunnels]
        pair.peer.reload()
        initiator(pair, role).up()
        pair.wait_up()
        pair.prove()
