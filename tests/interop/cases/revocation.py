"""Revocation that is looked up: OCSP (openssl ocsp is the responder), lists fetched by HTTP, responses sent along in IKE."""

import hashlib
import os
import re
import sys
import time
from dataclasses import replace

from rig.case import case
from rig.shell import Failed, check, run, wait_until

from cases.certificates import give, initiate, make, refused

PORT = 8680


class Servers:
    """What the authority between offers over HTTP, in the namespace of the peer."""

    def __init__(self, pair, pki, host=None):
        self.pair, self.pki = pair, pki
        self.host = host or pair.lab.outer(pair.peer.side)
        self.process = None

    @property
    def ocsp_url(self):
        return f"http://{self.host}:{PORT}/"

    def start_ocsp(self, signer=None, port=PORT):
        """`signer` is a certificate and its key; else the authority itself signs."""
        middle = self.pki.middle
        certificate, key = signer or (middle.certificate, middle.key)
        self.process = self.pair.lab.spawn(
            self.pair.peer.side, "openssl", "ocsp", "-index", middle.dir + "/index", "-CA", middle.certificate, "-rsigner",
            certificate, "-rkey", key, "-port", port, "-nmin", 5, "-ignore_err", output=self.pair.lab.path("ocsp"))
        self._wait(port)

    def start_lists(self):
        self.pki.middle.revocation_list()
        self.process = self.pair.lab.spawn(self.pair.peer.side, sys.executable, "-m", "http.server", PORT, "--directory",
                                           self.pki.middle.dir, output=self.pair.lab.path("http"))
        self._wait()

    def start_redirects(self, where):
        """Sends everybody to the URL, question and all."""
        program = f"""
import http.server
class Elsewhere(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(307)
        self.send_header("Location", "{where}")
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_POST = do_GET
http.server.HTTPServer(("", {PORT + 1}), Elsewhere).serve_forever()
"""
        made = self.pair.lab.spawn(self.pair.peer.side, sys.executable, "-c", program, output=self.pair.lab.path("redirects"))
        self._wait(PORT + 1)
        return made

    def start_silence(self):
        """Takes connections and never answers."""
        self.process = self.pair.lab.spawn(
            self.pair.peer.side, sys.executable, "-c",
            f"import socket, time\ns = socket.create_server(('', {PORT}), backlog=64)\ntime.sleep(600)", output=self.pair.lab.path("silence"))
        self._wait()

    def heard(self):
        """What the server of files was asked for."""
        with open(self.pair.lab.path("http"), encoding="utf-8") as f:
            return f.read()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def _wait(self, port=PORT):
        wait_until(lambda: f":{port} " in self.pair.lab.exec(self.pair.peer.side, "ss", "-ltn"), 5, "the server listens")


def prepare(setup, mode, places, host=None, **options):
    """Certificates of both ends that name `places` ("ocsp", "crl"); we look revocation up as `mode` says."""
    pair, pki = make(setup, **options)
    servers = Servers(pair, pki, host)
    extensions = ""
    if "ocsp" in places:
        extensions += f"authorityInfoAccess = OCSP;URI:{servers.ocsp_url}\n"
    if "crl" in places:
        extensions += f"crlDistributionPoints = URI:{servers.ocsp_url}list.crl\n"
    for daemon, name in zip(pair.both, ("alice.example", "bob.example")):
        end = pki.end(name + "-2", f"DNS:{name}", extensions=extensions)
        give(daemon, chain=end.chain, key=end.key)
    # The authority between is on no list of the root's, which is a file.
    give(pair.sut, lists=(pki.root.revocation_list(),))
    pair.sut.more = f'revocation = "{mode}"\n'
    return pair, pki, servers


def refused_by_peer(pair, role):
    try:
        (pair.sut if role == "initiator" else pair.peer).up()
    except Failed:
        return
    # As responder we hear of it only behind our answer.
    check(role == "responder", "the tunnel came up although it must not")


def revoke(pair, pki, reason="keyCompromise"):
    pki.middle.revoke(pair.peer.tunnels[0].credentials.chain[0], reason)


