"""The figures to reach, each made of what one run measured: ratios inside a round, then the median over the rounds."""

from dataclasses import dataclass

from .statistics import median, spread

PEERS = ("strongswan", "wireguard-go", "nebula", "openvpn")


@dataclass(frozen=True)
class Figure:
    """`value(round)` of one round, a dictionary {subject: {measure: number or None}}; None where something is missing."""

    name: str
    title: str
    unit: str
    value: object
    at_least: float = None
    at_most: float = None

    def reached(self, value):
        if value is None or self.at_least is None and self.at_most is None:
            return None
        return value >= self.at_least if self.at_least is not None else value <= self.at_most

    def target(self):
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return f"at most {self.at_most:g}" if self.at_most is not None else ""


def of(subject, measure):
    return lambda found: found.get(subject, {}).get(measure)


def ratio(above, below):
    def value(found):
        a, b = above(found), below(found)
        return a / b if a is not None and b else None
    return value


def best(measure, pick=max):
    """Over the peers that were measured."""
    def value(found):
        known = [v for v in (of(p, measure)(found) for p in PEERS) if v is not None]
        return pick(known) if known else None
    return value


def us(measure):
    return of("culvert", measure)


def of_plain(measure):
    return ratio(us(measure), of("plain", measure))


FIGURES = (
    Figure("cpu_per_gb", "daemon CPU, both ends, TCP 1 stream", "s/GB", us("cpu_per_gb"), at_most=0.42),
    Figure("tcp1", "TCP, 1 stream", "of plain veth", of_plain("tcp1"), at_least=0.38),
    Figure("tcp1_wireguard", "TCP, 1 stream", "of wireguard-go", ratio(us("tcp1"), of("wireguard-go", "tcp1")), at_least=5),
    Figure("tcp1_strongswan", "TCP, 1 stream", "of strongSwan", ratio(us("tcp1"), of("strongswan", "tcp1")), at_least=25),
    Figure("tcp1_nic", "TCP, 1 stream, no super-packets on the veth", "of plain veth", of_plain("tcp1_nic"), at_least=0.80),
    Figure("tcp4", "TCP, 4 streams", "of plain veth", of_plain("tcp4"), at_least=0.36),
    Figure("tcp4_wireguard", "TCP, 4 streams", "of wireguard-go", ratio(us("tcp4"), of("wireguard-go", "tcp4")), at_least=8),
    Figure("udp1400", "UDP 1400 octets, at most 0.1 % lost", "of the best peer", ratio(us("udp1400"), best("udp1400")), at_least=2),
    Figure("udp1400_plain", "UDP 1400 octets, at most 0.1 % lost", "of plain veth", of_plain("udp1400")),
    Figure("udp64", "64-octet packets, at most 0.1 % lost", "of the best peer", ratio(us("udp64"), best("udp64")), at_least=3),
    Figure("udp64_cpu", "daemon CPU per 64-octet packet, both ends", "us", us("udp64_cpu"), at_most=3),
    Figure("flood64", "64-octet packets of a flood", "packets/s", us("flood64")),
    Figure("flood64_cpu", "daemon CPU per 64-octet packet of a flood, both ends", "us", us("flood64_cpu")),
    Figure("xdp_tcp1", "TCP, 1 stream, ESP without UDP, AF_XDP", "of raw sockets", ratio(of("culvert-xdp", "tcp1"), of("culvert-esp", "tcp1"))),
    Figure("xdp_cpu", "daemon CPU, both ends, ESP without UDP, AF_XDP", "of raw sockets",
           ratio(of("culvert-xdp", "cpu_per_gb"), of("culvert-esp", "cpu_per_gb"))),
    Figure("workers_tcp4", "TCP, 4 streams, two workers", "of one worker", ratio(of("culvert-2", "tcp4"), us("tcp4"))),
    Figure("workers_flood64", "64-octet packets of a flood, two workers", "of one worker", ratio(of("culvert-2", "flood64"), us("flood64"))),
    Figure("aggfrag_flood64", "64-octet packets of a flood, AGGFRAG", "of ESP without", ratio(of("culvert-aggfrag", "flood64"), us("flood64"))),
    Figure("aggfrag_udp64", "64-octet packets, at most 0.1 % lost, AGGFRAG", "of ESP without", ratio(of("culvert-aggfrag", "udp64"), us("udp64"))),
    Figure("rtt", "idle round trip", "of plain veth", of_plain("rtt"), at_most=8),
    Figure("memory", "resident memory of an idle daemon", "MB", us("memory"), at_most=10),
)


def evaluate(rounds):
    """[{name, title, unit, target, value, spread, reached, rounds}] of a list of rounds."""
    made = []
    for figure in FIGURES:
        values = [figure.value(found) for found in rounds]
        value = median(values)
        made.append({"name": figure.name, "title": figure.title, "unit": figure.unit, "target": figure.target(), "value": value,
                     "spread": spread(values), "reached": figure.reached(value), "rounds": values})
    return made


def word(row, problems):
    """What the last column of the table says; `problems` is {measure: reason} of Culvert, the peers and the plain veth."""
    if row["value"] is None:
        return "not measured: " + (problems.get(row["name"]) or next(iter(problems.values()), "no subject to compare with"))
    return {True: "reached", False: "NOT REACHED", None: ""}[row["reached"]]
