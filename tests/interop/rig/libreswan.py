"""libreswan as a peer: pluto in the file tree of a Debian release, in a guest."""

import base64
import ipaddress
import os
import re
import shutil

from . import roots
from .guest_peer import HOME, GuestPeer
from .shell import Failed, check, run, wait_until
from .tunnel import State

WHACK = "/usr/libexec/ipsec/whack"
DATABASE = "/var/lib/ipsec/nss"
KEY_WORDS = {"rsasig": "rsasigkey", "ecdsa": "ecdsakey"}
PASSWORD = "interop"  # of the PKCS#12 container on its way into pluto's database
GROUPS = {"x25519": "dh31", "ecp256": "dh19", "ecp384": "dh20", "ecp521": "dh21"}


def algorithms(proposals, ike):
    """Proposals as they are written everywhere else here, in libreswan's words."""
    return ",".join(_proposal(one.split("-"), ike) for one in proposals.split(","))


def _proposal(words, ike):
    cipher, hashes, groups = "", [], []
    for word in words:
        aead = re.fullmatch(r"aes(128|256)gcm16", word)
        if aead:
            cipher = f"aes_gcm{aead[1]}"
        elif word == "chacha20poly1305":
            cipher = "chacha20_poly1305"
        elif re.fullmatch(r"aes(128|192|256)", word):
            cipher = word
        elif sha := re.fullmatch(r"(?:prf)?sha(256|384|512)", word):
            hashes.append("sha2_" + sha[1])
        elif word == "sha1":
            hashes.append("sha1")
        elif word in GROUPS or word.startswith("modp"):
            groups.append(GROUPS.get(word, word))
        else:
            raise Failed(f"no name of libreswan's for '{word}'")
    if not hashes:
        hashes = ["null"]  # a combined mode in ESP
    return "-".join([cipher, hashes[0], *groups])


def _identity(text):
    """libreswan resolves a bare name: the sign in front says that it is one."""
    return text if re.search(r"[@=]", text) or re.fullmatch(r"[\d.]+|[0-9a-f:]*:[0-9a-f:]*", text) else "@" + text


