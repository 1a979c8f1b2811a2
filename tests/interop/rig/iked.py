"""OpenIKED as a peer: iked in the file tree of a Debian release, in a guest."""

import os
import re
import shutil

from . import roots
from .guest_lab import DEVICE
from .guest_peer import HOME, GuestPeer
from .shell import Failed, check, run, wait_until
from .tunnel import State

GROUPS = {"x25519": "curve25519"}


def algorithms(proposals, word):
    """Proposals as they are written everywhere else here, as rules of iked.conf."""
    return " ".join(f"{word} " + " ".join(_words(one)) for one in proposals.split(","))


def _words(proposal):
    for word in proposal.split("-"):
        if aead := re.fullmatch(r"aes(128|256)gcm16", word):
            yield f"enc aes-{aead[1]}-gcm"
        elif cipher := re.fullmatch(r"aes(128|192|256)", word):
            yield f"enc aes-{cipher[1]}"
        elif sha := re.fullmatch(r"(prf)?sha(256|384|512)", word):
            yield f"{'prf' if sha[1] else 'auth'} hmac-sha2-{sha[2]}"
        elif word == "sha1":
            yield "auth hmac-sha1"
        elif word == "x25519" or re.fullmatch(r"(modp|ecp)\d+", word):
            yield f"group {GROUPS.get(word, word)}"
        else:
            raise Failed(f"no name of iked's for '{word}'")


