"""culvertd as the daemon under test or as the peer, steered by the `culvert` command."""

import json
import os
import signal

from . import shell
from .shell import Failed, check, wait_until
from .tunnel import ChildSa, Peer, State, round_of


def driver(folder):
    """The class for the binaries in `folder`."""
    class Built(Culvert):
        binaries = os.path.abspath(folder)
    return Built


class Culvert(Peer):
    kind = "culvert"
    binaries = "."

    def __init__(self, lab, side, tunnels):
        super().__init__(lab, side, tunnels)
        for name in ("culvertd", "culvert"):
            if not os.path.exists(f"{self.binaries}/{name}"):
                raise Failed(f"{name} is not built: no {self.binaries}/{name} (./dev build)")
        self.dir = lab.path(f"culvert-{side}")
        os.makedirs(self.dir, exist_ok=True)
        self.config, self.socket = self.dir + "/culvert.toml", self.dir + "/sock"
        # The section [daemon]. What outlives culvertd (leases, counters, lists) is of this case alone, and stays over its restarts.
        self.daemon = {"log_level": "debug", "state": self.dir + "/state"}
        self.extra = ""  # more sections, as text
        self.more = ""  # more settings of each tunnel, as text
        self.environment = ()  # "NAME=VALUE" of culvertd
        self.wrapper = ()  # a command that runs it

    # ------------------------------------------------------------------ life
    def start(self, seconds=10):
        self.write_config()
        self.launch()
        wait_until(self._answers, seconds, "culvertd answers", 0.02)

    def launch(self):
        """Starts the daemon and does not wait for it."""
        self.process = self.lab.spawn(self.side, *self.wrapper, "env", *self.environment, f"{self.binaries}/culvertd", "--config", self.config,
                                      "--socket", self.socket, output=self.dir + "/log")

    def _answers(self):
        check(self.process.poll() is None, f"culvertd ended with status {self.process.returncode}: {self.log()[-600:]}")
        try:
            self.command("status")
            return True
        except Failed:
            return False

    def write_config(self):
        text = "[daemon]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in self.daemon.items())
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(text + "".join(_section(t, self.dir, self.more) for t in self.tunnels) + self._users() + self.extra)
        os.chmod(self.config, 0o600)

    def _users(self):
        users = {name: secret for t in self.tunnels if t.eap for name, secret in t.eap.users}
        return "".join(f"\n[user.{json.dumps(name)}]\nsecret = {json.dumps(secret)}\n" for name, secret in users.items())

    def reload(self):
        self.write_config()
        self.command("apply")

    def kill(self, sig):
        self.process.send_signal(sig)
        self.process.wait(10)

    def forget(self, name):
        """A file of the state folder is gone."""
        os.remove(f"{self.daemon['state']}/{name}")

    def stop(self):
        check(shell.end(self.process, signal.SIGTERM, 5), "culvertd did not end on SIGTERM")
        check(self.process.returncode == 0, f"culvertd ended with status {self.process.returncode}: {self.log()[-600:]}")

    # --------------------------------------------------------------- command
    def command(self, *args, ok=(0,)):
        return self.lab.exec(self.side, f"{self.binaries}/culvert", "--socket", self.socket, *args, ok=ok)

    def status(self):
        return json.loads(self.command("status", "--json"))

    def drops(self):
        """What it has dropped, by reason."""
        status = self.status()
        return {**status["ike_drops"], **status["packet_drops"]}

    def tunnel(self, name="net"):
        """The tunnel's part of the status."""
        found = [t for t in self.status()["tunnels"] if t["name"] == name]
        check(found, f"culvert status has no tunnel {name}")
        return found[0]

    def why(self, *who):
        """What `culvert why` says went wrong, the latest first."""
        return json.loads(self.command("why", *who, "--json"))["failures"]

    def up(self, name="net"):
        self.command("up", name)

    def down(self, name="net"):
        self.command("down", name)

    def rekey_child(self, name="net"):
        self.command("rekey", name)

    def rekey_ike(self, name="net"):
        self.command("rekey", name, "--ike")

    def state(self, name="net"):
        ike = self.tunnel(name)["ike_sas"]
        children = [ChildSa(c["spi_inbound"], c["spi_outbound"],
                            c["counters"]["inbound_packets"], c["counters"]["outbound_packets"])
                    for sa in ike for c in sa["children"]]
        return State(tuple(sa["spi_i"] for sa in ike), tuple(children))

    def log(self):
        if not os.path.exists(self.dir + "/log"):
            return ""
        with open(self.dir + "/log", encoding="utf-8", errors="replace") as f:
            return f.read()


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value)  # strings, numbers and booleans are written alike


def _hard(rekey_after, shortest):
    # A lifetime is a hard limit here, and rekeying begins a tenth and some jitter before it.
    return f"{max(shortest, rekey_after + max(1, round(rekey_after * 0.15)))}s"