def raw_key(path, word):
    """A public key's file as RFC 3110 has RSA, and RFC 6605 the point of ECDSA on P-256, in base64."""
    if word == "ecdsa":
        text = run("openssl", "pkey", "-pubin", "-in", path, "-pubout")
        return "0s" + base64.b64encode(base64.b64decode("".join(text.splitlines()[1:-1]))[-64:]).decode()
    said = run("openssl", "rsa", "-pubin", "-in", path, "-noout", "-modulus", "-text")
    modulus = bytes.fromhex(re.search(r"Modulus=([0-9A-F]+)", said)[1])
    exponent = int(re.search(r"Exponent: (\d+)", said)[1])
    octets = exponent.to_bytes((exponent.bit_length() + 7) // 8, "big")
    return "0s" + base64.b64encode(bytes([len(octets)]) + octets + modulus).decode()


class Libreswan(GuestPeer):
    package = "libreswan"
    rekey_word = "--rekey-ipsec"
    says_fragments = (r"received IKE encrypted fragment number '\d', total number '\d'", r"recording fragment \d")
    rekeys_labelled = False  # its command to rekey finds no SA of a connection with a label
    notes = ("neither version announces its authentication methods (RFC 9593)",
             "begins without a Child SA only for traffic with a security label (RFC 9478), so that it has one where it is the initiator of "
             "that, and its kernel asks for the Child SA; the rekeys are ours there with 4.10, whose command for them finds nothing with a label")
    # In an INFORMATIONAL it passes over the notification and heeds the DELETE.
    hears_refusal = "AUTHENTICATION_FAILED|deleting .*established.IKE.SA"
    lacks = {**dict.fromkeys(("ed25519", "ed448"), "no EdDSA"), "stapled": "no OCSP within IKE", **dict.fromkeys(("eap-mschapv2", "eap-md5", "eap-wrong", "eap-ttls-1.3"), "of EAP only TLS"),
             "tcp": "the kernel has to take its TCP apart (ESPINTCP), and Debian builds user-mode Linux without that: pluto opens and takes connections, "
                    "and closes each at once",
             "resumed": "its AUTH of a resumed IKE SA is not that of RFC 5723 4.3.3: the keys that follow from the ticket agree, the hash does not, and a full set-up follows at once",
             **{(key, "initiator"): "does not follow a peer behind a NAT to a new port or address without MOBIKE, and answers where it was" for key in ("nat-port", "nat-address")},
             ("nat-mobike", "initiator"): "takes UPDATE_SA_ADDRESSES, but its kernel's SA goes on to the old port of the NAT",
             **{(key, "responder"): "its answers have no COOKIE2 (RFC 4555 3.7), which is what proves its new address to us" for key in ("mobike", "nat-mobike")},
             ("mobike-families", "initiator"): "names no further addresses of its own (RFC 4555 3.4), so that nobody learns that of the other family",
             ("mobike-families", "responder"): "moves within a family only",
             **{(key, "responder"): "is no EAP client" for key in ("eap-tls-1.2", "eap-tls-1.3", "eap-tls-only")}}

    def __init__(self, lab, side, tunnels):
        super().__init__(lab, side, tunnels)
        self.setup = {}  # further settings of "config setup"

    @staticmethod
    def tell_of_fragments(peer):
        peer.setup["plutodebug"] = "base"

    # ------------------------------------------------------------------- life
    def start(self):
        self._write()
        self._load_keys()
        self.launch(f"/usr/libexec/ipsec/pluto --config /etc/ipsec.conf --nofork --logfile {HOME}/log")
        wait_until(self._answers, 15, "pluto answers")
        self._whack("--listen")
        for t in self.tunnels:
            said = self.inside_sh(f"/usr/sbin/ipsec auto --add {t.name}", ok=None)
            check(f'"{t.name}"' in self._whack("--status"), f"libreswan does not take its configuration: {said.strip()[-600:]}")

    def _answers(self):
        if "000" in self._whack("--status", ok=None):
            return True
        if not self.alive():
            raise Failed(f"pluto has ended: {self.log()[-600:]}")
        return False

    def reload(self):
        self.stop()
        self.start()

    def stop(self):
        super().stop()
        self.guest.sh("ip xfrm state flush; ip xfrm policy flush")

    def clear(self):
        super().clear()
        self.inside_sh(f"rm -rf {DATABASE} /etc/ipsec.conf /etc/ipsec.secrets /run/pluto", ok=None)

    def _write(self):
        folder = self.dir + "/etc"
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        setup = {"logfile": f"{HOME}/log", "uniqueids": "no", "plutodebug": "none", "dumpdir": "/tmp", **self.setup}
        text = "version 2.0\n\nconfig setup\n" + "".join(f"  {k}={v}\n" for k, v in setup.items())
        for t in self.tunnels:
            text += f"\nconn {t.name}\n" + "".join(f"  {k}={v}\n" for k, v in self._connection(t).items())
        secrets = "".join(f'{_identity(t.local_id)} {_identity(t.remote_id)} : PSK "{t.secret}"\n' for t in self.tunnels
                          if not t.credentials or "secret" in (t.own_proof, t.peer_proof))
        secrets += "".join(f': PPKS "{t.ppk[0]}" 0x{t.ppk[1]}\n' for t in self.tunnels if t.ppk)
        for name, content in (("ipsec.conf", text), ("ipsec.secrets", secrets)):
            with open(f"{folder}/{name}", "w", encoding="ascii") as f:
                f.write(content)
            os.chmod(f"{folder}/{name}", 0o600)
        self.inside_sh(f"cp {folder}/* /etc/ && mkdir -p /run/pluto {HOME}")

    def _connection(self, t):
        found = {"left": t.local, "right": "%any" if t.anybody else t.remote, "leftid": _quoted(_identity(t.local_id)),
                 "rightid": _quoted(_identity(t.remote_id)), "ikev2": "insist", "type": "tunnel",
                 # pluto's own start would add it as well, whenever it comes to it, and end what had come up since.
                 "auto": "ignore",
                 "ike": algorithms(t.ike, True), "esp": algorithms(t.esp, False),
                 # Without a group in the proposal ours has no key exchange in a rekey either.
                 "pfs": "yes" if re.search(r"x25519|modp|ecp", t.esp) else "no",
                 "retransmit-timeout": "12s", "keyingtries": "1"}
        found.update(self._proof(t))
        if not t.request_address:
            found["leftsubnet"] = ",".join(t.local_ts)
        if t.roams:
            found["mobike"] = "yes"
        if t.remote_ts:
            found["rightsubnet"] = ",".join(t.remote_ts)
        if t.pool:
            first, last = _ends(t.pool[0])
            found.update(rightaddresspool=f"{first}-{last}", leftmodecfgserver="yes", rightmodecfgclient="yes", modecfgpull="yes",
                         **({"modecfgdns": t.pool[-1]} if t.pool[-1] else {}))
        if t.request_address:
            found.update(leftmodecfgclient="yes", rightmodecfgserver="yes", modecfgpull="yes", narrowing="yes")
            found["leftsubnet"] = "0.0.0.0/0"
        if t.ppk:
            found["ppk"] = "insist" if t.ppk[2] else "yes"
        if t.ppk_exchange not in ("", "auth"):
            found["intermediate"] = "yes"
        found.update(t.pluto)
        if t.ike_lifetime:
            found["ikelifetime"] = f"{t.ike_lifetime}s"
        if t.child_lifetime:
            found.update(salifetime=f"{t.child_lifetime}s", rekeymargin="5s", rekeyfuzz="0%")
        return found

    def _proof(self, t):
        if t.own_proof:
            return self._two_proofs(t)
        if not t.credentials:
            return {"leftauth": "secret", "rightauth": "secret"}
        if not t.credentials.chain:
            word = _auth_word(t.credentials.key)
            return {"leftauth": word, "rightauth": word, f"left{KEY_WORDS[word]}": raw_key(t.credentials.key + ".pub", word),
                    f"right{KEY_WORDS[word]}": raw_key(t.credentials.peer_key, word), "leftsendcert": "never"}
        word = _auth_word(t.credentials.key)
        return {"leftauth": word, "rightauth": word, "leftcert": "own", "leftsendcert": "always", "rightca": "%any", "sendca": "issuer"}

    @staticmethod
    def _two_proofs(t):
        words = {"secret": "secret", "certificate": _auth_word(t.credentials.key), "none": "null"}
        found = {"leftauth": words[t.own_proof], "rightauth": words[t.peer_proof]}
        if t.own_proof == "certificate":
            found.update(leftcert="own", leftsendcert="always")
        if t.peer_proof == "certificate":
            found.update(rightca="%any")
        return {**found, **({"leftid": "%null"} if t.own_proof == "none" else {}), **({"rightid": "%null"} if t.peer_proof == "none" else {})}

    def _load_keys(self):
        """pluto takes keys and certificates from a database only."""
        self.inside_sh(f"rm -rf {DATABASE} && mkdir -p {DATABASE} && certutil -N -d sql:{DATABASE} --empty-password")
        for t in self.tunnels:
            if not t.credentials:
                continue
            own, *between = t.credentials.chain or (self._shell_around(t.credentials.key),)
            container = self.dir + "/own.p12"
            run("openssl", "pkcs12", "-export", "-inkey", t.credentials.key, "-in", own, "-name", "own", "-passout", f"pass:{PASSWORD}",
                "-out", container)
            self.inside_sh(f"pk12util -i {container} -d sql:{DATABASE} -W {PASSWORD}")
            for number, path in enumerate(t.credentials.authorities):
                self.inside_sh(f"certutil -A -d sql:{DATABASE} -n root{number} -t CT,, -i {path}")
            for number, path in enumerate(between):
                self.inside_sh(f"certutil -A -d sql:{DATABASE} -n between{number} -t ,, -i {path}")

    def _shell_around(self, key):
        """A certificate that nobody sees: the database takes no key without one."""
        path = self.dir + "/around.pem"
        run("openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=own", "-days", "30", "-out", path)
        return path

    # ---------------------------------------------------------------- command
    def _whack(self, *words, ok=None, seconds=20):
        return self.inside_sh(" ".join((WHACK, "--ctlsocket /run/pluto/pluto.ctl", *words)), ok, seconds)

    def up(self, name="net"):
        said = self._whack("--name", name, "--initiate", seconds=30)
        # With a label the kernel asks for the Child SA, when it has something to send.
        labelled = any("policy-label" in dict(t.pluto) for t in self.tunnels if t.name == name)
        done = "established IKE SA" if labelled else r"established.*(child SA|IPsec SA|tunnel mode)"
        check(re.search(done, said, re.I), f"libreswan: {said.strip()[-600:]}")

    def suspend(self, name="net"):
        """Forgets the SAs without a word, and keeps the ticket."""
        self._whack("--suspend", "--name", name)

    def down(self, name="net"):
        self._whack("--name", name, "--terminate")

    def rekey_child(self, name="net"):
        self._whack("--name", name, self.rekey_word)

    def rekey_ike(self, name="net"):
        self._whack("--name", name, "--rekey-ike")

    def state(self, name="net"):
        if not self.pid:
            return State()
        said, children = self.look(f"{WHACK} --ctlsocket /run/pluto/pluto.ctl --showstates")
        return State(tuple(re.findall(rf'#(\d+): "{name}"\S* .*ESTABLISHED_IKE_SA', said)), children)


def _quoted(text):
    return f'"{text}"' if " " in text else text


def _auth_word(key):
    """What libreswan calls the authentication by this key's kind."""
    return "ecdsa" if "ASN1 OID" in run("openssl", "pkey", "-in", key, "-noout", "-text") else "rsasig"


def _ends(network):
    """First and last address of a network that hosts can have; a range is left as it is."""
    if "-" in network:
        return network.split("-")
    hosts = ipaddress.ip_network(network)
    return hosts[1], hosts[-2]


EARLY_PPK = ("ppk-early", "ppk-early-other")


# What their EAP-TLS servers have shown: leftautheap and rightautheap = tls, rightauth = eaponly.
class OldLibreswan(Libreswan):
    lacks = {**Libreswan.lacks, "eap-tls-1.2": "no way to keep its EAP-TLS to TLS 1.2", **dict.fromkeys(
        ("eap-tls-1.3", "eap-tls-only"), "EAP-TLS without the protected success of RFC 9190 2.1.1, which our client insists on"),
        **dict.fromkeys(EARLY_PPK, "no PPK in IKE_INTERMEDIATE")}
    kind, root = "libreswan-12", roots.BOOKWORM


class NewLibreswan(Libreswan):
    lacks = {**Libreswan.lacks, **dict.fromkeys(
        ("eap-tls-1.2", "eap-tls-1.3", "eap-tls-only"), "its EAP-TLS server ends at a check of its own, which wants AUTH where EAP has none")}
    kind, root = "libreswan-13", roots.TRIXIE
    resumes = True
    rekeys_labelled = True
    rekey_word = "--rekey-child"
