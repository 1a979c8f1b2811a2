"""Rows of the matrix (rig/rows.py) as `ip xfrm` states and policies of a Linux guest, and what they have counted."""

import re

from . import rows, traffic_plan
from .rows import SHARED
from .shell import check


def _hex(data):
    return "0x" + data.hex() if data else '""'


def _algorithm(row, side):
    """The algorithm words of the SA that `side` receives with."""
    encryption, integrity = row.suite.encryption, row.suite.integrity
    e, i = row.keys(side)
    if encryption and encryption.icv:
        return f"aead {encryption.linux} {_hex(e)} {encryption.icv * 8}"
    words = f"enc {encryption.linux} {_hex(e)} " if encryption else ""
    return words + f"auth-trunc {integrity.linux} {_hex(i)} {integrity.icv * 8}"


class Linux:
    """A guest's kernel, the peer at `b` unless told otherwise. `device` is its interface towards the other end."""

    kind = "linux"

    def __init__(self, guest, side="b", device="vec0"):
        self.guest, self.side, self.device = guest, side, device
        self.other = traffic_plan.other(side)
        self.version = f"Linux {guest.release}"

    def prepare(self, made):
        """Addresses, routes, servers: everything but SAs."""
        lines = [f"addr add {SHARED[self.side][4]}/24 dev {self.device}", f"addr add {SHARED[self.side][6]}/64 dev {self.device} nodad"]
        lines += [f"route add default via {SHARED[self.other][4]}", f"route add default via {SHARED[self.other][6]}"]
        lines += local_addresses(made, self.side, self.device)
        # Linux asks the policies about the datagram around ESP too: in transport mode they would demand ESP of it.
        lines += [f"xfrm policy add src {net} dst {net} proto udp sport 4500 dport 4500 dir in priority 1 action allow"
                  for net in ("0.0.0.0/0", "::/0")]
        self.guest.batch(lines)
        # Segments leave one by one, each checksum complete: a TAP device passes on what a wire could not carry.
        self.guest.sh(f"ethtool -K {self.device} tso off gso off gro off", ok=None)
        self.guest.ask("serve")
        self.guest.ask("take_esp_in_udp", port=4500)

    def install(self, made):
        """All rows' states, then their policies. A row that Linux refuses fails alone."""
        for row in made:
            row.fail("install", "")
        status, _ = self.guest.ask("batch", 120, lines=[line for row in made for line in self.lines(row)])
        if status == 0:
            return
        # `ip` ends at a state that the kernel refuses, and does not say which one it was: again, one row after the other.
        self.guest.sh("ip xfrm state flush")
        self.guest.ask("batch", lines=["xfrm policy deleteall priority 10"])
        for row in made:
            status, text = self.guest.ask("batch", 120, lines=self.lines(row))
            if status:
                row.fail("install", text.strip().splitlines()[0] if text.strip() else f"ip exits with {status}")

    def lines(self, row):
        out = []
        for one, two, direction in ((self.other, self.side, "in"), (self.side, self.other, "out")):
            source, target = row.outer_address(one), row.outer_address(two)
            ends = f"src {source} dst {target}"
            mode = "transport" if row.ipcomp and row.mode == "tunnel" else row.mode
            state = f"xfrm state add {ends} proto {row.protocol} spi {row.spi(two):#x} reqid {row.index + 1} mode {mode}"
            state += f" replay-window {row.window} flag " + " ".join(self._flags(row, mode)) if self._flags(row, mode) else \
                f" replay-window {row.window}"
            state += " " + _algorithm(row, two)
            if row.encapsulation == "udp":
                state += " encap espinudp 4500 4500 " + ("0.0.0.0" if row.outer == 4 else "::")
            inner = f"src {row.inner_address(one)} dst {row.inner_address(two)}"
            if mode == "beet":
                state += f" sel {inner}"
            out.append(state)
            policy = f"xfrm policy add {inner} dir {direction} priority 10"
            if row.ipcomp:
                out.append(f"xfrm state add {ends} proto comp spi {row.cpi(two):#x} reqid {row.index + 1} mode {row.mode}"
                           f"{' flag af-unspec' if row.mode == 'tunnel' else ''} comp deflate")
                policy += f" tmpl {ends} proto comp reqid {row.index + 1} mode {row.mode} level use" if direction == "in" else \
                    f" tmpl {ends} proto comp reqid {row.index + 1} mode {row.mode}"
            out.append(f"{policy} tmpl {ends} proto {row.protocol} reqid {row.index + 1} mode {mode}")
        return out

    @staticmethod
    def _flags(row, mode):
        flags = ["esn"] * row.esn
        if mode == "tunnel" or row.ipcomp:  # the flow inside may be of the other family
            flags.append("af-unspec")
        if row.protocol == "ah" and row.outer == 4 and not row.padded_icv:
            flags.append("align4")  # RFC 4302 2.6: IPv4 needs no padding of the ICV; Linux pads without this flag
        return flags

    def exchange(self, made, plan):
        """Sends from the guest; each row gets its result."""
        traffic_plan.run(self.guest, made, self.side, plan)

    def count(self, made, at_least):
        """Each row's SAs must have counted so many packets in either direction, and none as bad."""
        states = self.states()
        for row in made:
            for side, word in ((self.side, "in"), (self.other, "out")):
                state = states.get((row.outer_address(side), row.protocol, row.spi(side)))
                if state is None:
                    row.fail("counted by Linux", f"has no {word}bound SA")
                    continue
                if state["packets"] < at_least:
                    row.fail("counted by Linux", f"{state['packets']} packets {word}, of at least {at_least}")
                if state["bad"]:
                    row.fail("counted by Linux", f"{word}: {state['bad']}")

    def states(self):
        """{(destination, protocol, SPI): {"packets", "bad"}} of every state."""
        text = self.guest.sh("ip -s xfrm state")
        found = {}
        for part in re.split(r"^(?=src )", text, flags=re.M):
            head = re.match(r"src \S+ dst (\S+)\s+proto (\S+) spi (0x[0-9a-f]+)", part)
            if not head:
                continue
            packets = re.search(r"lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)", part)
            stats = re.search(r"stats:\s+replay-window (\d+) replay (\d+) failed (\d+)", part)
            check(packets and stats, f"ip -s xfrm state says: {part[:400]}")
            bad = [f"{int(n)} {word}" for n, word in zip(stats.groups(), ("outside the replay window", "replayed", "with a wrong ICV")) if int(n)]
            found[head[1], head[2], int(head[3], 16)] = {"packets": int(packets[1]), "bad": ", ".join(bad)}
        return found

    def errors(self):
        """What /proc/net/xfrm_stat counted as wrong, "" when nothing."""
        lines = self.guest.sh("cat /proc/net/xfrm_stat").splitlines()
        return " ".join(f"{n}={v}" for n, v in (line.split() for line in lines) if v != "0")

    def lacking(self, row):
        if row.protocol == "ah" and row.mode == "beet":
            return "ip xfrm has no AH in BEET mode"
        return rows.lacking(row, "linux")


def local_addresses(made, side, wire):
    """`ip -batch` lines: the addresses that the rows want at a side; outer ones on the wire, inner ones on the loopback."""
    lines = []
    for row in made:
        if row.mode == "transport":
            lines.append(f"addr add {row.outer_address(side)}/{'32' if row.outer == 4 else '128 nodad'} dev {wire}")
        else:
            lines.append(f"addr add {row.inner_address(side)}/{'32' if row.inner == 4 else '128 nodad'} dev lo")
    return list(dict.fromkeys(lines))
