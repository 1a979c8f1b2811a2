"""strongSwan in a guest: the same charon and swanctl as in a namespace, but ESP is the kernel's."""

import os

from . import strongswan
from .guest_peer import HOME, GuestPeer
from .roots import FORKY_STRONGSWAN, TRIXIE_STRONGSWAN
from .shell import wait_until

PLUGINS = strongswan.PLUGINS.replace("kernel-libipsec ", "")
NOBODY = {"tcp": "no IKE in TCP", **dict.fromkeys(("null", "null-client"), "no NULL authentication"),
          **dict.fromkeys(("ppk-early", "ppk-early-other"), "no PPK in IKE_INTERMEDIATE")}


class GuestStrongSwan(GuestPeer, strongswan.StrongSwan):
    """This machine's own strongSwan."""

    kind = "strongswan-kernel"
    package = "strongswan-charon"
    says_fragments = (r"received fragment #\d of \d", r"splitting IKE message .* into \d fragments")
    notes = ("no version announces its authentication methods (RFC 9593)",)
    lacks = {**NOBODY, "stapled": "no OCSP within IKE before 6.0", "eap-tls-1.3": "TLS 1.3 within EAP by a draft of RFC 9190", "eap-ttls-1.3": "TLS 1.3 within EAP by a draft of RFC 9427"}

    def __init__(self, lab, side, tunnels):
        GuestPeer.__init__(self, lab, side, tunnels)
        self.settings, self.plugins = "", PLUGINS
        os.makedirs(self.dir + "/swanctl", exist_ok=True)

    @classmethod
    def why_not(cls):
        return None if os.path.exists(strongswan.CHARON) else "strongSwan is not installed (Debian package strongswan-charon)"

    @classmethod
    def version(cls):
        return strongswan.StrongSwan.version()

    def start(self):
        with open(self.dir + "/strongswan.conf", "w", encoding="ascii") as f:
            f.write(strongswan.DAEMON_CONF.replace("@DIR@", HOME).replace("@PLUGINS@", self.plugins).replace("@MORE@", self.settings)
                    .replace("@VIRTUAL@", "yes" if any(t.request_address for t in self.tunnels) else "no"))
        # One that was ended the hard way has left it.
        self.inside_sh("rm -f /var/run/charon.pid")
        self.launch(f"STRONGSWAN_CONF={self.dir}/strongswan.conf {strongswan.CHARON}")
        wait_until(lambda: self.inside_sh(f"test -S {HOME}/vici && echo yes", ok=None).strip() == "yes", 10, "charon answers")
        self.reload()

    def _swanctl(self, *args, ok=(0,)):
        words = " ".join(f'"{a}"' for a in args)
        return self.inside_sh(f"SWANCTL_DIR={self.dir}/swanctl STRONGSWAN_CONF={self.dir}/strongswan.conf swanctl {words}", ok)

    def kill(self, sig):
        GuestPeer.kill(self, sig)

    def stop(self):
        GuestPeer.stop(self)

    def log(self):
        return "".join(line + "\n" for line in GuestPeer.log(self).splitlines() if "vici client" not in line)


class NewStrongSwan(GuestStrongSwan):
    """That of the next Debian."""

    lacks = NOBODY

    kind = "strongswan-next"
    root = TRIXIE_STRONGSWAN
    key_exchanges = "several"

    @classmethod
    def why_not(cls):
        return cls.root.why_not()

    @classmethod
    def version(cls):
        return cls.root.version(cls.package)


class NewestStrongSwan(NewStrongSwan):
    """That of the Debian after it, the first with ML-KEM."""

    kind = "strongswan-newest"
    root = FORKY_STRONGSWAN
    key_exchanges = "ML-KEM"
    lacks = {**NOBODY, ("eap-wrong", "initiator"): "says no more of a wrong password than EAP-Failure"}
