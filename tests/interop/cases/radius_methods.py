"""Our EAP client against FreeRADIUS as server of each method, through a gateway of ours: PEAP and GTC no other peer of these tests has."""

from dataclasses import replace

from rig.authority import Pki
from rig.case import case
from rig.freeradius import FreeRadius
from rig.lab import OUTER
from rig.shell import Failed, check, reason_of, wait_until
from rig.tunnel import Eap
from .radius import section

CAROL, PASSWORD = "carol@example.net", "a pass phrase for carol"
OUTSIDE = "anonymous@example.net"
SERVER = "radius.example"
EACH = {"plain": (("mschapv2", ""), ("md5", ""), ("gtc", "")),
        "tls": (("tls", ""),),
        "ttls": tuple(("ttls", inner) for inner in ("mschapv2", "md5", "gtc", "pap", "chap", "mschapv2-attributes")),
        "peap": tuple(("peap", inner) for inner in ("mschapv2", "md5", "gtc"))}


def make(setup, version):
    """Our client at `a`, our gateway at `b` and FreeRADIUS beside it; only FreeRADIUS is started."""
    pair = setup.pair(launch=False, peer_kind="culvert")
    pki = Pki(pair.lab)
    certificate, key = pki.root.issue("radius", f"DNS:{SERVER}")
    authorities = pair.lab.path("radius-authorities.pem")
    with open(authorities, "w", encoding="ascii") as f:
        for one in (pki.root, pki.middle):
            with open(one.certificate, encoding="ascii") as part:
                f.write(part.read())
    pair.sut.tunnels = [t.but(credentials=pki.end("carol", f"email:{CAROL}"), local_id=CAROL,
                              eap=Eap(("mschapv2",), CAROL, PASSWORD)) for t in pair.sut.tunnels]
    pair.peer.tunnels = [t.but(credentials=pki.ends[1], remote_id=CAROL, eap=Eap(("radius",))) for t in pair.peer.tunnels]
    pair.peer.extra = section(["127.0.0.1"], accounting=False)
    # What is said outside of TLS is anybody: the server says who it was.
    server = FreeRadius(setup, pair.lab, "b", "127.0.0.1", {CAROL: (PASSWORD, {"User-Name": f'"{CAROL}"'})}, default="md5",
                        tls=(certificate, key, authorities), tls_version=version)
    server.start()
    return pair


def use(pair, method, inner, secret=PASSWORD):
    tunnelled = method in ("ttls", "peap")
    pair.sut.tunnels = [t.but(eap=replace(t.eap, methods=(method,), secret=secret, inner=(inner,) if inner else (),
                                          outer=OUTSIDE if tunnelled else "",
                                          server_id=SERVER if tunnelled or method == "tls" else "")) for t in pair.sut.tunnels]
    pair.sut.reload()


def come_in(pair, method, inner):
    said = f"EAP of '{CAROL}' by {method.upper()} has gone well"
    before = pair.peer.log().count(said)
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    check(pair.peer.tunnel()["ike_sas"][0]["eap_identity"] == CAROL, "the gateway does not know who came")
    check(pair.peer.log().count(said) == before + 1, f"{method} with {inner}: our gateway's log does not say who came")
    pair.sut.down()
    pair.wait_down()


def is_refused(pair, method, inner):
    use(pair, method, inner, secret="not the pass phrase")
    try:
        pair.sut.up()
    except Failed as refusal:
        text = str(refusal)
    else:
        raise Failed(f"{method} with {inner}: a wrong password has been taken")
    check("phrase" not in text + pair.sut.log() + pair.peer.log(), "a password stands in a log")
    failure = wait_until(lambda: pair.peer.tunnel()["last_failure"], 5, "our gateway has heard that it failed")
    check(reason_of(failure) in ("reject", "protocol", "refused"), f"{method} with {inner}: the last failure is {failure}")
    wait_until(lambda: not any(d.state().ike for d in pair.both), 8, "nothing is left")
    pair.sut.down_quietly()


for _group, _methods in EACH.items():
    for _version in ("1.2",) if _group == "plain" else ("1.2", "1.3"):
        _by = "MSCHAPv2, MD5 and GTC" if _group == "plain" else f"EAP-{_group.upper()} with TLS {_version}"
        _refusal = "" if _group == "tls" else "; a wrong password is refused"
        _within = {"ttls": ", with all that goes within", "peap": ", with MSCHAPv2, MD5 and GTC within"}.get(_group, "")

        @case(f"radius-client-{_group}" + ("" if _group == "plain" else f"-{_version}"),
              f"our client proves itself to FreeRADIUS by {_by}{_within}{_refusal}", only=("culvert",), seconds=90)
        def _(setup, methods=_methods, version=_version):
            pair = make(setup, version)
            pair.start()
            for method, inner in methods:
                use(pair, method, inner)
                come_in(pair, method, inner)
                if method != "tls":
                    is_refused(pair, method, inner)
