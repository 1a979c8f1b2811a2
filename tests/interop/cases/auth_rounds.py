"""Several authentications one behind the other (RFC 4739), in both roles; and peers that do not go through all of them."""

import re
from dataclasses import replace

from rig.authority import Authority, Pki
from rig.case import case
from rig.shell import Failed, check, reason_of, wait_until
from rig.tunnel import Eap

CAROL = "carol@example.net"
PASSWORD = "a pass phrase for carol"

# What the initiator does, and what the responder does.
ROUNDS = {
    "certificate-eap": (("certificate", "eap"), ("certificate",)),
    "secret-eap": (("secret", "eap"), ("secret",)),
    "certificate-secret": (("certificate", "secret"), ("certificate",)),
    "eap-certificate": (("eap", "certificate"), ("certificate",)),
    "certificate-secret-eap": (("certificate", "secret", "eap"), ("certificate",)),
    "of-the-responder": (("certificate",), ("certificate", "secret")),
    "of-both": (("certificate", "eap"), ("secret", "certificate")),
}


def make(setup, role, initiator, responder, secret=PASSWORD, **options):
    """A pair, not started, and who begins."""
    pair = setup.pair(launch=False, **options)
    first = pair.sut if role == "initiator" else pair.peer
    for daemon, credentials in zip(pair.both, Pki(pair.lab).ends):
        begins = daemon is first
        eap = None
        if "eap" in initiator:
            eap = Eap(("mschapv2",), CAROL, secret) if begins else Eap(("mschapv2",), users=((CAROL, PASSWORD),))
        own, other = (initiator, responder) if begins else (responder, initiator)
        daemon.tunnels = [t.but(credentials=credentials, own_proof=own, peer_proof=other, eap=eap) for t in daemon.tunnels]
    return pair, first


for _role in ("initiator", "responder"):
    for _name, (_first, _second) in ROUNDS.items():
        @case(f"rounds-{_name}-{_role}", f"rounds of authentication, {' + '.join(_first)} against {' + '.join(_second)}; we are the {_role}")
        def _(setup, role=_role, first=_first, second=_second):
            pair, begins = make(setup, role, first, second)
            pair.start()
            begins.up()
            pair.wait_up()
            pair.prove()
            if pair.sut.kind == "culvert" and role == "responder":
                for number in range(len(first)):
                    check(f"round {number + 1} of {len(first)} of the authentication" in pair.sut.log(), f"our log has no round {number + 1}")


AMY = "amy@example.net"


def two_certificates(setup, role, stranger=False):
    """The initiator shows a certificate of its own, then its user's, of another authority; and who begins."""
    pair = setup.pair(launch=False)
    pki = Pki(pair.lab)
    users = Authority(pki.folder, "users", pki.kind)
    amy = pki.end("amy", f"email:{AMY}", issuer=pki.middle if stranger else users)
    first = pair.sut if role == "initiator" else pair.peer
    for daemon, credentials in zip(pair.both, pki.ends):
        if daemon is first:
            given = replace(credentials, others=((amy.chain, amy.key),))
            proofs = {"own_proof": ("certificate", f"certificate as {AMY}"), "peer_proof": ("certificate",)}
        else:
            given = replace(credentials, authorities=(*credentials.authorities, users.certificate))
            proofs = {"own_proof": ("certificate",), "peer_proof": ("certificate", "certificate as *@example.net")}
        daemon.tunnels = [t.but(credentials=given, **proofs) for t in daemon.tunnels]
    return pair, first


for _role in ("initiator", "responder"):
    @case(f"rounds-two-certificates-{_role}", f"the machine's certificate, then its user's, of another authority; we are the {_role}", only=("culvert",))
    def _(setup, role=_role):
        pair, begins = two_certificates(setup, role)
        pair.start()
        begins.up()
        pair.wait_up()
        pair.prove()
        if role == "responder":
            check(f"round 2 of 2 of the authentication of {AMY}" in pair.sut.log(), "our log has no second round")


