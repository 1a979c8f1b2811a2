"""Authentication by certificate: every kind of key with an authority between, in both roles; and whom we refuse, and why."""

import re
from dataclasses import replace

from rig.authority import DAY, Authority, Pki, new_key, raw_ends
from rig.case import case
from rig.shell import Failed, check, reason_of, run, wait_until


def make(setup, kind="p256", **options):
    """A pair whose tunnels authenticate by certificate, not started; and its certificates."""
    pair = setup.pair(launch=False, **options)
    pki = Pki(pair.lab, kind)
    for daemon, credentials in zip(pair.both, pki.ends):
        daemon.tunnels = [t.but(credentials=credentials) for t in daemon.tunnels]
    return pair, pki


def give(daemon, **changes):
    daemon.tunnels = [t.but(credentials=replace(t.credentials, **changes)) for t in daemon.tunnels]


def initiate(pair, role):
    (pair.sut if role == "initiator" else pair.peer).up()
    pair.wait_up()
    pair.prove()


for _role in ("initiator", "responder"):
    for _kind, _about in (("rsa", "RSA of 2048 bits"), ("p256", "ECDSA on P-256"), ("p384", "ECDSA on P-384"), ("p521", "ECDSA on P-521"),
                          ("ed25519", "Ed25519"), ("ed448", "Ed448")):
        @case(f"certificate-{_kind}-{_role}", f"{_about} and an authority between, we are the {_role}")
        def _(setup, role=_role, kind=_kind):
            pair, _ = make(setup, kind)
            pair.start()
            initiate(pair, role)

    @case(f"certificate-rsa-pss-{_role}", f"RSA by PSS from end to end, also of the authorities, which strongSwan is told to use; we are the {_role}",
          only=("culvert",))
    def _(setup, role=_role):
        pair, _ = make(setup, "rsa-pss")
        pair.peer.settings = "rsa_pss = yes"
        pair.start()
        initiate(pair, role)
        signed_by_pss(pair.peer)


def signed_by_pss(strongswan):
    """Both ends have signed so, as its log tells."""
    for whose in (r"'bob.example' \(myself\)", "'alice.example'"):
        check(re.search(rf"authentication of {whose} with RSA_EMSA_PSS_SHA2_\d+", strongswan.log()), f"{whose} did not sign by PSS")


for _role in ("initiator", "responder"):
    for _peer in ("strongswan", "culvert"):
        for _kind in ("rsa", "p256", "ed25519"):
            @case(f"raw-key-{_kind}-{_peer}-{_role}", f"no certificates, each end knows the other's {_kind} key; we are the {_role}",
                  only=("culvert",))
            def _(setup, role=_role, kind=_kind, peer=_peer):
                pair = setup.pair(launch=False, peer_kind=peer)
                for daemon, credentials in zip(pair.both, raw_ends(pair.lab, kind)):
                    daemon.tunnels = [t.but(credentials=credentials) for t in daemon.tunnels]
                pair.start()
                initiate(pair, role)

    @case(f"raw-key-unknown-{_role}", f"the peer has another key than we know; we are the {_role} and refuse it", only=("culvert",))
    def _(setup, role=_role):
        pair = setup.pair(launch=False, peer_kind="culvert")
        ends = raw_ends(pair.lab, "ed25519")
        for daemon, credentials in zip(pair.both, ends):
            daemon.tunnels = [t.but(credentials=credentials) for t in daemon.tunnels]
        give(pair.sut, peer_key=pair.lab.path("keys") + "/stranger.key.pub")
        run("openssl", "pkey", "-in", new_key(pair.lab.path("keys") + "/stranger.key", "ed25519"), "-pubout", "-out",
            pair.lab.path("keys") + "/stranger.key.pub")
        pair.start()
        refused(pair, role, r"the peer has the key SHA256:[0-9a-f]{16}, this connection expects SHA256:", told=("public_key",))


@case("certificate-ipv6", "certificates over IPv6: messages longer than a packet, cut by the kernel")
def _(setup):
    pair, _ = make(setup, "rsa", outer=6)
    pair.start()
    initiate(pair, "initiator")


@case("certificate-chain", "three certificates from each side, RSA of 2048 bits: messages of three packets, in both roles")
def _(setup):
    pair, pki = make(setup, "rsa")
    for daemon, name in zip(pair.both, ("alice.example", "bob.example")):
        branch = Authority(pki.folder, "branch-" + name, "rsa", pki.middle)
        end = pki.end(name, f"DNS:{name}", issuer=branch)
        check(len(end.chain) == 3, f"a chain of {len(end.chain)}")
        give(daemon, chain=end.chain, key=end.key)
    pair.start()
    initiate(pair, "initiator")
    pair.sut.down()
    pair.wait_down()
    initiate(pair, "responder")


