#!/usr/bin/env python3
"""What a packet of 64 octets costs two culvertd as rules, SAs and destinations grow in number.

    growth.py [--counts 1,1000,...] [--kinds flows,rules,tunnels,peers] [--rounds N] [--rate N] [--bin FOLDER] [--json FILE] [--keep]

Two namespaces with a daemon each. Packets go to N addresses in turn, so that no two in a row are of one flow: through one tunnel (one rule,
one SA); through one SA by N rules; through N tunnels, each a peer with an IKE SA, a Child SA and a rule of its own. All stand at once; the
rounds go over them in an order that changes. Goal: CPU of both daemons for a packet at --rate within 1.5 times of that of the same packets by one
SA. Beside it stands what it is of one destination alone, whose packets TUN takes many at a time.
"""

import argparse
import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../interop")]

from rig import culvert  # noqa: E402
from rig.lab import Lab  # noqa: E402
from rig.shell import Failed, check  # noqa: E402
from vpn import compare, many  # noqa: E402
from vpn.goals import Goal, judge  # noqa: E402
from vpn.machine import commit, machine  # noqa: E402
from vpn.measures import PORT, Bench  # noqa: E402
from vpn.processes import resident_megabytes  # noqa: E402

KEPT = os.path.join(HERE, "results/growth.json")
# So many destinations are set up at a time, each by its first packet.
PIECE = 2000
PATIENCE = 300  # seconds, for all of a subject


def say(text):
    print(text, flush=True)


