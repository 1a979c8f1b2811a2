#!/usr/bin/env python3
"""How long a tunnel is without traffic when the network begins to drop UDP, and how soon it leaves TCP when that ends (RFC 9329).

    failover.py [--rounds N] [--bin FOLDER] [--json FILE]

Two namespaces with a culvertd each, the one that calls with tcp = "fallback". A packet filter drops all UDP; a ping every 20 ms through the
tunnel shows when it carries again. Then the filter goes, and the time counts until both ends say that the tunnel goes over UDP. With MOBIKE,
where the IKE SA that stands moves, and without, where a new one takes its place. Goals: 5 s, and a minute.
"""

import argparse
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../interop")]

from cases.tcp import BLOCK, rules, transports  # noqa: E402
from rig import culvert, traffic  # noqa: E402
from rig.case import Setup  # noqa: E402
from rig.shell import Failed, wait_until  # noqa: E402
from vpn.goals import Goal, judge  # noqa: E402
from vpn.statistics import median  # noqa: E402

GOALS = {"to_tcp": 5.0, "to_udp": 60.0}
WORDS = {"to_tcp": "without traffic, UDP being dropped", "to_udp": "over UDP again"}


def one_round(setup, mobike):
    pair = setup.pair(peer_kind="culvert", launch=False, mobike=mobike)
    pair.sut.more = 'tcp = "fallback"\n'
    pair.peer.daemon["listen_tcp"] = [4500]
    pair.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    stream = traffic.Stream(pair.lab, "a")
    time.sleep(1)
    begin = time.monotonic()
    rules(pair.lab, "a", BLOCK)
    # What was under way is through by then.
    time.sleep(0.2)
    traffic.wait_for_traffic(pair.lab, "a", seconds=30)
    to_tcp = time.monotonic() - begin
    wait_until(lambda: transports(pair)[0] == ["tcp"], 30, "the tunnel goes over TCP")
    pair.lab.exec("a", "nft", "delete", "table", "inet", "block")
    begin = time.monotonic()
    wait_until(lambda: transports(pair) == [["udp"], ["udp"]], 120, "the tunnel goes over UDP again", 0.1)
    to_udp = time.monotonic() - begin
    stream.finish()
    return {"to_tcp": to_tcp, "to_udp": to_udp}


def measure(options):
    found = {}
    for mobike in (True, False):
        rounds = []
        for _ in range(options.rounds):
            setup = Setup({"culvert": culvert.driver(options.bin)}, "culvert")
            try:
                rounds.append(one_round(setup, mobike))
            finally:
                setup.close()
        found["mobike" if mobike else "anew"] = {
            name: {"median": median([one[name] for one in rounds]), "worst": max(one[name] for one in rounds)} for name in GOALS}
    return found


def goals_of(found):
    return [Goal(f"{way}, {WORDS[name]}, worst", values[name]["worst"], bound) for way, values in found.items() for name, bound in GOALS.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", default=os.path.join(HERE, "../../build/release/bin"))
    parser.add_argument("--json")
    options = parser.parse_args()
    try:
        found = measure(options)
    except Failed as reason:
        print(f"failover.py: {reason}", file=sys.stderr)
        return 1
    for way, values in found.items():
        print(f"{way:8} no traffic for {values['to_tcp']['median']:.1f} s (worst {values['to_tcp']['worst']:.1f}), "
              f"over UDP again after {values['to_udp']['median']:.1f} s (worst {values['to_udp']['worst']:.1f})")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump(found, f, indent=2)
    return 0 if judge(goals_of(found)) else 1


if __name__ == "__main__":
    sys.exit(main())
