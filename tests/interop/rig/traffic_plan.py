"""What is sent over each row, and the results of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Payload octets of pings and of UDP datagrams, and of one TCP stream. Sizes above 1,400 are cut somewhere."""

    ping: tuple = (0, 56, 1200)
    udp: tuple = (1, 1400, 3000)
    tcp: int = 6000

    @property
    def packets(self):
        """That an SA carries at the least in each direction: one per datagram, four for TCP."""
        return len(self.ping) + len(self.udp) + (4 if self.tcp else 0)


def other(side):
    return "b" if side == "a" else "a"


def _sizes(row, sizes):
    """What the row's peer is known to take; both limits show between two Linux guests as well."""
    # Linux 6.1 drops ESP of less than 40 octets in UDP over IPv6: it counts the IPv6 header that it has taken off already.
    if row.encapsulation == "udp" and row.outer == 6:
        sizes = [max(size, 16) for size in sizes]
    # Linux in BEET mode makes of an IPv4 packet that ESP lifts just over the MTU two ESP packets that claim to be fragments of one.
    if row.mode == "beet":
        sizes = [1200 if size == 1400 else size for size in sizes]
    return list(sizes)


def run(agent, made, side, plan):
    """The agent at `side` sends over every row."""
    flows = [{"id": str(row.index), "from": row.inner_address(side), "to": row.inner_address(other(side)),
              "ping": _sizes(row, plan.ping), "udp": _sizes(row, plan.udp), "tcp": plan.tcp} for row in made]
    answers = agent.ask("exchange", 300, flows=flows)
    for row in made:
        row.fail(f"from {side}", answers[str(row.index)])