@case("certificate-subject", "the identities are the subjects of the certificates")
def _(setup):
    pair, _ = make(setup)
    names = ["C=CH, O=Culvert, CN=alice.example", "C=CH, O=Culvert, CN=bob.example"]
    for daemon, own, other in zip(pair.both, names, reversed(names)):
        daemon.tunnels = [t.but(local_id=own, remote_id=other) for t in daemon.tunnels]
    pair.start()
    initiate(pair, "responder")


@case("certificate-rekey", "an IKE SA by certificates is rekeyed by either side")
def _(setup):
    pair, _ = make(setup)
    pair.start()
    initiate(pair, "initiator")
    for daemon in pair.both:
        before = daemon.state().ike
        daemon.rekey_ike()
        wait_until(lambda: daemon.state().up and daemon.state().ike != before, 10, "the IKE SA was rekeyed")
        pair.prove()


@case("certificate-reload", "new certificates by `culvert apply` leave the tunnel up", only=("culvert",))
def _(setup):
    pair, pki = make(setup)
    pair.start()
    initiate(pair, "initiator")
    before = pair.sut.state().ike
    renewed = pki.end("alice.example", "DNS:alice.example,DNS:alice.example.net", kind="rsa")
    give(pair.sut, chain=renewed.chain, key=renewed.key)
    pair.sut.reload()
    check(pair.sut.state().ike == before, "the IKE SA was given up for new files")
    pair.prove()
    pair.sut.down()
    pair.wait_down()
    initiate(pair, "responder")


@case("certificate-reload-list", "a new list by `culvert apply` leaves the tunnel up, and counts for the next one; a broken one changes nothing",
      only=("culvert",), seconds=60)
def _(setup):
    pair, pki = make(setup)
    give(pair.sut, lists=pki.lists())
    pair.start()
    initiate(pair, "responder")
    before = pair.sut.state().ike
    with open(pki.lists()[1], "w", encoding="ascii") as f:
        f.write("-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n")
    said = pair.sut.command("apply", "--json", ok=(4,))
    check("list.crl" in said, f"nobody says which list is broken: {said[-300:]}")
    check(pair.sut.state().ike == before, "the IKE SA was given up for a broken list")
    pair.prove()
    pki.middle.revoke(pair.peer.tunnels[0].credentials.chain[0], "keyCompromise")
    pki.lists()  # into the same files
    pair.sut.command("apply")
    check(pair.sut.state().ike == before, "the IKE SA was given up for a new list")
    pair.prove()
    for daemon in pair.both:
        daemon.down_quietly()
    pair.wait_down()
    refused(pair, "responder", r"serial [0-9a-f]+\): revoked: revoked on", ("revoked",))
    pair.peer.down_quietly()
    renewed = pki.end("bob2", "DNS:bob.example")
    give(pair.peer, chain=renewed.chain, key=renewed.key)
    pair.peer.reload()
    initiate(pair, "responder")


@case("certificate-old-peer", "a peer without RFC 7427 signs ECDSA by method 9; we answer likewise")
def _(setup):
    pair, _ = make(setup)
    pair.peer.settings = "signature_authentication = no"
    pair.start()
    for role in ("initiator", "responder"):
        initiate(pair, role)
        pair.sut.down()
        pair.wait_down()
    initiate(pair, "initiator")


@case("certificate-sha1", "a peer without RFC 7427 that has an RSA key: refused, and let in by compat", only=("culvert",))
def _(setup):
    pair, _ = make(setup, "rsa")
    pair.peer.settings = "signature_authentication = no"
    pair.start()
    refused(pair, "responder", r"RSA over SHA-1 \(method 1\), which compat")
    pair.sut.more = 'compat = ["sha1"]\n'
    pair.sut.reload()
    for role in ("initiator", "responder"):
        initiate(pair, role)
        pair.sut.down()
        pair.wait_down()
    initiate(pair, "initiator")


def refused(pair, role, reason, told=None):
    """Nothing comes up; our log says why; the peer hears AUTHENTICATION_FAILED and no more."""
    text = None
    try:
        (pair.sut if role == "initiator" else pair.peer).up()
    except Failed as refusal:
        text = str(refusal)
    check(text is not None, "the tunnel came up although it must not")
    check(re.search(reason, text + pair.sut.log(), re.I), f"our end does not say why (looked for '{reason}'): {text}")
    wait_until(lambda: not any(d.state().ike or d.state().children for d in pair.both), 8, "nothing is left")
    check(re.search(pair.peer.hears_refusal, pair.peer.log(), re.I), "the peer was not told")
    if pair.sut.kind == "culvert" and told is not None:
        failure = pair.sut.tunnel()["last_failure"]
        check(failure["kind"] == "authentication_failed", f"kind {failure['kind']}")
        check(reason_of(failure) in told, f"the last failure is {failure}")
        why = pair.sut.why()
        check(why and why[0]["tunnel"] == "net" and reason_of(why[0]) in told and why[0]["identity"] == "bob.example",
              f"culvert why says {why}")


