"""strongSwan as a peer: charon in a namespace of the lab, steered by swanctl.

The host's kernel may have no ESP, so the data path is libipsec: tunnel mode, ESP in UDP. The plugins are listed here,
so no file under /etc decides what is tested.
"""

import os
import re
import shutil
import signal
import subprocess

from . import shell
from .shell import Failed, Skipped, check, run, wait_until
from .tunnel import ChildSa, Peer, State, round_of

CHARON = "/usr/lib/ipsec/charon"
PLUGINS = "random nonce openssl xcbc cmac kdf pem pkcs1 pkcs8 x509 pubkey revocation constraints socket-default kernel-libipsec kernel-netlink vici updown " \
    "md5 eap-identity eap-mschapv2 eap-md5 eap-gtc eap-tls eap-ttls"


class StrongSwan(Peer):
    kind = "strongswan"

    def __init__(self, lab, side, tunnels):
        super().__init__(lab, side, tunnels)
        if not os.path.exists(CHARON):
            raise Skipped("strongSwan is not installed (Debian package strongswan-charon; ./dev setup)")
        if not os.path.exists("/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so"):
            raise Skipped("strongSwan has no kernel-libipsec plugin (Debian package libcharon-extra-plugins; ./dev setup)")
        shell.need_tool("swanctl", "strongswan-swanctl")
        self.dir = lab.path(f"strongswan-{side}")
        self.settings = ""  # more lines of charon's settings
        self.plugins = PLUGINS
        self.cert_uri_base = ""  # where others find the certificates of these tunnels, by their hash (RFC 7296 3.6)
        os.makedirs(self.dir + "/swanctl", exist_ok=True)

    @classmethod
    def version(cls):
        said = subprocess.run([CHARON, "--version"], capture_output=True, text=True, check=False).stdout
        found = re.search(r"\d+(\.\d+)+", said)
        return found[0] if found else "?"

    # ------------------------------------------------------------------ life
    def start(self):
        with open(self.dir + "/strongswan.conf", "w", encoding="ascii") as f:
            f.write(DAEMON_CONF.replace("@DIR@", self.dir).replace("@PLUGINS@", self.plugins).replace("@MORE@", self.settings)
                    .replace("@VIRTUAL@", "yes" if any(t.request_address for t in self.tunnels) else "no"))
        # `ip netns exec` gives the process its own mounts; a private /run keeps the pid files of several charons apart.
        self.process = self.lab.spawn(
            self.side, "sh", "-c", 'mount -t tmpfs tmpfs /run && exec env "STRONGSWAN_CONF=$0" "$1"',
            self.dir + "/strongswan.conf", CHARON, output=self.dir + "/out")
        wait_until(lambda: self._swanctl("--stats", ok=None), 10, "charon answers", 0.02)
        self.reload()

    def reload(self):
        with open(self.dir + "/swanctl/swanctl.conf", "w", encoding="ascii") as f:
            f.write("connections {\n" + "".join(_connection(t) for t in self.tunnels) + "}\nsecrets {\n")
            for t in self.tunnels:
                if t.ppk:
                    f.write(f'  ppk-{t.name} {{\n    id = "{t.ppk[0]}"\n    secret = 0x{t.ppk[1]}\n  }}\n')
                for number, (name, secret) in enumerate(_passwords(t)):
                    f.write(f'  eap-{t.name}-{number} {{\n    id = "{name}"\n    secret = "{secret}"\n  }}\n')
                if t.credentials:
                    self._place(t.credentials)
                    if not t.own_proof or (isinstance(t.own_proof, tuple) and "secret" not in t.own_proof + t.peer_proof):
                        continue
                f.write(f'  ike-{t.name} {{\n    id-1 = {t.local_id}\n    id-2 = {t.remote_id}\n    secret = "{t.secret}"\n  }}\n')
            f.write("}\n" + _pools(self.tunnels) + self._authorities())
        self._swanctl("--load-all")

    def fetches(self):
        """What charon needs to ask HTTP servers itself; before start()."""
        if not os.path.exists("/usr/lib/ipsec/plugins/libstrongswan-curl.so"):
            raise Skipped("strongSwan has no curl plugin (Debian package libstrongswan-extra-plugins; ./dev setup)")
        self.plugins += " curl"

    def _authorities(self):
        """The URL goes with whoever issued the certificate."""
        if not self.cert_uri_base:
            return ""
        own, *between = self.tunnels[0].credentials.chain
        issuer = between[0] if between else self.tunnels[0].credentials.authorities[0]
        return f"authorities {{\n  issuer {{\n    file = {issuer}\n    cert_uri_base = {self.cert_uri_base}\n  }}\n}}\n"

    def _place(self, credentials):
        """Copies the files to where swanctl loads them from, under names that tell their folder apart."""
        # What the last configuration left there would still be believed.
        for folder in ("x509", "x509ca", "x509crl", "private", "pubkey"):
            shutil.rmtree(f"{self.dir}/swanctl/{folder}", ignore_errors=True)
            os.makedirs(f"{self.dir}/swanctl/{folder}")
        if not credentials.chain:
            shutil.copy(credentials.key, f"{self.dir}/swanctl/private/0-{os.path.basename(credentials.key)}")
            for path in (credentials.key + ".pub", credentials.peer_key):
                shutil.copy(path, f"{self.dir}/swanctl/pubkey/{os.path.basename(path)}")
            return
        own, *between = credentials.chain
        for folder, paths in (("x509", [own, *between]), ("x509ca", credentials.authorities), ("x509crl", credentials.lists),
                              ("private", [credentials.key])):
            for number, path in enumerate(paths):
                shutil.copy(path, f"{self.dir}/swanctl/{folder}/{number}-{os.path.basename(path)}")
        for chain, key in credentials.others:
            for folder, paths in (("x509", chain), ("private", [key])):
                for path in paths:
                    shutil.copy(path, f"{self.dir}/swanctl/{folder}/other-{os.path.basename(path)}")

    def kill(self, sig):
        self.process.send_signal(sig)
        self.process.wait(10)

    def stop(self):
        check(shell.end(self.process, signal.SIGTERM, 5), "charon did not end on SIGTERM")

    # --------------------------------------------------------------- command
    def _swanctl(self, *args, ok=(0,)):
        return run("env", f"SWANCTL_DIR={self.dir}/swanctl", f"STRONGSWAN_CONF={self.dir}/strongswan.conf",
                   "swanctl", *args, ok=ok)

    def up(self, name="net"):
        self._swanctl("--initiate", "--child", name, "--timeout", "15")

    def down(self, name="net"):
        self._swanctl("--terminate", "--ike", name, "--timeout", "10")

    def down_child(self, name="net"):
        self._swanctl("--terminate", "--child", name, "--timeout", "10")

    def rekey_child(self, name="net"):
        self._swanctl("--rekey", "--child", name)

    def rekey_ike(self, name="net"):
        self._swanctl("--rekey", "--ike", name)

    def state(self, name="net"):
        ike, children = [], []
        for sa in _parse_raw(self._swanctl("--list-sas", "--raw", ok=None)):
            if name not in sa:
                continue
            sa = sa[name]
            if sa["state"] == "ESTABLISHED":
                ike.append(sa["initiator-spi"])
            for child in sa["child-sas"].values():
                if child["state"] == "INSTALLED":
                    children.append(ChildSa(child["spi-in"], child["spi-out"],
                                            int(child["packets-in"]), int(child["packets-out"])))
        return State(tuple(ike), tuple(children))

    def log(self):
        text = ""
        for name in ("log", "out"):
            if os.path.exists(f"{self.dir}/{name}"):
                with open(f"{self.dir}/{name}", encoding="utf-8", errors="replace") as f:
                    text += "".join(line for line in f if "vici client" not in line)
        return text


