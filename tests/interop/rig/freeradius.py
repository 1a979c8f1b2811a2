"""FreeRADIUS in a namespace of a lab: who the users are, what they are allowed, and what it heard of their sessions."""

import glob
import os
import re

from . import shell
from .shell import check, wait_until

DAEMON = "/usr/sbin/freeradius"
SECRET = "radius-secret-of-the-lab-0123456789"
PORTS = {"auth": 1812, "acct": 1813}

# All in one file: nothing of /etc/freeradius takes part.
CONF = """
prefix = /usr
libdir = /usr/lib/freeradius
localstatedir = @DIR@
logdir = @DIR@
run_dir = @DIR@
name = lab
max_request_time = 10
cleanup_delay = 2
pidfile = @DIR@/pid
hostname_lookups = no
log { destination = stdout  auth = yes }
security { allow_core_dumps = no  reject_delay = 0  status_server = no  require_message_authenticator = yes }
thread pool { start_servers = 4  max_servers = 8  min_spare_servers = 1  max_spare_servers = 4 }
client gateway { ipaddr = @CLIENT@  secret = @SECRET@  require_message_authenticator = yes }
modules {
  always ok { rcode = ok }
  pap { }
  chap { }
  mschap { use_mppe = yes  require_encryption = yes  require_strong = yes }
  files { usersfile = @DIR@/users }
  detail { filename = @DIR@/detail  permissions = 0600  locking = no }
  eap {
    default_eap_type = @DEFAULT@
    timer_expire = 60
    md5 { }
    gtc { auth_type = PAP }
    mschapv2 { }
@TLS@
  }
}
server default {
  listen { type = auth  ipaddr = *  port = 1812 }
  listen { type = acct  ipaddr = *  port = 1813 }
  authorize { eap { ok = return }  files  chap  mschap  pap }
  authenticate { eap  Auth-Type CHAP { chap }  Auth-Type MS-CHAP { mschap }  Auth-Type PAP { pap } }
  preacct { ok }
  accounting { detail }
  post-auth { }
}
"""

TLS = """
    tls-config common {
      private_key_file = @KEY@
      certificate_file = @CERT@
      ca_file = @CA@
      tls_min_version = "@VERSION@"
      tls_max_version = "@VERSION@"
      ecdh_curve = "prime256v1"
      cipher_list = "DEFAULT"
    }
    tls { tls = common }
    ttls { tls = common  default_eap_type = mschapv2  copy_request_to_tunnel = no  use_tunneled_reply = yes  virtual_server = default }
    peap { tls = common  default_eap_type = mschapv2  copy_request_to_tunnel = no  use_tunneled_reply = yes  virtual_server = default }
"""


class FreeRadius:
    """`users`: name -> (password, {attribute: value of the reply}). `tls`: (certificate, key, authority) of the server, in that
    `tls_version`."""

    kind = "freeradius"

    def __init__(self, setup, lab, side, client, users, default="mschapv2", tls=None, tls_version="1.2"):
        if not os.path.exists(DAEMON):
            raise shell.Skipped("FreeRADIUS is not installed (Debian package freeradius; ./dev setup)")
        shell.need_tool("radclient", "freeradius-utils")
        self.lab, self.side, self.client = lab, side, client
        self.users, self.default, self.tls, self.tls_version = dict(users), default, tls, tls_version
        self.dir = lab.path(f"freeradius-{side}")
        os.makedirs(self.dir, exist_ok=True)
        setup.daemons.append(self)  # so that its log is shown

    @staticmethod
    def version():
        said = shell.run(DAEMON, "-v")
        found = re.search(r"\d+(\.\d+)+", said)
        return found[0] if found else "?"

    def start(self):
        tls = ""
        if self.tls:
            tls = TLS.replace("@CERT@", self.tls[0]).replace("@KEY@", self.tls[1]).replace("@CA@", self.tls[2]).replace("@VERSION@", self.tls_version)
        conf = CONF.replace("@TLS@", tls)
        for word, value in (("@DIR@", self.dir), ("@CLIENT@", self.client), ("@SECRET@", SECRET), ("@DEFAULT@", self.default)):
            conf = conf.replace(word, value)
        with open(self.dir + "/radiusd.conf", "w", encoding="utf-8") as f:
            f.write(conf.replace("  ", "\n").replace(" }", "\n}"))  # each setting has a line of its own
        with open(self.dir + "/users", "w", encoding="utf-8") as f:
            for name, (password, reply) in self.users.items():
                f.write(f'"{name}" Cleartext-Password := "{password}"\n')
                f.write(",\n".join(f"    {key} = {value}" for key, value in reply.items()) + "\n" if reply else "")
        os.chmod(self.dir + "/radiusd.conf", 0o600)
        self.process = self.lab.spawn(self.side, DAEMON, "-f", "-l", "stdout", "-d", self.dir, "-n", "radiusd", "-D", "/usr/share/freeradius",
                                      output=self.dir + "/log")
        wait_until(self._listens, 10, "FreeRADIUS listens", 0.05)

    def _listens(self):
        check(self.process.poll() is None, f"FreeRADIUS ended: {self.log()[-800:]}")
        sockets = self.lab.exec(self.side, "ss", "-Hlun")
        return all(f":{port} " in sockets for port in PORTS.values())

    def stop(self):
        shell.end(self.process)

    def log(self):
        path = self.dir + "/log"
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()

    # ------------------------------------------------------------------ accounting
    def records(self):
        """What accounting heard, one {attribute: value} after the other."""
        found = []
        for path in sorted(glob.glob(self.dir + "/detail*")):
            with open(path, encoding="utf-8", errors="replace") as f:
                for block in f.read().split("\n\n"):
                    one = dict(re.findall(r"^\t([\w-]+) = (.*)$", block, re.M))
                    if one:
                        found.append({key: value.strip('"') for key, value in one.items()})
        return found

    def of_status(self, status):
        return [one for one in self.records() if one.get("Acct-Status-Type") == status]

    # ------------------------------------------------------------------ requests of ours
    def send(self, kind, attributes, to, port=3799, secret=SECRET):
        """radclient's words for what it sent and got: kind is "disconnect" or "coa"."""
        text = "\n".join(f"{key} = {value}" for key, value in attributes.items()) + "\n"
        path = self.dir + "/request"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return self.lab.exec(self.side, "radclient", "-x", "-r", "1", "-t", "2", "-f", path, f"{to}:{port}", kind, secret, ok=None)