def add_refusal(name, about, told, reason, break_it):
    for role in ("initiator", "responder"):
        @case(f"certificate-{name}-{role}", f"{about}; we are the {role} and refuse it", seconds=60)
        def _(setup, role=role):
            pair, pki = make(setup)
            good = [list(d.tunnels) for d in pair.both]
            break_it(pair, pki)
            pair.start()
            refused(pair, role, reason, told)
            for daemon, tunnels in zip(pair.both, good):
                daemon.down_quietly()
                daemon.tunnels = tunnels
                daemon.reload()
            initiate(pair, role)


def expire(pair, pki):
    end = pki.end("late", "DNS:bob.example", begin=-9 * DAY, end=-DAY)
    give(pair.peer, chain=end.chain, key=end.key)


def too_early(pair, pki):
    end = pki.end("early", "DNS:bob.example", begin=DAY, end=9 * DAY)
    give(pair.peer, chain=end.chain, key=end.key)


def weaken(pair, pki):
    end = pki.end("weak", "DNS:bob.example", kind="rsa-1024")
    give(pair.peer, chain=end.chain, key=end.key)


def other_authority(pair, pki):
    stranger = Authority(pki.folder, "stranger")
    certificate, key = stranger.issue("bob.example", "DNS:bob.example")
    give(pair.peer, chain=(certificate,), key=key)


def without_the_middle(pair, pki):
    # An authority of its own: the one that also certified us the peer would know from us, and send along.
    branch = Authority(pki.folder, "branch", pki.kind, pki.root)
    certificate, key = branch.issue("bob.example", "DNS:bob.example")
    give(pair.peer, chain=(certificate,), key=key)


def revoke(pair, pki):
    pki.middle.revoke(pair.peer.tunnels[0].credentials.chain[0])
    give(pair.sut, lists=pki.lists())
    # Whoever is renewed is let in again.
    pki.renewed = pki.end("bob2", "DNS:bob.example")


def other_identity(pair, pki):
    # The peer's own daemon would not claim an identity that its certificate lacks: it says bob.example, and the
    # certificate is for that and more; ours expects another.
    pair.sut.tunnels = [t.but(remote_id="carol.example") for t in pair.sut.tunnels]


add_refusal("expired", "the peer's certificate has ended", ("expired",), r"expired: it ended on|certificate.*invalid", expire)
add_refusal("not-yet", "the peer's certificate is of tomorrow", ("not_yet_valid",), r"not yet valid|not_yet_valid|certificate.*invalid", too_early)
add_refusal("weak-key", "the peer's certificate has an RSA key of 1024 bits", ("key_strength",), r"key_strength.*1024", weaken)
add_refusal("other-authority", "the peer's certificate is of an authority that we do not believe", ("issuer",),
            r"neither believed|no issuer certificate found|no trusted", other_authority)
add_refusal("no-intermediate", "the peer sends its certificate without the one between", ("issuer",),
            r"neither believed|no issuer certificate found|no trusted", without_the_middle)


for _role in ("initiator", "responder"):
    @case(f"certificate-revoked-{_role}", f"the peer's certificate is on its authority's list; we are the {_role} and refuse it")
    def _(setup, role=_role):
        pair, pki = make(setup)
        revoke(pair, pki)
        pair.start()
        refused(pair, role, r"revoked", ("revoked",))
        for daemon in pair.both:
            daemon.down_quietly()
        give(pair.peer, chain=pki.renewed.chain, key=pki.renewed.key)
        pair.peer.reload()
        initiate(pair, role)

    @case(f"certificate-wrong-identity-{_role}", f"the peer is another one than we expect; we are the {_role} and refuse it")
    def _(setup, role=_role):
        pair, pki = make(setup)
        good = list(pair.sut.tunnels)
        other_identity(pair, pki)
        pair.start()
        # Before any certificate is looked at: no connection is for that identity.
        refused(pair, role, r"expects carol\.example|no matching peer config|AUTHENTICATION_FAILED")
        pair.sut.down_quietly()
        pair.peer.down_quietly()
        pair.sut.tunnels = good
        pair.sut.reload()
        initiate(pair, role)

    @case(f"certificate-we-are-refused-{_role}", f"our certificate is of an authority that the peer does not believe; we are the {_role}")
    def _(setup, role=_role):
        pair, pki = make(setup)
        good = list(pair.sut.tunnels)
        stranger = Authority(pki.folder, "stranger")
        certificate, key = stranger.issue("alice.example", "DNS:alice.example")
        give(pair.sut, chain=(certificate,), key=key)
        pair.start()
        # As initiator we are told, as responder only by a farewell behind our answer.
        refused(pair, role, r"AUTHENTICATION_FAILED" if role == "initiator" else r"")
        for daemon in pair.both:
            daemon.down_quietly()
        pair.sut.tunnels = good
        pair.sut.reload()
        initiate(pair, role)