def _pool_names(t):
    """One for each range: a pool of charon's has no more."""
    return [f"pool-{t.name}" + (f"-{number}" if number else "") for number in range(len(t.pool) - 1)]


def _pools(tunnels):
    pools = "".join(f"  {name} {{\n    addrs = {addresses}\n" + (f"    dns = {t.pool[-1]}\n" if t.pool[-1] else "") +
                    (f"    subnet = {t.pool_subnets}\n" if t.pool_subnets else "") + "  }\n"
                    for t in tunnels for name, addresses in zip(_pool_names(t), t.pool))
    return f"pools {{\n{pools}}}\n" if pools else ""


def _wanted_addresses(t):
    families = {":" in subnet for subnet in t.remote_ts}
    return ",".join(any_one for any_one, v6 in (("0.0.0.0", False), ("::", True)) if v6 in families)


def _connection(t):
    start = {"manual": "none", "auto": "start", "on-demand": "trap"}[t.start]
    # Room between the rekey time and the hard limit: the tenth that is the default is nothing with lifetimes of seconds.
    ike = f"rekey_time = {t.ike_lifetime}s\n    rand_time = 0s\n    over_time = 30s\n" if t.ike_lifetime else ""
    child = f"rekey_time = {t.child_lifetime}s\n        rand_time = 0s\n        life_time = {t.child_lifetime + 30}s\n" \
        if t.child_lifetime else ""
    liveness = f"dpd_delay = {t.liveness}s\n" if t.liveness else ""
    return f"""  {t.name} {{
    version = 2
    mobike = {'yes' if t.mobike else 'no'}
    local_addrs = {'%any' if t.roams else t.local}
    remote_addrs = {'%any' if t.anybody else t.remote}
    {f"pools = {','.join(_pool_names(t))}" if t.pool else ''}{f'vips = {_wanted_addresses(t)}' if t.request_address else ''}
    proposals = {t.ike}
    {f'fragmentation = {t.fragmentation}' if t.fragmentation else ''}
    {f'ppk_id = {t.ppk[0]}' if t.ppk else ''}
    {f"ppk_required = {'yes' if t.ppk[2] else 'no'}" if t.ppk else ''}
    {ike}{liveness}
    {t.swanctl}
    {_sides(t)}
    children {{
      {t.name} {{
        mode = tunnel
        esp_proposals = {t.esp}
        local_ts = {'dynamic' if t.request_address else ','.join(t.local_ts)}
        remote_ts = {'dynamic' if t.pool else ','.join(t.remote_ts)}
        {child}start_action = {start}
        dpd_action = {'restart' if t.start == 'auto' else 'clear'}
      }}
      {"".join(_further_child(t, *one) for one in t.further)}
    }}
  }}
"""