@case("rounds-two-certificates-stranger", "the user's certificate is of the machines' authority: no tunnel, though the first round went well", only=("culvert",), seconds=60)
def _(setup):
    pair, begins = two_certificates(setup, "responder", stranger=True)
    pair.start()
    refused(pair, begins, "issuer: ", "issuer")


@case("rounds-rekey", "an IKE SA of two rounds is rekeyed by either side", only=("culvert",))
def _(setup):
    pair, begins = make(setup, "responder", *ROUNDS["certificate-eap"])
    pair.start()
    begins.up()
    pair.wait_up()
    for daemon in pair.both:
        before = daemon.state().ike
        daemon.rekey_ike()
        wait_until(lambda: daemon.state().up and daemon.state().ike != before, 10, "the IKE SA was rekeyed")
        pair.prove()


def refused(pair, begins, reason, check_word):
    """Nothing comes up, and our end says why."""
    try:
        begins.up()
    except Failed as refusal:
        text = str(refusal)
    else:
        raise Failed("the tunnel came up although it must not")
    check(re.search(reason, text + pair.sut.log()), f"our end does not say why (looked for '{reason}'): {text}")
    wait_until(lambda: not any(d.state().ike or d.state().children for d in pair.both), 8, "nothing is left")
    if check_word:
        failure = pair.sut.tunnel()["last_failure"]
        check(reason_of(failure) == check_word, f"the last failure is {failure}")


for _role in ("initiator", "responder"):
    @case(f"rounds-wrong-password-{_role}", f"the second round fails: no tunnel, though the first went well; we are the {_role}", only=("culvert",), seconds=60)
    def _(setup, role=_role):
        pair, begins = make(setup, role, *ROUNDS["certificate-eap"], secret="not that pass phrase")
        pair.start()
        refused(pair, begins, CAROL + ".*MSCHAPV2", "password")
        begins.down_quietly()
        begins.tunnels = [t.but(eap=replace(t.eap, secret=PASSWORD)) for t in begins.tunnels]
        begins.reload()
        begins.up()
        pair.wait_up()
        pair.prove()


@case("rounds-missing", "a client that proves itself by certificate alone is refused where a second round is wanted", only=("culvert",), seconds=60)
def _(setup):
    pair, begins = make(setup, "responder", *ROUNDS["certificate-eap"])
    begins.tunnels = [t.but(own_proof=("certificate",), eap=None) for t in begins.tunnels]
    pair.start()
    refused(pair, begins, "stops after round 1 of 2", "")


@case("rounds-unknown-responder", "to a responder that knows of no rounds we say nothing of who we are", only=("culvert",), seconds=60)
def _(setup):
    pair, begins = make(setup, "initiator", *ROUNDS["certificate-eap"])
    pair.peer.settings = "multiple_authentication = no"
    pair.start()
    refused(pair, begins, "does not know of several rounds", "rounds")
    check("parsed IKE_AUTH request" not in pair.peer.log(), "an IKE_AUTH request came")


@case("rounds-culvert", "Culvert at both ends: every order of rounds", only=("culvert",), seconds=60)
def _(setup):
    pair, begins = make(setup, "initiator", *ROUNDS["certificate-eap"], peer_kind="culvert")
    pair.start()
    for initiator, responder in ROUNDS.values():
        for daemon in pair.both:
            own, other = (initiator, responder) if daemon is begins else (responder, initiator)
            eap = None
            if "eap" in initiator:
                eap = Eap(("mschapv2",), CAROL, PASSWORD) if daemon is begins else Eap(("mschapv2",), users=((CAROL, PASSWORD),))
            daemon.tunnels = [t.but(own_proof=own, peer_proof=other, eap=eap) for t in daemon.tunnels]
            daemon.reload()
        begins.up()
        pair.wait_up()
        pair.prove()
        begins.down()
        pair.wait_down()
