"""Certificates made for one case by the openssl command: authorities, what they issue, and what they revoke."""

import os
import time
from dataclasses import dataclass

from . import shell
from .shell import run

KEYS = {"rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
        "p256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
        "p384": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"),
        "p521": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"),
        "ed25519": ("-algorithm", "ED25519"), "ed448": ("-algorithm", "ED448")}
KEYS["rsa-pss"] = KEYS["rsa"]  # whose authorities sign by PSS
KEYS["rsa-1024"] = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")  # for who must be refused
DAY = 86400


@dataclass(frozen=True)
class Credentials:
    """What one end authenticates with: paths of PEM files. `chain` is its own certificate, then those up to the root."""

    chain: tuple
    key: str
    authorities: tuple  # that it believes
    lists: tuple = ()  # revocation lists that it looks at
    peer_key: str = ""  # instead of authorities: the file of the key that the other end has
    password: str = ""  # of the key; Culvert only
    container: str = ""  # instead of chain and key: a file of PKCS#12; Culvert only
    others: tuple = ()  # more chains, as pairs of a chain and its key; Culvert, and strongSwan in rounds that name them


def _utc(seconds_from_now):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds_from_now))


class Authority:
    """A root, or with `issuer` an authority below it."""

    def __init__(self, folder, name, kind="p256", issuer=None):
        shell.need_tool("openssl", "openssl")
        self.name, self.kind, self.issuer = name, kind, issuer
        self.dir = f"{folder}/{name}"
        os.makedirs(self.dir + "/new")
        self._write("index", "")
        self._write("serial", "1000\n")
        self._write("crlnumber", "01\n")
        self.key = new_key(self.dir + "/authority.key", kind)
        extensions = "basicConstraints = critical,CA:TRUE\nkeyUsage = critical,keyCertSign,cRLSign\nsubjectKeyIdentifier = hash\n"
        self.certificate = (issuer or self)._issue(self.dir + "/authority.pem", self.key, f"/C=CH/O=Culvert/CN={name}",
                                                   extensions, -DAY, 90 * DAY, selfsign=issuer is None)

    def issue(self, name, alternatives, begin=-3600, end=60 * DAY, kind=None, extensions=""):
        """A certificate and its key, as (certificate, key)."""
        path = f"{self.dir}/{name}"
        key = new_key(path + ".key", kind or self.kind)
        text = "keyUsage = critical,digitalSignature\n" + (f"subjectAltName = {alternatives}\n" if alternatives else "") + extensions
        return self._issue(path + ".pem", key, f"/C=CH/O=Culvert/CN={name}", text, begin, end), key

    def revoke(self, certificate, reason=None):
        self._ca("-revoke", certificate, *(("-crl_reason", reason) if reason else ()))

    def revocation_list(self):
        path = self.dir + "/list.crl"
        self._ca("-gencrl", "-crldays", 5, "-out", path)
        return path

    def _issue(self, path, key, subject, extensions, begin, end, selfsign=False):
        request = path + ".request"
        run("openssl", "req", "-new", "-key", key, "-subj", subject, "-out", request, "-config", self._config())
        self._write("extensions", "[made]\n" + extensions)
        self._ca("-batch", "-notext", "-in", request, "-out", path, "-startdate", _utc(begin), "-enddate", _utc(end),
                 "-extfile", self.dir + "/extensions", "-extensions", "made", *(["-selfsign"] if selfsign else []))
        return path

    def _ca(self, *args):
        padding = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest") if self.kind == "rsa-pss" else ()
        run("openssl", "ca", "-config", self._config(), *padding, *args)

    def _config(self):
        # Ed25519 hashes by itself: it must not be told a digest.
        digest = "null" if self.kind.startswith("ed") else "sha256"
        self._write("config", f"""[ca]
default_ca = this
[this]
dir = {self.dir}
new_certs_dir = $dir/new
database = $dir/index
serial = $dir/serial
crlnumber = $dir/crlnumber
certificate = $dir/authority.pem
private_key = $dir/authority.key
default_md = {digest}
policy = any
unique_subject = no
[any]
countryName = supplied
organizationName = supplied
commonName = supplied
[req]
distinguished_name = name
[name]
""")
        return self.dir + "/config"

    def _write(self, name, text):
        with open(f"{self.dir}/{name}", "w", encoding="ascii") as f:
            f.write(text)


def new_key(path, kind):
    run("openssl", "genpkey", *KEYS[kind], "-out", path)
    os.chmod(path, 0o600)
    return path


def raw_ends(lab, kind):
    """Two ends that know each other's public key and have no certificates (RFC 7670)."""
    folder = lab.path("keys")
    os.makedirs(folder)
    keys = [new_key(f"{folder}/{name}.key", kind) for name in "ab"]
    for key in keys:
        run("openssl", "pkey", "-in", key, "-pubout", "-out", key + ".pub")
    return [Credentials((), own, (), peer_key=other + ".pub") for own, other in (keys, reversed(keys))]


class Pki:
    """A root, an authority below it, and two ends that believe the root: what most cases begin with."""

    def __init__(self, lab, kind="p256", ids=("alice.example", "bob.example")):
        self.folder, self.kind = lab.path("pki"), kind
        os.makedirs(self.folder)
        self.root = Authority(self.folder, "root", kind)
        self.middle = Authority(self.folder, "middle", kind, self.root)
        self.ends = [self.end(name, f"DNS:{name}") for name in ids]

    def end(self, name, alternatives, issuer=None, **options):
        issuer = issuer or self.middle
        certificate, key = issuer.issue(name, alternatives, **options)
        between = []
        while issuer.issuer is not None:
            between.append(issuer.certificate)
            issuer = issuer.issuer
        return Credentials((certificate, *between), key, (self.root.certificate,))

    def lists(self):
        return self.root.revocation_list(), self.middle.revocation_list()