class Iked(GuestPeer):
    package = "openiked"
    lacks = {**dict.fromkeys(("ed25519", "ed448"), "no EdDSA"), "stapled": "no OCSP within IKE",
             "tcp": "no IKE in TCP", "childless": "no IKE SAs that begin without a Child SA", **dict.fromkeys(("null", "null-client"), "no NULL authentication"),
             "mixed": "one authentication for both ends, EAP apart", **dict.fromkeys(("ppk", "ppk-early", "ppk-early-other"), "no PPK"), "raw-rsa": "no certificate encoding of RFC 7670", "raw-p256": "no certificate encoding of RFC 7670",
             **dict.fromkeys(("eap-md5", "eap-tls-1.2", "eap-tls-1.3", "eap-ttls-1.3", "eap-tls-only"), "of EAP only MSCHAPv2"), ("eap-mschapv2", "responder"): "is no EAP client",
             **{(key, "initiator"): "its kernel's SAs stay with the port and address that a peer behind a NAT had at first" for key in ("nat-port", "nat-address", "nat-mobike")},
             ("mobike", "initiator"): "takes UPDATE_SA_ADDRESSES and moves its kernel's policies, but not the SAs",
             ("mobike", "responder"): "moves nothing as initiator",
             ("mobike-families", "initiator"): "takes UPDATE_SA_ADDRESSES and moves its kernel's policies, but not the SAs",
             ("mobike-families", "responder"): "moves nothing as initiator",
             ("eap-wrong", "initiator"): "falls silent at a wrong password, and refuses nothing", ("eap-wrong", "responder"): "is no EAP client"}
    takes_chain = False
    says_fragments = (r"All fragments received: (\d) of \1", r"Fragment \d of \d has size of")
    notes = ("neither version announces its authentication methods (RFC 9593)", "of the certificates that its peer sends it looks at the first only, so that the authority between us and the root lies in a file there",
             "now and then a packet is lost when a Child SA is rekeyed: up to five are let pass")
    # Over PF_KEY Linux gives it neither combined modes nor SHA-256 with the right length of ICV.
    suites = {"esp": "aes256-sha512"}
    rekeys_by_lifetime = 14
    # One of 59 was lost once. Perhaps its kernel has the new SA before its answer is out: we cannot know that SA yet.
    rekeys_lose = 5

    def __init__(self, lab, side, tunnels):
        super().__init__(lab, side, tunnels)
        self.active = False

    # ------------------------------------------------------------------- life
    def start(self):
        self._write()
        said = self.inside_sh("iked -n -f /etc/iked.conf", ok=None)
        check("configuration OK" in said, f"iked does not take its configuration: {said.strip()[-600:]}")
        self.launch("iked -dvv -f /etc/iked.conf")
        wait_until(self._answers, 15, "iked answers")

    def _answers(self):
        # It answers before it has read its configuration to the end, and forgets then what it has begun.
        if "iked answers" in self.inside_sh(f"ikectl show sa && grep -q config_getstatic {HOME}/out && echo iked answers", ok=None):
            return True
        if not self.alive():
            raise Failed(f"iked has ended: {self.log()[-600:]}")
        return False

    def reload(self):
        self.stop()
        self.active = False
        self.start()

    def stop(self):
        super().stop()
        self.guest.sh("ip xfrm state flush; ip xfrm policy flush")

    def clear(self):
        super().clear()
        self.inside_sh("rm -rf /etc/iked /etc/iked.conf /var/run/iked.sock", ok=None)

    def _write(self):
        """The daemon finds a certificate by the identity, a key under one name, and the peer's key by the peer's identity."""
        folder = self.dir + "/etc"
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("ca", "certs", "crls", "private", "pubkeys/fqdn"):
            os.makedirs(f"{folder}/iked/{name}")
        private = f"{folder}/iked/private/local.key"
        if not any(t.credentials for t in self.tunnels):
            # It does not start without a key.
            run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private)
        for t in self.tunnels:
            if t.credentials:
                self._place(t, folder + "/iked", private)
        run("openssl", "pkey", "-in", private, "-pubout", "-out", f"{folder}/iked/local.pub")
        users = "".join(f'user "{name}" "{secret}"\n' for t in self.tunnels if t.eap for name, secret in t.eap.users)
        with open(f"{folder}/iked.conf", "w", encoding="ascii") as f:
            f.write(f"set {'' if any(t.roams for t in self.tunnels) else 'no'}mobike\n"
                    + ("set fragmentation\n" if any(t.fragmentation == "yes" for t in self.tunnels) else "")
                    + users + "".join(self._policy(t) for t in self.tunnels))
        os.chmod(f"{folder}/iked.conf", 0o600)
        os.chmod(private, 0o600)
        self.inside_sh(f"rm -rf /etc/iked && cp -r {folder}/iked {folder}/iked.conf /etc/ && chown -R 0:0 /etc/iked /etc/iked.conf && "
                       f"mkdir -p {HOME} /var/empty && chmod 755 /var/empty")

    @staticmethod
    def _place(t, folder, private):
        # A key in the form that is older than PKCS#8, which is what it reads.
        run("openssl", "pkey", "-in", t.credentials.key, "-traditional", "-out", private)
        if not t.credentials.chain:
            shutil.copy(t.credentials.peer_key, f"{folder}/pubkeys/fqdn/{t.remote_id}")
            return
        own, *between = t.credentials.chain
        shutil.copy(own, f"{folder}/certs/{t.local_id}.crt")
        for number, path in enumerate((*t.credentials.authorities, *between)):
            shutil.copy(path, f"{folder}/ca/{number}.crt")

    def _policy(self, t):
        if t.pool:
            flows = [f"from {net} to dynamic" for net in t.local_ts]
        elif t.request_address:
            flows = [f"from dynamic to {net}" for net in t.remote_ts]
        else:
            flows = [f"from {own} to {other}" for own in t.local_ts for other in t.remote_ts]
        words = [f'ikev2 "{t.name}"', "active" if self.active else "passive", "tunnel esp", *flows, f"local {t.local}",
                 f"peer {'any' if t.anybody else t.remote}", algorithms(t.ike, "ikesa"), algorithms(t.esp, "childsa"), f"srcid {t.local_id}"]
        if t.remote_id and not t.eap:
            words.append(f"dstid {t.remote_id}")
        if t.ike_lifetime:
            words.append(f"ikelifetime {t.ike_lifetime}")
        if t.child_lifetime:
            words.append(f"lifetime {t.child_lifetime}")
        if t.eap:
            words.append('eap "mschap-v2"')
        elif not t.credentials:
            words.append(f'psk "{t.secret}"')
        else:
            words.append("rfc7427")
        if t.pool:
            words.append(f"config address {t.pool[0]}" + (f" config name-server {t.pool[-1]}" if t.pool[-1] else ""))
        if t.request_address:
            # Its route to the other side goes by this interface, and nothing that goes by `lo` is ever protected.
            words.append(f"request address any iface {DEVICE}")
        return " \\\n  ".join(words) + "\n"

    # ---------------------------------------------------------------- command
    def up(self, name="net"):
        """It has no command for it: a policy that is `active` is set up when the daemon reads it."""
        self.stop()
        self.active = True
        self.start()
        try:
            wait_until(lambda: self.state().up, 8, "iked has an IKE SA and a child SA", 0.2)
        except Failed as missing:
            raise Failed(f"{missing}: {self.log()[-600:]}") from None

    def down(self, name="net"):
        for identity in set(re.findall(r"<([^>]+)>", self.inside_sh("ikectl show sa", ok=None))):
            self.inside_sh(f'ikectl reset id "{identity}"', ok=None)

    def state(self, name="net"):
        if not self.pid:
            return State()
        said, children = self.look("ikectl show sa")
        # An IKE SA is named again with each of its Child SAs.
        return State(tuple(dict.fromkeys(re.findall(r"ispi (0x[0-9a-f]+) .*ESTABLISHED", said))), children)


class OldIked(Iked):
    kind, root = "iked-12", roots.BOOKWORM


class NewIked(Iked):
    kind, root = "iked-13", roots.TRIXIE