def daemon_of(options, kind, count):
    class Many(culvert.driver(options.bin)):
        def status(self):
            # Of all of them it would be long, and dear to write.
            return json.loads(self.command("status", "s0" if kind in many.WITH_SAS else "net", "--json"))

        def _answers(self):
            try:
                return bool(self.status())
            except Failed:
                check(self.process.poll() is None, f"culvertd ended: {self.log()[-600:]}")
                return False

        def write_config(self):
            self.config = self.dir + "/conf.d"
            os.makedirs(self.config, exist_ok=True)
            # Packets come from one address: what keeps strangers off is not what is measured.
            head = (f'[daemon]\nlog_level = "warning"\nstate = "{self.dir}/state"\n'
                    "cookie_threshold = 50000\nhalf_open_limit = 100000\npuzzle_threshold = 1000000\n" + options.settings.replace(";", "\n") + "\n")
            for name, text in many.files(kind, self.side, count, head):
                with open(f"{self.config}/{name}", "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="utf-8") as f:
                    f.write(text)
    return Many


class Subject:
    """N of a kind, up and carrying."""

    def __init__(self, lab, kind, count, options):
        self.lab, self.kind, self.count, self.options = lab, kind, count, options
        self.name = (kind, count)
        self.bench = Bench(lab, self, options)
        self.bench.settling = 30

    def pids(self):
        return self.daemons

    def start(self):
        # Any of the addresses is taken by one route, and none needs an entry of its own.
        for network in (many.NETWORK, many.OUTER_NETWORK):
            self.lab.ip("b", "route", "add", "local", network, "dev", "lo")
        make = daemon_of(self.options, self.kind, self.count)
        ends = [make(self.lab, side, []) for side in "ba"]
        begin = time.monotonic()
        for end in ends:
            end.start(PATIENCE)
        self.daemons = [end.process.pid for end in ends]
        say(f"{many.title(*self.name)}: the daemons answer after {time.monotonic() - begin:.1f} s")
        self.set_up()
        say(f"{many.title(*self.name)}: all carry after {time.monotonic() - begin:.1f} s; "
            + " and ".join(f"{resident_megabytes(pid):,.0f} MB" for pid in self.daemons))

    def set_up(self):
        begin = time.monotonic()
        # One SA needs one packet.
        wanted = self.count if self.kind in many.WITH_SAS else 1
        for first in range(0, wanted, PIECE):
            number = min(PIECE, wanted - first)
            lost = 1
            while lost > 0:
                if time.monotonic() > begin + PATIENCE:
                    raise Failed(f"after {PATIENCE} s there are still only {first:,} of {self.count:,}")
                # A little longer than it takes, so that the last one has its turn.
                _, lost, _ = self.send(number, self.options.set_up_rate, 0.01 + number / self.options.set_up_rate, first)
            if (first + number) % (10 * PIECE) == 0:
                say(f"  {first + number:,} after {time.monotonic() - begin:.0f} s")

    def send(self, count, rate, seconds, first=0):
        return self.bench.udp_load("spread", many.FROM, many.address(first), count, PORT, 64, rate, f"{seconds:.6f}")

    def measure(self):
        """{measure: value}: CPU in microseconds per packet, packets per second."""
        self.send(self.count, self.options.rate, max(0.5, 1.2 * self.count / self.options.rate))  # what lay idle is warm again
        _, lost, cpu = self.send(self.count, self.options.rate, self.options.seconds)
        flood, _, flood_cpu = self.send(self.count, 1e6, self.options.seconds / 2)
        return {"cpu": cpu and cpu * 1e6, "lost": lost, "flood": flood, "flood_cpu": flood_cpu and flood_cpu * 1e6}


def subjects_of(options):
    counts = [int(one) for one in options.counts.split(",")]
    kinds = options.kinds.split(",")
    # With one destination the kinds are the same but for the way that rules are written.
    return [many.BASE] + [(kind, count) for count in counts for kind in kinds if count > 1]


def one_round(subjects, number):
    found = {}
    order = list(subjects)
    random.Random(number).shuffle(order)
    for subject in order:
        found[subject.name] = subject.measure()
        one = found[subject.name]
        say(f"round {number + 1}  {many.title(*subject.name):44} {one['cpu'] or 0:.2f} us, {one['lost']:.2%} lost; "
            f"of a flood {one['flood'] / 1000:.0f} k/s, {one['flood_cpu'] or 0:.2f} us")
    return found


def goals_of(rows):
    """What rules and SAs alone add: the same packets cost so much more than by one SA. What the number of flows adds stands in the table."""
    return [Goal(f"CPU per packet, {row['title']}, of {row['count']:,} destinations by one SA", row.get("of_flows"), many.BOUND, "times")
            for row in rows if row["kind"] != "flows"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--counts", default="1,1000,10000,100000")
    p.add_argument("--kinds", default="flows,rules,tunnels")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--rate", type=float, default=100e3, help="packets a second at which CPU time is told")
    p.add_argument("--seconds", type=float, default=4)
    p.add_argument("--set-up-rate", type=float, default=1500, help="tunnels a second that are asked for")
    p.add_argument("--settings", default="", help='of [daemon], such as "flow_cache = 400000; ..."')
    p.add_argument("--bin", default=os.environ.get("CULVERT_BIN") or os.path.join(HERE, "../../build/release/bin"))
    p.add_argument("--json")
    p.add_argument("--keep", action="store_true", help="make this the result to compare with")
    options = p.parse_args()

    rounds, labs = [], []
    try:
        subjects = []
        for kind, count in subjects_of(options):
            labs.append(Lab())
            subjects.append(Subject(labs[-1].__enter__(), kind, count, options))
            subjects[-1].start()
        for number in range(options.rounds):
            rounds.append(one_round(subjects, number))
    except Failed as reason:
        say(f"growth.py: {reason}")
        return 1
    finally:
        for lab in reversed(labs):
            lab.__exit__()
    rows = many.evaluate(rounds)
    say("\n" + "\n".join(many.table(rows)) + "\n")
    result = {"commit": commit(), "time": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "machine": machine(), "rate": options.rate,
              "settings": options.settings, "figures": rows}
    if os.path.exists(KEPT):
        with open(KEPT, encoding="utf-8") as f:
            old = json.load(f)
        say(f"against {old['commit']} ({old['machine']}):\n" + "\n".join(compare.lines(rows, old["figures"])) + "\n")
    for path in [options.json] * bool(options.json) + [KEPT] * options.keep:
        with open(path, "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    return 0 if judge(goals_of(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
