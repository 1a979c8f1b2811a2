#!/usr/bin/env python3
"""`culvert bench ike` against culvertd and against strongSwan, in one run: what a set-up costs the responder.

    ike_load.py [--certificates] [--pool] [--hold SECONDS --liveness SECONDS] [--initiators N] [--at-once N] [--bin FOLDER] [--json FILE]

Two namespaces, the generator in one, the responder in the other. Pre-shared key, or certificates with RSA-2048 both ways;
X25519, AES-256-GCM; each initiator is a peer of its own with one Child SA. strongSwan has its userspace ESP (kernel-libipsec), as the kernel's is not always
there. With --pool all are one tunnel's, and each is given an address.
"""

import argparse
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../interop")]

from rig import culvert, strongswan  # noqa: E402
from rig.authority import Credentials  # noqa: E402
from rig.lab import OUTER, Lab  # noqa: E402
from rig.shell import Failed, Skipped, run  # noqa: E402
from vpn.goals import Goal, judge  # noqa: E402
from vpn.processes import resident_megabytes  # noqa: E402
from vpn.statistics import median  # noqa: E402

SECRET = "a secret for the load generator"
# Of one core, for the liveness of 100,000 IKE SAs; looked at where so many stand.
GOALS = {"liveness": 0.10, "standing": 100_000}
IKE, ESP = "aes256gcm16-prfsha256-x25519", "aes256gcm16"


def inner(number):
    return ".".join(str(b) for b in (0x0a800000 + number).to_bytes(4, "big"))


POOL = """
[pool.all]
addresses = ["10.128.0.0/9"]
"""


def section(n, certificates, pool=False, liveness=0):
    proof = f'secret = "{SECRET}"'
    if certificates:
        proof = f'certificate = "{certificates}/hub.pem"\nprivate_key = "{certificates}/hub.key"\nca = "{certificates}/ca.pem"'
    return f"""
[tunnel.site{n}]
peer = "any"
local_address = "{OUTER['b'][4]}"
local_id = "hub.example"
remote_id = "{'*.example' if pool else f'site{n}.example'}"
{proof}
ike = ["{IKE}"]
esp = ["{ESP}"]
encapsulation = "esp"
local = ["172.16.0.0/16"]
{'pool = "all"' if pool else f'remote = ["{inner(n)}/32"]'}
liveness = {liveness}
"""


def culvert_responder(lab, options, count, certificates, threads=None):
    threads = "" if threads is None else f"ike_threads = {int(threads)}\n"

    class Hub(culvert.driver(options.bin)):
        def write_config(self):
            # A file has its limit: a folder of them.
            self.config = self.dir + "/conf.d"
            os.makedirs(self.config, exist_ok=True)
            if options.pool:
                with open(f"{self.config}/all.toml", "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="utf-8") as f:
                    f.write(f'[daemon]\nlog_level = "warning"\nstate = "{self.dir}/state"\n' + section(0, certificates, True, options.liveness) + POOL)
                return
            for first in range(0, count, 1000):
                path = f"{self.config}/{first:06}.toml"
                with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="utf-8") as f:
                    f.write('[daemon]\nlog_level = "warning"\n' * (first == 0) + threads * (first == 0) + "".join(section(n, certificates, liveness=options.liveness) for n in range(first, min(first + 1000, count))))

    daemon = Hub(lab, "b", [])
    daemon.start(60)
    return daemon


class ManyPeers(strongswan.StrongSwan):
    """strongSwan that takes any peer with the secret, or with a certificate of the authority."""

    certificates = None
    pool = False

    def reload(self):
        path = self.dir + "/strongswan.conf"
        with open(path, encoding="ascii") as f:
            text = f.read()
        # Its log would be most of the work, and its limits on half-open IKE SAs are for strangers.
        text = text.replace("default = 1\n", "default = 0\n").replace("ike = 2\n", "ike = 0\n").replace("cfg = 2\n", "cfg = 0\n")
        text = text.replace("charon {", "charon {\n  block_threshold = 0\n  cookie_threshold = 0\n  init_limit_half_open = 0\n  threads = 16", 1)
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        auth, own, believed = "psk", "", ""
        if self.certificates:
            self._place(Credentials((self.certificates + "/hub.pem",), self.certificates + "/hub.key", (self.certificates + "/ca.pem",)))
            auth, own, believed = "pubkey", "certs = 0-hub.pem", "cacerts = 0-ca.pem"
        with open(self.dir + "/swanctl/swanctl.conf", "w", encoding="ascii") as f:
            f.write(f"""connections {{
  any {{
    version = 2
    local_addrs = {OUTER['b'][4]}
    proposals = {IKE}
    send_cert = always
    {'pools = all' if self.pool else ''}
    local {{
      auth = {auth}
      {own}
      id = hub.example
    }}
    remote {{
      auth = {auth}
      {believed}
      id = %any
    }}
    children {{
      net {{
        mode = tunnel
        esp_proposals = {ESP}
        local_ts = 172.16.0.0/16
        remote_ts = {'dynamic' if self.pool else '10.0.0.0/8'}
      }}
    }}
  }}
}}
secrets {{
  ike-any {{
    secret = "{SECRET}"
  }}
}}
{'pools { all { addrs = 10.128.0.0/9 } }' if self.pool else ''}
""")
        self._swanctl("--load-all")


