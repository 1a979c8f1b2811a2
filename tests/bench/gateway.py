#!/usr/bin/env python3
"""Traffic between hosts behind two gateways: what a VPN carries that forwards, and what it costs.

    gateway.py [--rounds N] [--seconds N] [--subjects NAME,NAME] [--bin FOLDER] [--json FILE]

    ha 10.1.1.2 ---- a ---- wire ---- b ---- 10.2.1.2 hb

Four namespaces on one machine. The daemons are in a and b, which forward; the load is in ha and hb, so that each packet comes in by an interface,
goes out by another, and passes the IP layer of both gateways. Beside the VPNs stands what the same four hosts carry without any.
"""

import argparse
import json
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../interop")]

from rig.lab import OUTER, SUBNET, Lab  # noqa: E402
from rig.shell import Failed, Skipped  # noqa: E402
from vpn import subjects  # noqa: E402
from vpn.machine import commit, machine  # noqa: E402
from vpn.measures import Bench  # noqa: E402
from vpn.statistics import median, spread  # noqa: E402

HOST = {"a": "10.1.1.2", "b": "10.2.1.2"}
GATEWAY = {"a": "10.1.1.1", "b": "10.2.1.1"}
INTERFACES = (("a", "wire"), ("b", "wire"), ("a", "lan"), ("b", "lan"), ("ha", "lan"), ("hb", "lan"))
# What a flood of small packets offers, a second: hardly more than the load makes.
FLOOD = 200e3
MEASURES = (("tcp1", "TCP, 1 stream, Gbit/s"), ("tcp1_cpu", "CPU of both daemons, s/GB"), ("tcp4", "TCP, 4 streams, Gbit/s"),
            ("tcp4_cpu", "CPU of both daemons, s/GB"), ("tcp1_nic", "TCP, 1 stream, no super-packets on any veth, Gbit/s"),
            ("tcp1_nic_cpu", "CPU of both daemons, s/GB"), ("flood64", "64 octets in a flood, thousand packets/s"),
            ("flood64_cpu", "CPU per 64-octet packet, both, us"))


class GatewayLab(Lab):
    """The direct layout, with a host behind each end."""

    def _build(self):
        super()._build()
        for side in "ab":
            host = "h" + side
            self._add_namespace(host)
            self._veth(side, "lan", host, "lan")
            self.ip(side, "addr", "add", GATEWAY[side] + "/24", "dev", "lan")
            self.ip(host, "addr", "add", HOST[side] + "/24", "dev", "lan")
            self.ip(host, "route", "add", "default", "via", GATEWAY[side])
            self.exec(side, "sysctl", "-qw", "net.ipv4.ip_forward=1")
            self.exec(host, "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")


class Hosts:
    """The lab as the load sees it: who is at a or b is the host behind it."""

    def __init__(self, lab):
        self.lab, self.path = lab, lab.path

    def exec(self, side, *argv, **options):
        return self.lab.exec("h" + side, *argv, **options)

    def spawn(self, side, *argv, **options):
        return self.lab.spawn("h" + side, *argv, **options)


class Behind:
    """A subject as the load sees it."""

    def __init__(self, subject):
        self.pids = subject.pids

    @staticmethod
    def address(side):
        return HOST[side]


class Forwarding(subjects.Plain):
    title, version = "no VPN", "no VPN: the gateways forward in clear"

    def start(self):
        for side, other in subjects.SIDES:
            self.lab.ip(side, "route", "add", SUBNET[other][4], "via", OUTER[other][4])


KINDS = (Forwarding, subjects.Culvert, subjects.CulvertRaw, subjects.CulvertXdp, subjects.StrongSwan, subjects.WireGuardGo)


def offloads(lab, word):
    """As Bench.offloads, at every interface of the way."""
    for name, interface in INTERFACES:
        lab.exec(name, "ethtool", "-K", interface, "tso", word, "gso", word, "tx-udp-segmentation", word, "gro", "off" if word == "on" else "on", ok=None)


def measure(kind, options):
    """{measure: value} of one subject, in a lab of its own."""
    with GatewayLab() as lab:
        subject = kind(lab, options)
        subject.start()
        bench = Bench(Hosts(lab), Behind(subject), options)
        found = {}

        def take(name, values, unit, cpu_unit):
            found[name] = values[0] / unit
            found[name + "_cpu"] = values[1] and values[1] * cpu_unit

        take("tcp1", bench.tcp(1), 1e9, 1)
        take("tcp4", bench.tcp(4), 1e9, 1)
        offloads(lab, "off")
        take("tcp1_nic", bench.tcp(1), 1e9, 1)
        offloads(lab, "on")
        take("flood64", bench.flood(64, FLOOD), 1e3, 1)
        return found


def table(rounds, kinds):
    lines = ["  ".join([f"{'':52}", *(f"{kind.title:>24}" for kind in kinds)])]
    for name, title in MEASURES:
        values = []
        for kind in kinds:
            known = [one[kind.name].get(name) for one in rounds if kind.name in one]
            value, noise = median(known), spread(known)
            values.append("" if value is None else f"{value:.2f}" + (f" ({noise:.0%})" if noise is not None else ""))
        lines.append("  ".join([f"{title:52}", *(f"{value:>24}" for value in values)]))
    return lines


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=3, help="of each TCP measurement")
    p.add_argument("--subjects", default="", help="comma-separated: " + ", ".join(kind.name for kind in KINDS))
    p.add_argument("--bin", default=os.environ.get("CULVERT_BIN") or os.path.join(HERE, "../../build/release/bin"))
    p.add_argument("--json")
    options = p.parse_args()
    options.udp_seconds = 1
    wanted = options.subjects.split(",") if options.subjects else [kind.name for kind in KINDS]
    if unknown := set(wanted) - {kind.name for kind in KINDS}:
        p.error(f"no such subject: {', '.join(sorted(unknown))}")
    kinds = [kind for kind in KINDS if kind.name in wanted]

    rounds, failed = [], False
    for number in range(options.rounds):
        rounds.append({})
        for kind in random.Random(number).sample(kinds, len(kinds)):
            try:
                rounds[-1][kind.name] = measure(kind, options)
                print(f"round {number + 1}  {kind.title}: {rounds[-1][kind.name]['tcp1']:.2f} Gbit/s", flush=True)
            except Skipped as reason:
                print(f"round {number + 1}  {kind.title} is not measured: {reason}", flush=True)
            except Failed as reason:
                failed = True
                print(f"round {number + 1}  {kind.title} failed: {reason}", flush=True)
    print("\n" + "\n".join(table(rounds, kinds)) + "\n\nMedians; in brackets (largest - smallest) / median of the rounds.")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as f:
            json.dump({"commit": commit(), "time": time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "machine": machine(), "rounds": rounds}, f, indent=1)
            f.write("\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
