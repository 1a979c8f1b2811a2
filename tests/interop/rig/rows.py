"""The matrix: one row is one SA pair with manual keys, its addresses, and what it has shown so far."""

import itertools
import re
from dataclasses import dataclass, field

from . import transforms

# Outer addresses that all tunnels share, and a pair of addresses of its own for each row.
SHARED = {"a": {4: "192.0.2.1", 6: "2001:db8::1"}, "b": {4: "192.0.2.2", 6: "2001:db8::2"}}
SETS = {("outer", "a", 4): "172.16.{}.{}", ("outer", "b", 4): "172.17.{}.{}",
        ("outer", "a", 6): "2001:db8:a::{:x}:{:x}", ("outer", "b", 6): "2001:db8:b::{:x}:{:x}",
        ("inner", "a", 4): "10.1.{}.{}", ("inner", "b", 4): "10.2.{}.{}",
        ("inner", "a", 6): "fd01::{:x}:{:x}", ("inner", "b", 6): "fd02::{:x}:{:x}"}


def own_address(kind, side, family, index):
    # No octet 0 or 255: some hosts take them for networks and broadcasts.
    return SETS[kind, side, family].format(1 + index // 250, 1 + index % 250)


@dataclass
class Row:
    index: int
    suite: transforms.Suite
    mode: str = "tunnel"
    inner: int = 4
    outer: int = 4
    esn: bool = False
    encapsulation: str = "none"  # none | udp
    ipcomp: bool = False
    window: int = 64  # both sides' replay window
    padded_icv: bool = False  # AH over IPv4: the peer's ICV is padded to 64 bits as if in IPv6
    results: dict = field(default_factory=dict)  # step -> "" or what went wrong

    @property
    def protocol(self):
        return "esp" if self.suite.encryption else "ah"

    @property
    def name(self):
        families = f"v{self.inner}" if self.mode == "transport" else f"v{self.inner}in{self.outer}"
        return "-".join([self.protocol, self.mode, families, self.suite.word, "esn" if self.esn else "noesn"]
                        + ["udp"] * (self.encapsulation == "udp") + ["ipcomp"] * self.ipcomp
                        + [f"window{self.window}"] * (self.window != 64) + ["padded"] * self.padded_icv)

    def outer_address(self, side):
        return own_address("outer", side, self.outer, self.index) if self.mode == "transport" else SHARED[side][self.outer]

    def inner_address(self, side):
        return self.outer_address(side) if self.mode == "transport" else own_address("inner", side, self.inner, self.index)

    def spi(self, side):
        """The one that `side` receives with."""
        return (0x10000 if side == "a" else 0x20000) + self.index

    def cpi(self, side):
        return (0x1000 if side == "a" else 0x5000) + self.index

    def keys(self, side):
        """(encryption key with salt, integrity key) of the SA that `side` receives with."""
        encryption, integrity = self.suite.encryption, self.suite.integrity
        return (transforms.key(encryption.key, "encryption", side, self.index) if encryption else b"",
                transforms.key(integrity.key, "integrity", side, self.index) if integrity else b"")

    def fail(self, step, text):
        self.results.setdefault(step, "")
        if text:
            self.results[step] = self.results[step] or text

    @property
    def verdict(self):
        """"pass", or what went wrong first."""
        wrong = [f"{step}: {text}" for step, text in self.results.items() if text]
        return wrong[0] if wrong else "pass" if self.results else "nothing was tried"


def families(mode):
    return [(f, f) for f in (4, 6)] if mode == "transport" else list(itertools.product((4, 6), (4, 6)))


def rows(of, **fixed):
    """Numbered rows: the product of lists in `fixed` (a lone value stands for a list of one) over the suites."""
    lists = {k: v if isinstance(v, (list, tuple)) else [v] for k, v in fixed.items()}
    for suite in of:
        for values in itertools.product(*lists.values()):
            yield suite, dict(zip(lists, values))


def number(made, mode_families=True):
    """Rows from (suite, settings), each for every pair of address families that its mode knows unless it names them."""
    result = []
    for suite, settings in made:
        for inner, outer in [(settings["inner"], settings["outer"])] if "inner" in settings else families(settings.get("mode", "tunnel")):
            result.append(Row(len(result), suite, **{**settings, "inner": inner, "outer": outer}))
    return result


def lacking(row, peer):
    """Why `peer` ("linux" or "scapy") cannot do a row, or ""."""
    for t in (row.suite.encryption, row.suite.integrity):
        if t and not getattr(t, peer):
            return next((why for pattern, why in transforms.WITHOUT[peer].items() if re.search(pattern, t.word)), f"{peer} has no {t.word}")
    return ""