def strongswan_responder(lab, options, count, certificates):
    daemon = ManyPeers(lab, "b", [])
    daemon.certificates = certificates
    daemon.pool = options.pool
    daemon.start()
    # The settings are read when it starts.
    daemon.stop()
    with open(daemon.dir + "/strongswan.conf", encoding="ascii") as f:
        text = f.read()
    strongswan.DAEMON_CONF, kept = text, strongswan.DAEMON_CONF
    try:
        daemon.start()
    finally:
        strongswan.DAEMON_CONF = kept
    return daemon


RESPONDERS = {"culvert": culvert_responder, "strongswan": strongswan_responder}


def measure(name, options):
    with Lab() as lab:
        secret = lab.path("secret")
        with open(secret, "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="ascii") as f:
            f.write(SECRET + "\n")
        lab.ip("b", "addr", "add", "172.16.0.1/16", "dev", "lo")  # strongSwan's routes want a source
        proof, certificates = ["--secret-file", secret], None
        if options.certificates:
            certificates = lab.path("certificates")
            os.makedirs(certificates)
            run(f"{options.bin}/bench_certificates", certificates, options.initiators, timeout=60 + options.initiators / 100)
            proof = ["--certificate", certificates + "/site{}.pem", "--private-key", certificates + "/site.key",
                     "--ca", certificates + "/ca.pem"]
        responder, *threads = name.split("/")
        daemon = RESPONDERS[responder](lab, options, options.initiators, certificates, *threads)
        pid = daemon.process.pid
        idle = resident_megabytes(pid)
        text = run("ip", "netns", "exec", lab.prefix + "a", f"{options.bin}/culvert", "--json", "bench", "ike", OUTER["b"][4],
                   "--local", OUTER["a"][4], *proof, "--remote-id", "hub.example", "--remote", "172.16.0.0/16",
                   "--inner", "10.128.0.0/9", "-n", options.initiators, "-c", options.at_once, "--ike", IKE, "--esp", ESP, "-p", pid,
                   *(["--rekey"] if options.rekey else []), *(["--pool"] if options.pool else []),
                   *(["--hold", options.hold] if options.hold else []), ok=None, timeout=60 + options.initiators / 20 + options.hold)
        told = json.loads(text)
        if "error" in told:
            raise Failed(told["error"])
        told["idle_megabytes"] = idle
        return told


def goals_of(results, options):
    if not options.liveness or options.initiators < GOALS["standing"]:
        return []
    held = [told["phases"]["hold"] for told in results.get("culvert", [])]
    shares = [one["responder_core_share"] for one in held if one["done"] >= GOALS["standing"]]
    return [Goal(f"liveness of {options.initiators:,} IKE SAs every {options.liveness} s", 100 * max(shares) if len(shares) == len(held) > 0 else None, 100 * GOALS["liveness"], "% of a core")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--initiators", type=int, default=2000)
    p.add_argument("--at-once", type=int, default=16)
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--rekey", action="store_true")
    p.add_argument("--pool", action="store_true", help="each asks for an address, all of one tunnel")
    p.add_argument("--hold", type=int, default=0, help="seconds for which all stand at last; the responder asks for their life every --liveness seconds")
    p.add_argument("--liveness", type=int, default=0, help="seconds; Culvert only")
    p.add_argument("--certificates", action="store_true", help="RSA-2048 both ways instead of a pre-shared key")
    p.add_argument("--responders", default=",".join(RESPONDERS), help="culvert/2 is culvertd with ike_threads = 2")
    p.add_argument("--bin", default=os.environ.get("CULVERT_BIN") or os.path.join(HERE, "../../build/release/bin"))
    p.add_argument("--json")
    options = p.parse_args()
    results = {}
    for _ in range(options.rounds):
        for name in options.responders.split(","):
            try:
                told = measure(name, options)
            except (Failed, Skipped) as reason:
                print(f"{name:12} cannot be measured: {reason}", flush=True)
                continue
            results.setdefault(name, []).append(told)
            for phase, found in told["phases"].items():
                print(f"{name:12} {phase:24} {found['done']:6} done {found['per_second']:7.0f}/s  CPU {found.get('responder_cpu_ms', 0):.3f} ms "
                      f" memory {found.get('responder_kilobytes', 0):.1f} kB  p50 {found['milliseconds']['p50']:.1f} ms  longest {found['milliseconds']['max']:.1f} ms"
                      f"  {found.get('responder_core_share', 0):.1%} of a core"
                      + "".join(f"  {count} failed: {reason}" for reason, count in found["failures"].items()), flush=True)
    def middle(name, key):
        return median([r["phases"]["set-up"].get(key) for r in results.get(name, [])])
    ours, theirs = middle("culvert", "responder_cpu_ms"), middle("strongswan", "responder_cpu_ms")
    if ours and theirs:
        print(f"CPU of the responder per set-up: Culvert {ours:.3f} ms, strongSwan {theirs:.3f} ms, {theirs / ours:.1f} times")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)
            f.write("\n")
    return 0 if results and judge(goals_of(results, options)) else 1


if __name__ == "__main__":
    sys.exit(main())