for _role in ("initiator", "responder"):
    @case(f"revocation-ocsp-{_role}", f"the OCSP responder says good, then revoked; we are the {_role}", only=("culvert",), seconds=60)
    def _(setup, role=_role):
        pair, pki, servers = prepare(setup, "strict", ("ocsp",))
        servers.start_ocsp()
        pair.start()
        initiate(pair, role)
        pair.sut.down()
        pair.wait_down()
        servers.stop()
        revoke(pair, pki)
        servers.start_ocsp()
        # What was said is kept for a while; a daemon that begins anew asks anew.
        pair.sut.stop()
        pair.sut.start()
        refused(pair, role, r"serial [0-9a-f]+\): revoked: revoked on \d{4}-\d\d-\d\dT[\d:]+Z \(keyCompromise\), says the OCSP responder http://",
                ("revoked",))

    @case(f"revocation-list-{_role}", f"the list that the certificate names is fetched, and kept; we are the {_role}", only=("culvert",),
          seconds=60)
    def _(setup, role=_role):
        pair, pki, servers = prepare(setup, "strict", ("crl",))
        servers.start_lists()
        pair.start()
        initiate(pair, role)
        pair.sut.down()
        pair.wait_down()
        # The daemon begins anew, and the server is gone: the list that was kept is good until its next update.
        servers.stop()
        pair.sut.stop()
        pair.sut.start()
        initiate(pair, role)

    @case(f"revocation-list-revoked-{_role}", f"the list that is fetched names the peer; we are the {_role}", only=("culvert",))
    def _(setup, role=_role):
        pair, pki, servers = prepare(setup, "strict", ("crl",))
        revoke(pair, pki)
        servers.start_lists()
        pair.start()
        refused(pair, role, r"revoked: revoked on .*keyCompromise.*says the list of http://", ("revoked",))

    @case(f"revocation-delegate-{_role}", f"a responder that the authority certified speaks for it, until it is revoked itself; we are the {_role}",
          only=("culvert",), seconds=60)
    def _(setup, role=_role):
        pair, pki, servers = prepare(setup, "strict", ("ocsp",))
        # Without id-pkix-ocsp-nocheck: it is looked up in a list, which stands in a file.
        signer = pki.middle.issue("ocsp", "", extensions="extendedKeyUsage = OCSPSigning\n")
        give(pair.sut, lists=(pki.root.revocation_list(),))
        servers.start_ocsp(signer)
        pair.start()
        refused(pair, role, r"revocation_unknown: the OCSP responder http://\S+ is signed by .*CN=ocsp \(serial [0-9a-f]+\), and whether that is revoked "
                r"is not known", ("revocation_unknown",))
        for daemon in pair.both:
            daemon.down_quietly()
        servers.stop()
        servers.start_ocsp(pki.middle.issue("ocsp-2", "", extensions="extendedKeyUsage = OCSPSigning\nnoCheck = ignored\n"))
        pair.sut.stop()
        pair.sut.start()
        initiate(pair, role)

    @case(f"revocation-delegate-ocsp-{_role}", f"a responder that may be revoked itself is asked about at another one, that its certificate names; we are the {_role}",
          only=("culvert",), seconds=60)
    def _(setup, role=_role):
        pair, pki, servers = prepare(setup, "strict", ("ocsp",))
        names = f"authorityInfoAccess = OCSP;URI:http://{servers.host}:{PORT + 2}/\n"
        signer = pki.middle.issue("ocsp", "", extensions="extendedKeyUsage = OCSPSigning\n" + names)
        servers.start_ocsp(signer)
        first = servers.process
        servers.start_ocsp(port=PORT + 2)
        pair.start()
        initiate(pair, role)
        for daemon in pair.both:
            daemon.down_quietly()
        for process in (first, servers.process):
            process.kill()
            process.wait()
        pki.middle.revoke(signer[0], "keyCompromise")
        servers.start_ocsp(signer)
        servers.start_ocsp(port=PORT + 2)
        pair.sut.stop()
        pair.sut.start()
        refused(pair, role, r"revocation_unknown: the OCSP responder http://\S+ is signed by .*CN=ocsp \(serial [0-9a-f]+\), which is revoked on", ("revocation_unknown",))

    @case(f"revocation-near-{_role}", f"the responder that the certificate names is on our own loopback: not asked, but where it is configured; we are the {_role}",
          only=("culvert",), seconds=60)
    def _(setup, role=_role):
        pair, pki, servers = prepare(setup, "strict", ("ocsp",), host="127.0.0.1")
        pair.start()
        refused(pair, role, r"revocation_unknown: the OCSP responder http://127\.0\.0\.1:\d+/: 127\.0\.0\.1 is an address of this host or its link",
                ("revocation_unknown",))
        for daemon in pair.both:
            daemon.down_quietly()
        servers.start_ocsp()
        pair.sut.more += f'ocsp_url = "http://{pair.lab.outer(pair.peer.side)}:{PORT}/"\n'
        pair.sut.stop()
        pair.sut.start()
        initiate(pair, role)

    @case(f"revocation-redirect-{_role}", f"the responder that the certificate names is elsewhere now; we are the {_role} and follow",
          only=("culvert",), seconds=60)
    def _(setup, role=_role):
        pair, pki, servers = prepare(setup, "strict", ("ocsp",))
        pair.sut.more += f'ocsp_url = "http://{servers.host}:{PORT + 1}/moved"\n'
        servers.start_ocsp()
        # To what listens on our own host alone nobody else sends us.
        redirects = servers.start_redirects(f"http://127.0.0.1:{PORT}/")
        pair.start()
        refused(pair, role, r"revocation_unknown: .*it redirects to http://127\.0\.0\.1:\d+/: 127\.0\.0\.1 is an address of this host or its link",
                ("revocation_unknown",))
        for daemon in pair.both:
            daemon.down_quietly()
        redirects.kill()
        redirects.wait()
        servers.start_redirects(servers.ocsp_url)
        pair.sut.stop()
        pair.sut.start()
        initiate(pair, role)

    @case(f"revocation-by-strongswan-{_role}", f"strongSwan itself asks the OCSP responder about us: good, then revoked; we are the {_role}",
          only=("culvert",), seconds=60)
    def _(setup, role=_role):
        pair, pki, servers = prepare(setup, "ifavailable", ("ocsp",))
        pair.peer.tunnels = [t.but(revocation="ifuri") for t in pair.peer.tunnels]
        pair.peer.fetches()
        servers.start_ocsp()
        pair.start()
        initiate(pair, role)
        check(re.search(r"ocsp response is valid", pair.peer.log()), "charon has not asked")
        for daemon in (pair.peer, pair.sut):
            daemon.down_quietly()
        servers.stop()
        pki.middle.revoke(pair.sut.tunnels[0].credentials.chain[0], "keyCompromise")
        servers.start_ocsp()
        pair.peer.stop()
        pair.peer.start()
        refused_by_peer(pair, role)
        wait_until(lambda: "certificate was revoked" in pair.peer.log(), 10, "charon has heard that we are revoked")
        wait_until(lambda: not any(d.state().ike for d in pair.both), 5, "nobody has an IKE SA")

    @case(f"revocation-unknown-{_role}", f"nobody answers: refused if strict, let in if not; we are the {_role}", only=("culvert",), seconds=60)
    def _(setup, role=_role):
        pair, pki, servers = prepare(setup, "strict", ("ocsp",))
        pair.start()
        refused(pair, role, r"revocation_unknown: the OCSP responder http://.*no connection", ("revocation_unknown",))
        for daemon in pair.both:
            daemon.down_quietly()
        pair.sut.more = 'revocation = "ifavailable"\n'
        pair.sut.reload()
        initiate(pair, role)
        check(re.search(r"whether certificate .* is revoked is not known", pair.sut.log()), "nothing is said of it")

    @case(f"revocation-stapled-{_role}", f"the OCSP response comes within IKE (RFC 4806), nobody else is asked; we are the {_role}",
          only=("culvert",))
    def _(setup, role=_role):
        # The responder is on the peer's own loopback: we cannot reach it.
        pair, pki, servers = prepare(setup, "strict", ("ocsp",), host="127.0.0.1", peer_kind="culvert")
        give(pair.peer, lists=(pki.root.revocation_list(),))
        pair.peer.more = 'revocation = "ifavailable"\n'
        servers.start_ocsp()
        pair.start()
        initiate(pair, role)