def _further_child(t, name, local_ts, remote_ts):
    return f"""{name} {{
        mode = tunnel
        esp_proposals = {t.esp}
        local_ts = {','.join(local_ts)}
        remote_ts = {','.join(remote_ts)}
      }}
      """


def _passwords(t):
    if t.eap is None:
        return ()
    return ((t.eap.identity, t.eap.secret),) if t.eap.identity else t.eap.users


def _eap_sides(t):
    """The client proves itself by EAP, the server by secret or certificate; the files stand where _sides has them."""
    method = f"auth = eap-{t.eap.methods[0]}"
    server = method if t.eap.only else "auth = pubkey" if t.credentials else "auth = psk"
    # With TLS the client shows a certificate too.
    shown = f"certs = 0-{os.path.basename(t.credentials.chain[0])}" if "tls" in t.eap.methods else ""
    if t.eap.identity:
        # Where EAP alone proves the server, charon knows of no authority behind it.
        judged = t.credentials and not t.eap.only
        authority = f"cacerts = 0-{os.path.basename(t.credentials.authorities[0])}" if judged else ""
        return f"""local {{
      auth = {'eap' if len(t.eap.methods) > 1 else method[7:]}
      {shown}
      eap_id = "{t.eap.identity}"
      id = "{t.local_id}"
    }}
    remote {{
      {server}
      {authority}
      id = "{t.remote_id}"
    }}"""
    own = f"certs = 0-{os.path.basename(t.credentials.chain[0])}" if t.credentials else ""
    return f"""send_cert = always
    local {{
      {server}
      {own}
      id = "{t.local_id}"
    }}
    remote {{
      {method}
      eap_id = %any
      id = {f'"{t.remote_id}"' if t.remote_id else '%any'}
    }}"""


def _two_proofs(t):
    ways = {"secret": "psk", "certificate": "pubkey"}
    own = f"certs = 0-{os.path.basename(t.credentials.chain[0])}" if t.own_proof == "certificate" else ""
    other = f"cacerts = 0-{os.path.basename(t.credentials.authorities[0])}" if t.peer_proof == "certificate" else ""
    return f"""send_cert = always
    local {{
      auth = {ways[t.own_proof]}
      {own}
      id = "{t.local_id}"
    }}
    remote {{
      auth = {ways[t.peer_proof]}
      {other}
      id = "{t.remote_id}"
    }}"""


