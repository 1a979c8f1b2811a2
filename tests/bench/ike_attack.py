#!/usr/bin/env python3
"""culvertd as an IKE responder on its worst days, with our own initiators from `culvert bench ike`:

  flood      an honest peer begins again and again while IKE_SA_INIT requests from forged addresses come, 100,000 a second
  return     1,000 peers set up their tunnels at once after the responder was killed and started again

    ike_attack.py [--rate N] [--seconds S] [--initiators N] [--bin FOLDER] [--json FILE]

Two namespaces, generator and responder; two cores are enough. Pre-shared keys, X25519, AES-256-GCM. Goals: the honest peer's longest set-up
takes 2 s, and all that return are up after 10 s. Fails when one is missed, or when the flood was not as dense as it was to be.
"""

import argparse
import json
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../interop")]

from ike_load import ESP, IKE, SECRET, culvert_responder  # noqa: E402
from rig.lab import OUTER, Lab  # noqa: E402
from rig.shell import Failed, run  # noqa: E402
from vpn.goals import Goal, judge  # noqa: E402
from vpn.processes import cpu_seconds  # noqa: E402

GOALS = {"honest": 2.0, "return": 10.0}
# What the generator is told to send: it falls behind a little where the responder takes its turn.
MARGIN = 1.02
HONEST = 100


def initiators(lab, options, secret, count, at_once):
    text = run("ip", "netns", "exec", lab.prefix + "a", f"{options.bin}/culvert", "--json", "bench", "ike", OUTER["b"][4],
               "--local", OUTER["a"][4], "--secret-file", secret, "--remote-id", "hub.example", "--remote", "172.16.0.0/16",
               "--inner", "10.128.0.0/9", "-n", count, "-c", at_once, "--ike", IKE, "--esp", ESP, ok=None, timeout=120)
    told = json.loads(text)
    if "error" in told:
        raise Failed(told["error"])
    return told


def lab_with(lab, options, count):
    secret = lab.path("secret")
    with open(secret, "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="ascii") as f:
        f.write(SECRET + "\n")
    return secret, culvert_responder(lab, options, count, None)


def flood(options):
    with Lab() as lab:
        secret, daemon = lab_with(lab, options, HONEST)
        before = cpu_seconds([daemon.process.pid])
        attack = lab.spawn("a", f"{options.bin}/ike_flood", OUTER["b"][4], round(options.rate * MARGIN), options.seconds, output=lab.path("flood"))
        time.sleep(1)
        begin = time.monotonic()
        told = []
        # Over and over, as long as there is time for a round that goes badly.
        while not told or time.monotonic() - begin < options.seconds / 2:
            told.append(initiators(lab, options, secret, HONEST, 1)["phases"]["set-up"])
        took = time.monotonic() - begin
        attack.wait(options.seconds + 10)
        with open(lab.path("flood"), encoding="ascii") as f:
            sent = json.load(f)
        status = daemon.status()
        return {"attack_per_second": sent["per_second"], "honest": told, "seconds": took,
                "cpu_seconds": cpu_seconds([daemon.process.pid]) - before, "counters": status["ike_counters"], "drops": status["ike_drops"]}


def returning(options):
    with Lab() as lab:
        secret, daemon = lab_with(lab, options, options.initiators)
        first = initiators(lab, options, secret, options.initiators, options.initiators)
        daemon.kill(signal.SIGKILL)
        daemon.start(60)
        return {"first": first, "again": initiators(lab, options, secret, options.initiators, options.initiators)}


def goals_of(results, options):
    """What the figures are held against. One that did not come about is missed, however fast the others were."""
    goals = []
    if flooded := results.get("flood"):
        rounds = flooded["honest"]
        complete = all(one["done"] == HONEST for one in rounds) and flooded["seconds"] < options.seconds - 1
        worst = max(one["milliseconds"]["max"] for one in rounds) / 1000 if complete else None
        goals += [Goal("forged requests", flooded["attack_per_second"], options.rate, "per second", at_least=True),
                  Goal(f"{HONEST * len(rounds):,} set-ups of an honest peer meanwhile, one after the other, the longest", worst, GOALS["honest"])]
    if returned := results.get("return"):
        done = returned["again"]["phases"]["set-up"]
        goals.append(Goal(f"{options.initiators:,} peers at once after a restart, all up", done["seconds"] if done["done"] == options.initiators else None, GOALS["return"]))
    return goals


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rate", type=int, default=100_000)
    p.add_argument("--seconds", type=int, default=20)
    p.add_argument("--initiators", type=int, default=1000)
    p.add_argument("--only", choices=("flood", "return"))
    p.add_argument("--bin", default=os.environ.get("CULVERT_BIN") or os.path.join(HERE, "../../build/release/bin"))
    p.add_argument("--json")
    options = p.parse_args()
    options.rounds = 1
    options.pool = False
    options.liveness = 0
    results = {}
    if options.only != "return":
        results["flood"] = flood(options)
    if options.only != "flood":
        results["return"] = returning(options)
    print(json.dumps(results, indent=1))
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump(results, f, indent=1)
    return 0 if judge(goals_of(results, options)) else 1


if __name__ == "__main__":
    sys.exit(main())