for _role in ("initiator", "responder"):
    @case(f"certificate-by-url-{_role}", f"the peer (Culvert) sends hash and URL in place of its certificate; we are the {_role} and fetch it",
          only=("culvert",))
    def _(setup, role=_role):
        pair, pki = make(setup, peer_kind="culvert")
        servers = Servers(pair, pki)
        run("openssl", "x509", "-in", pair.peer.tunnels[0].credentials.chain[0], "-outform", "DER", "-out", pki.middle.dir + "/bob.der")
        pair.peer.more = f'certificate_url = "{servers.ocsp_url}bob.der"\n'
        pair.sut.more = f'fetch_certificates = "{servers.ocsp_url}"\n'
        servers.start_lists()
        pair.start()
        initiate(pair, role)
        check("GET /bob.der" in servers.heard(), "nobody fetched it")
        for daemon in (pair.peer, pair.sut):
            daemon.down_quietly()
        pair.wait_down()
        # Elsewhere is not asked.
        pair.sut.more = 'fetch_certificates = "http://192.0.2.77/"\n'
        pair.sut.reload()
        refused(pair, role, r"certificate is at http://.*bob\.der: fetch_certificates does not allow", ("certificate",))
        for daemon in pair.both:
            daemon.down_quietly()
        # Who fetches nothing is sent the certificate itself.
        pair.sut.more = ""
        pair.sut.reload()
        initiate(pair, role)