def _proof(t, folder):
    """The settings that the tunnel authenticates with."""
    if isinstance(t.own_proof, tuple):
        return _rounds(t, folder)
    if t.eap is None:
        return _ike_proof(t, folder)
    found = _ike_proof(t, folder)
    by_certificate = "tls" in t.eap.methods
    if t.eap.identity:
        if not by_certificate:
            for of_server in ("certificate", "private_key"):
                found.pop(of_server, None)
        found["eap_identity"] = t.eap.identity
        if t.eap.methods != ("tls",):
            found["eap_secret"] = t.eap.secret
    elif not by_certificate:
        found.pop("ca", None)
    for name, value in (("eap_inner", t.eap.inner), ("eap_outer_identity", t.eap.outer), ("eap_server_id", t.eap.server_id), ("eap_only", t.eap.only)):
        if value:
            found[name] = value
    # Whose servers: [radius.lab], which the case writes.
    return {**found, "eap": t.eap.methods, **({"radius": "lab"} if t.eap.methods == ("radius",) else {})}


def _ike_proof(t, folder):
    if t.own_proof:
        return _two_proofs(t, folder)
    if t.credentials is None:
        return {"secret": t.secret}
    if not t.credentials.chain:
        return {"private_key": t.credentials.key, "peer_key": t.credentials.peer_key}
    chain = _joined(f"{folder}/{t.name}.chain.pem", t.credentials.chain)
    found = {"certificate": chain, "private_key": t.credentials.key, "ca": t.credentials.authorities}
    if t.credentials.container:
        found["certificate"] = t.credentials.container
        del found["private_key"]
    if t.credentials.password:
        found["private_key_password"] = t.credentials.password
    if t.credentials.others:
        found["certificate"], found["private_key"] = [found["certificate"]], [found["private_key"]]
        for number, (more, key) in enumerate(t.credentials.others):
            found["certificate"].append(_joined(f"{folder}/{t.name}.chain-{number}.pem", more))
            found["private_key"].append(key)
    if t.credentials.lists:
        found["crl"] = t.credentials.lists
    return found


def _two_proofs(t, folder):
    found = {"auth": t.own_proof, "peer_auth": t.peer_proof}
    if "secret" in (t.own_proof, t.peer_proof):
        found["secret"] = t.secret
    if t.credentials:
        all_of_it = _ike_proof(t.but(own_proof=""), folder)
        wanted = (("certificate", "private_key") if t.own_proof == "certificate" else ()) + (("ca",) if t.peer_proof == "certificate" else ())
        found.update({key: all_of_it[key] for key in wanted})
    return found


def _round(way, authority=None):
    kind, name = round_of(way)
    if not name:
        return kind
    return {"by": kind, "id": name, **({"ca": authority} if authority else {})}


def _rounds(t, folder):
    found = {"auth": [_round(way) for way in t.own_proof],
             "peer_auth": [_round(way, t.credentials.authorities[-1] if t.credentials else None) for way in t.peer_proof]}
    if "secret" in t.own_proof + t.peer_proof:
        found["secret"] = t.secret
    wanted = (("certificate", "private_key") if "certificate" in t.own_proof else ()) + (("ca",) if "certificate" in t.peer_proof else ())
    if wanted:
        all_of_it = _ike_proof(t.but(own_proof="", eap=None), folder)
        found.update({key: all_of_it[key] for key in wanted})
        if "ca" in found:
            found["ca"] = found["ca"][:1]
    if t.eap:
        found["eap"] = t.eap.methods
        if t.eap.identity:
            found.update(eap_identity=t.eap.identity, eap_secret=t.eap.secret)
        if t.eap.methods == ("radius",):
            found["radius"] = "lab"
    return found


def _joined(path, files):
    with open(path, "w", encoding="ascii") as f:
        for part in files:
            with open(part, encoding="ascii") as one:
                f.write(one.read())
    return path


def _section(t, folder, more=""):
    fields = {"peer": "any" if t.anybody else t.remote, "local_address": t.local, **_proof(t, folder), "local": t.local_ts,
              "remote": t.remote_ts, "start": t.start}
    if not t.local:  # any of ours
        del fields["local_address"]
    if t.pool:
        fields["pool"] = f"pool-{t.name}"
        del fields["remote"]
    if t.request_address:
        fields["address"] = "request"
        del fields["local"]
    if t.roams:
        del fields["local_address"]
    if t.local_id:
        fields["local_id"] = t.local_id
    if t.remote_id:
        fields["remote_id"] = t.remote_id
    if t.ike:
        fields["ike"] = t.ike.split(",")
    if t.esp:
        fields["esp"] = t.esp.split(",")
    if t.ppk:
        fields["ppk_id"], digits, fields["ppk_required"] = t.ppk
        fields["ppk"] = "0x" + digits
    if t.ppk_exchange:
        fields["ppk_exchange"] = t.ppk_exchange
    if t.fragmentation:
        fields["ike_fragmentation"] = t.fragmentation
    if t.encapsulation:
        fields["encapsulation"] = t.encapsulation
    if t.ike_lifetime:
        fields["ike_lifetime"] = _hard(t.ike_lifetime, 10)
    if t.child_lifetime:
        fields["child_lifetime"] = _hard(t.child_lifetime, 5)
    if t.liveness:
        fields["liveness"] = f"{t.liveness}s"
    if not t.mobike:
        fields["mobike"] = False
    text = f"\n[tunnel.{t.name}]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in fields.items())
    text += (f"aggfrag = {t.aggfrag}\n" if t.aggfrag else "") + (f"{t.ours}\n" if t.ours else "") + more
    if t.pool:
        text += f"\n[pool.pool-{t.name}]\naddresses = {_toml(t.pool[:-1])}\n" + (f"dns = {_toml(t.pool[-1])}\n" if t.pool[-1] else "")
    return text