def _round(t, side, number, way):
    """One of several authentications of a side; EAP is the client's."""
    own = side == "local"
    way, other = round_of(way)
    lines = {"secret": ["auth = psk"], "certificate": ["auth = pubkey"]}.get(way) or [f"auth = eap-{t.eap.methods[0]}"]
    if other:
        place = len(t.credentials.authorities) - 1
        lines.append(f"certs = other-{os.path.basename(t.credentials.others[0][0][0])}" if own
                     else f"cacerts = {place}-{os.path.basename(t.credentials.authorities[place])}")
    elif way == "certificate":
        lines.append(f"certs = 0-{os.path.basename(t.credentials.chain[0])}" if own
                     else f"cacerts = 0-{os.path.basename(t.credentials.authorities[0])}")
    name = other or (t.local_id if own else t.remote_id)
    if way == "eap":
        user = t.eap.identity or "%any"
        lines.append(f'eap_id = "{user}"')
        # The first round is under the identity that IKE has anyway.
        name = name if number == 0 else user
    lines.append(f'id = "{name}"')
    body = "".join(f"      {line}\n" for line in lines)
    return f"{side}-{number} {{\n{body}    }}\n    "


def _sides(t):
    if isinstance(t.own_proof, tuple):
        return "send_cert = always\n    " + "".join(
            _round(t, side, number, way) for side, ways in (("local", t.own_proof), ("remote", t.peer_proof)) for number, way in enumerate(ways))
    if t.eap:
        return _eap_sides(t)
    if t.own_proof:
        return _two_proofs(t)
    if t.credentials is None:
        return f"""local {{
      auth = psk
      id = {t.local_id}
    }}
    remote {{
      auth = psk
      id = {t.remote_id}
    }}"""
    if not t.credentials.chain:
        own, other = (os.path.basename(path) for path in (t.credentials.key + ".pub", t.credentials.peer_key))
        return f"""local {{
      auth = pubkey
      pubkeys = {own}
      id = "{t.local_id}"
    }}
    remote {{
      auth = pubkey
      pubkeys = {other}
      id = "{t.remote_id}"
    }}"""
    own = os.path.basename(t.credentials.chain[0])
    revocation = t.revocation or ("strict" if t.credentials.lists else "")
    authorities = ",".join(f"{n}-{os.path.basename(path)}" for n, path in enumerate(t.credentials.authorities))
    # Quoted: a subject has commas in it.
    return f"""send_cert = always
    local {{
      auth = pubkey
      certs = 0-{own}
      id = "{t.local_id}"
    }}
    remote {{
      auth = pubkey
      cacerts = {authorities}
      id = "{t.remote_id}"
      {f'revocation = {revocation}' if revocation else ''}
    }}"""


DAEMON_CONF = """charon {
  load = @PLUGINS@
  @MORE@
  install_virtual_ip = @VIRTUAL@
  retransmit_tries = 3
  retransmit_timeout = 1.0
  retransmit_base = 1.5
  filelog {
    log {
      path = @DIR@/log
      flush_line = yes
      time_format = %H:%M:%S
      time_add_ms = yes
      default = 1
      ike = 2
      cfg = 2
    }
  }
  plugins {
    kernel-libipsec {
      allow_peer_ts = yes
    }
    vici {
      socket = unix://@DIR@/vici
    }
  }
}
swanctl {
  load = pem pkcs1 pkcs8 x509 pubkey openssl random
  socket = unix://@DIR@/vici
}
"""


def _parse_raw(text):
    """The dictionaries in the output of `swanctl --raw`: NAME {key=value section {...} list [a b]}."""
    for line in text.splitlines():
        body = re.match(r"list-sa event (\{.*\})\s*$", line)
        if body:
            # A traffic selector has brackets of its own: 10.2.0.0/16[tcp/7001].
            tokens = re.findall(r"[{}\[\]]|[^\s{}\[\]=]+(?:\[[^\[\]]*\])?=?|=", body[1])
            yield _section(tokens, 1)[0]


def _section(tokens, at):
    result = {}
    while tokens[at] != "}":
        key, at = tokens[at], at + 1
        if key.endswith("="):
            if tokens[at].endswith("=") or tokens[at] == "}":
                result[key[:-1]] = ""
            elif tokens[at] == "[":
                end = tokens.index("]", at)
                result[key[:-1]], at = tokens[at + 1:end], end + 1
            else:
                result[key[:-1]], at = tokens[at], at + 1
        elif tokens[at] == "{":
            result[key], at = _section(tokens, at + 1)
        else:
            raise Failed(f"swanctl --raw: unexpected '{key}'")
    return result, at + 1