for _role in ("initiator", "responder"):
    @case(f"certificate-by-url-of-strongswan-{_role}", f"strongSwan sends hash and URL in place of its certificate; we are the {_role} and fetch it",
          only=("culvert",))
    def _(setup, role=_role):
        pair, pki = make(setup)
        servers = Servers(pair, pki)
        name = place_by_hash(pki, pair.peer.tunnels[0].credentials.chain[0])
        pair.peer.settings, pair.peer.cert_uri_base = "hash_and_url = yes", servers.ocsp_url
        pair.sut.more = f'fetch_certificates = "{servers.ocsp_url}"\n'
        servers.start_lists()
        pair.start()
        initiate(pair, role)
        check(f"GET /{name}" in servers.heard(), "we have fetched nothing")

    @case(f"certificate-by-url-to-strongswan-{_role}", f"we send hash and URL, strongSwan fetches our certificate; we are the {_role}", only=("culvert",))
    def _(setup, role=_role):
        pair, pki = make(setup)
        servers = Servers(pair, pki)
        run("openssl", "x509", "-in", pair.sut.tunnels[0].credentials.chain[0], "-outform", "DER", "-out", pki.middle.dir + "/alice.der")
        pair.peer.fetches()
        pair.peer.settings = "hash_and_url = yes"
        pair.sut.more = f'certificate_url = "{servers.ocsp_url}alice.der"\n'
        servers.start_lists()
        pair.start()
        initiate(pair, role)
        check("GET /alice.der" in servers.heard(), "charon has fetched nothing")


def place_by_hash(pki, certificate):
    """The certificate in DER, where the server finds it under its SHA-1, which is its name."""
    path = pki.middle.dir + "/by-hash"
    run("openssl", "x509", "-in", certificate, "-outform", "DER", "-out", path)
    with open(path, "rb") as f:
        name = hashlib.sha1(f.read()).hexdigest()
    os.rename(path, f"{pki.middle.dir}/{name}")
    return name


@case("revocation-slow-servers", "ten peers whose responders never answer delay no other", only=("culvert",), seconds=60)
def _(setup):
    pair, pki, servers = prepare(setup, "strict", ("ocsp",), peer_kind="culvert")
    servers.start_silence()
    base = [d.tunnels[0] for d in pair.both]
    for n in range(10):
        end = pki.end(f"slow{n}.example", f"DNS:slow{n}.example", extensions=f"authorityInfoAccess = OCSP;URI:{servers.ocsp_url}{n}\n")
        ours, theirs = (f"10.71.{n}.0/24",), (f"10.72.{n}.0/24",)
        pair.sut.tunnels.append(base[0].but(name=f"slow{n}", remote_id=f"slow{n}.example", local_ts=ours, remote_ts=theirs))
        credentials = replace(base[1].credentials, chain=end.chain, key=end.key)
        pair.peer.tunnels.append(base[1].but(name=f"slow{n}", local_id=f"slow{n}.example", local_ts=theirs, remote_ts=ours, credentials=credentials))
    # The last one needs nobody's word.
    secret = {"credentials": None, "own_proof": "", "name": "other"}
    pair.sut.tunnels.append(base[0].but(local_id="x.example", remote_id="y.example", local_ts=("10.61.0.0/24",),
                                        remote_ts=("10.62.0.0/24",), **secret))
    pair.peer.tunnels.append(base[1].but(local_id="y.example", remote_id="x.example", local_ts=("10.62.0.0/24",),
                                         remote_ts=("10.61.0.0/24",), **secret))
    only_for_certificates(pair.sut)
    pair.start()
    for n in range(10):
        pair.lab.spawn(pair.peer.side, f"{pair.peer.binaries}/culvert", "--socket", pair.peer.socket, "up", f"slow{n}",
                       output=pair.lab.path(f"up-{n}"))
    wait_until(lambda: pair.lab.exec(pair.peer.side, "ss", "-tn", "state", "established").count(f":{PORT} ") >= 10, 8,
               "ten questions are open")
    begun = time.monotonic()
    pair.sut.up("other")
    took = time.monotonic() - begun
    check(took < 2, f"the other tunnel took {took:.1f} s")
    check(pair.lab.exec(pair.peer.side, "ss", "-tn", "state", "established").count(f":{PORT} ") >= 5, "the questions were over before")
    setup.note(f"{took * 1000:.0f} ms beside ten that wait")


def only_for_certificates(daemon):
    """`more` is for each tunnel; those with a secret cannot have it."""
    more, daemon.more, write = daemon.more, "", daemon.write_config

    def write_config():
        write()
        with open(daemon.config, encoding="utf-8") as f:
            whole = f.read()
        with open(daemon.config, "w", encoding="utf-8") as f:
            f.write(re.sub(r"^ca = ", more + "ca = ", whole, flags=re.M))

    daemon.write_config = write_config
