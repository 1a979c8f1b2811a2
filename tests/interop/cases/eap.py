"""EAP: the initiator proves itself by a password, the responder by certificate or secret; in both roles; and who is refused."""

import re
from dataclasses import replace

from rig.authority import Authority, Pki
from rig.case import case
from rig.shell import Failed, check, wait_until
from rig.tunnel import Eap

CAROL = "carol@example.net"
PASSWORD = "a pass phrase for carol"


def make(setup, role, methods, certificates=True, identity=CAROL, secret=PASSWORD, **options):
    """A pair, not started: the one in the role of the initiator is the client."""
    pair = setup.pair(launch=False, **options)
    ends = Pki(pair.lab).ends if certificates else (None, None)
    client = pair.sut if role == "initiator" else pair.peer
    for daemon, credentials in zip(pair.both, ends):
        eap = Eap(methods, identity, secret) if daemon is client else Eap(methods, users=((CAROL, PASSWORD), ("dave", "another")))
        daemon.tunnels = [t.but(credentials=credentials, eap=eap) for t in daemon.tunnels]
    return pair, client


def change(daemon, **changes):
    daemon.tunnels = [t.but(eap=replace(t.eap, **changes)) for t in daemon.tunnels]


for _role in ("initiator", "responder"):
    for _method in ("mschapv2", "md5", "gtc"):
        # strongSwan's server asks PAM about GTC: only Culvert's is asked here.
        if _method == "gtc" and _role == "initiator":
            continue

        @case(f"eap-{_method}-{_role}", f"EAP {_method} behind the responder's certificate, we are the {_role}")
        def _(setup, role=_role, method=_method):
            pair, client = make(setup, role, (method,))
            pair.start()
            client.up()
            pair.wait_up()
            pair.prove()
            if pair.sut.kind == "culvert":
                check(re.search(f"EAP of '{CAROL}' by {method.upper()} has gone well", pair.sut.log()), "our log does not say who came")

    @case(f"eap-secret-{_role}", f"EAP mschapv2 behind the responder's shared secret, we are the {_role}")
    def _(setup, role=_role):
        pair, client = make(setup, role, ("mschapv2",), certificates=False)
        pair.start()
        client.up()
        pair.wait_up()
        pair.prove()

    @case(f"eap-rekey-{_role}", f"an IKE SA by EAP is rekeyed by either side, we are the {_role}")
    def _(setup, role=_role):
        pair, client = make(setup, role, ("mschapv2",))
        pair.start()
        client.up()
        pair.wait_up()
        for daemon in pair.both:
            before = daemon.state().ike
            daemon.rekey_ike()
            wait_until(lambda: daemon.state().up and daemon.state().ike != before, 10, "the IKE SA was rekeyed")
            pair.prove()


@case("eap-negotiated", "the client says no to the first method and names another", only=("culvert",))
def _(setup):
    pair, client = make(setup, "responder", ("mschapv2", "md5"))
    change(client, methods=("md5",))
    pair.start()
    client.up()
    pair.wait_up()
    pair.prove()
    check("by MD5 has gone well" in pair.sut.log(), "it was not MD5")


@case("eap-culvert", "Culvert at both ends: each method", only=("culvert",))
def _(setup):
    pair, client = make(setup, "initiator", ("mschapv2", "md5", "gtc"), peer_kind="culvert")
    pair.start()
    for method in ("mschapv2", "md5", "gtc"):
        change(client, methods=(method,))
        client.reload()
        client.up()
        pair.wait_up()
        pair.prove()
        client.down()
        pair.wait_down()
    client.up()
    pair.wait_up()
    pair.prove()


@case("eap-any-identity", "the client has an identity in IKE that nobody told the server", only=("culvert",))
def _(setup):
    pair, client = make(setup, "responder", ("mschapv2",))
    pair.sut.tunnels = [t.but(remote_id="", remote="any") for t in pair.sut.tunnels]
    client.tunnels = [t.but(local_id="somebody.else.example") for t in client.tunnels]
    pair.start()
    client.up()
    pair.wait_up()
    pair.prove()


def refused(pair, client, reason, told):
    """Nothing comes up, our log says why and holds no password, the structured reason names the check."""
    try:
        client.up()
    except Failed as refusal:
        text = str(refusal)
    else:
        raise Failed("the tunnel came up although it must not")
    check(re.search(reason, text + pair.sut.log(), re.I), f"our end does not say why (looked for '{reason}'): {text}")
    wait_until(lambda: not any(d.state().ike or d.state().children for d in pair.both), 8, "nothing is left")
    if pair.sut.kind == "culvert":
        check("phrase" not in pair.sut.log() and "phrase" not in text, "a password stands in the log")
        failure = pair.sut.tunnel()["last_failure"]
        check(failure["kind"] == "authentication_failed", f"kind {failure['kind']}")
        check(failure["refusal"] and failure["refusal"]["check"] == told, f"the structured reason is {failure['refusal']}")


for _role in ("initiator", "responder"):
    @case(f"eap-wrong-password-{_role}", f"the client's password is another; we are the {_role}", seconds=60)
    def _(setup, role=_role):
        pair, client = make(setup, role, ("mschapv2",), secret="not the pass phrase")
        pair.start()
        refused(pair, client, CAROL + ".*MSCHAPV2", "password")
        client.down_quietly()
        change(client, secret=PASSWORD)
        client.reload()
        client.up()
        pair.wait_up()
        pair.prove()


@case("eap-unknown-identity", "the client is one that we do not know", seconds=60, only=("culvert",))
def _(setup):
    pair, client = make(setup, "responder", ("mschapv2",), identity="eve")
    pair.start()
    refused(pair, client, "nobody is called 'eve'", "identity")
    client.down_quietly()
    change(client, identity=CAROL)
    client.reload()
    client.up()
    pair.wait_up()
    pair.prove()


@case("eap-wrong-server", "the server is of an authority that we do not believe: it hears nothing of who we are", seconds=60, only=("culvert",))
def _(setup):
    pair, client = make(setup, "initiator", ("mschapv2",))
    good = list(pair.peer.tunnels)
    authority = Authority(pair.lab.path("pki"), "stranger")
    certificate, key = authority.issue("bob.example", "DNS:bob.example")
    pair.peer.tunnels = [t.but(credentials=replace(t.credentials, chain=(certificate,), key=key)) for t in good]
    pair.start()
    refused(pair, client, "issuer", "issuer")
    check("received EAP identity" not in pair.peer.log(), "the server has heard our identity")
    client.down_quietly()
    pair.peer.tunnels = good
    pair.peer.reload()
    client.up()
    pair.wait_up()
    pair.prove()
