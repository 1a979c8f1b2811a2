"""A lab whose end `b` is a guest with a kernel of its own, for daemons that need the kernel's IPsec.

    a 192.0.2.1 ---- 192.0.2.2 b (the guest)                   (also 2001:db8::1 and ::2)

or, with a NAT between the two that stands before either, as each round wants it (put_nat):

    a 192.168.77.2 ---- gw 192.0.2.254 ---- 192.0.2.2 b        a 192.0.2.1 ---- 192.0.2.254 gw ---- 192.168.77.2 b

The addresses, routes and inner addresses are those of layout `direct`. One boot serves many rounds: each has files of its
own, and begins with a guest that holds no SA, no policy, and no address but its own.
"""

import json
import os
import shlex

from . import shell
from .guest import Guest
from .lab import INNER, NAT_GATEWAY, NAT_INSIDE, NAT_OUTSIDE, OUTER, Lab
from .shell import Failed

DEVICE = "vec0"
NAT_SECOND = "192.0.2.253"  # another address of the NAT


class GuestLab(Lab):
    def __init__(self, nat=False):
        super().__init__("guest")
        self.guest, self.round, self.nat = None, 0, nat
        self.behind = ""  # which end the NAT is before

    def _build(self):
        self._add_namespace("a")
        if self.nat:
            self._add_namespace("gw")
            self._veth("a", "wire", "gw", "to-a")
            self.exec("gw", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.guest = Guest(self, *(("gw", ("to-b",)) if self.nat else ("a", ("wire",))))
        for side, device in (("a", "wire"), ("b", DEVICE)):
            lines = []
            for family, bits, inner_bits in ((4, 24, 32), (6, 64, 128)):
                nodad = " nodad" if family == 6 else ""
                lines += [f"addr add {OUTER[side][family]}/{bits} dev {device}{nodad}", f"addr add {INNER[side][family]}/{inner_bits} dev lo{nodad}"]
            self._batch(side, lines)
        if not self.nat:
            self._default_routes()
        # What leaves the guest has its own checksum and a length that a wire can carry.
        self.exec("b", "ethtool", "-K", DEVICE, "tso", "off", "gso", "off", "gro", "off", ok=None)
        self.new_round()

    def _default_routes(self):
        for side, other in (("a", "b"), ("b", "a")):
            self._batch(side, [f"-{family} route replace default via {OUTER[other][family]}" for family in (4, 6)])

    def _batch(self, side, lines):
        if side == "b":
            return self.guest.sh("set -e\n" + "\n".join("ip " + line for line in lines))
        for line in lines:
            self.ip(side, *line.split())

    def new_round(self):
        """Begins anew in the same guest."""
        self.round += 1
        os.makedirs(self.path(""))
        self.guest.sh(f"""ip xfrm state flush; ip xfrm policy flush
            for a in $(ip -4 -o addr show | awk '{{print $4 "," $2}}' | grep '^10\\.9\\.'); do ip addr del "${{a%,*}}" dev "${{a#*,}}"; done""")
        if not self.nat:
            self._default_routes()

    def frames(self):
        """What the two ends of the wire have counted, as text: the guest has lost what its end has not."""
        side, device = ("gw", "to-b") if self.nat else ("a", "wire")
        counted = {"our end": self.exec(side, "ip", "-s", "-j", "link", "show", device), "the guest's": self.exec("b", "ip", "-s", "-j", "link", "show", DEVICE)}
        parts = []
        for end, text in counted.items():
            stats = json.loads(text)[0]["stats64"]
            parts.append(f"{end} of the wire {[(way, stats[way]['packets'], stats[way]['dropped']) for way in ('rx', 'tx')]}")
        return "; ".join(parts)

    # ------------------------------------------------------------------- the NAT
    def put_nat(self, behind):
        """From now on `behind` is the end that has a NAT before it, with the first of its two addresses."""
        self.behind = behind
        for side, device in (("a", "wire"), ("b", DEVICE)):
            inside = side == behind
            self._batch(side, [f"-4 addr flush dev {device} scope global", f"addr add {self.outer(side)}/24 dev {device}",
                               f"-4 route replace default via {NAT_GATEWAY if inside else NAT_OUTSIDE}"])
            # The peer's network is reached over this one, as the kernel's policies want it.
            self.ip("gw", "-4", "addr", "flush", "dev", f"to-{side}", "scope", "global")
            for address in (NAT_GATEWAY,) if inside else (NAT_OUTSIDE, NAT_SECOND):
                self.ip("gw", "addr", "add", f"{address}/24", "dev", f"to-{side}")
        self.new_mapping(NAT_OUTSIDE)

    def new_mapping(self, address):
        """The NAT forgets what it knows: every flow from inside gets a new port of this address."""
        shell.need_tool("nft", "nftables")
        shell.need_tool("conntrack", "conntrack")
        outside = "to-b" if self.behind == "a" else "to-a"
        self.exec("gw", "nft", "-f", "-", stdin=f"""
            table ip nat {{}}
            delete table ip nat
            table ip nat {{
                chain post {{
                    type nat hook postrouting priority 100
                    oifname "{outside}" snat to {address} random
                }}
            }}""")
        self.exec("gw", "conntrack", "-F")

    def outer(self, side, family=4):
        return NAT_INSIDE if side == self.behind else OUTER[side][family]

    def outer_seen(self, side, family=4):
        return NAT_OUTSIDE if side == self.behind else OUTER[side][family]

    # ------------------------------------------------------------------- use
    def path(self, name):
        return os.path.join(self.dir, f"round-{self.round}", name) if self.round else super().path(name)

    def ip(self, name, *args):
        return self.exec("b", "ip", *args) if name == "b" else super().ip(name, *args)

    def exec(self, name, *argv, ok=(0,), timeout=30, stdin=None):
        if name != "b":
            return super().exec(name, *argv, ok=ok, timeout=timeout, stdin=stdin)
        if stdin is not None:
            raise Failed("a guest's commands have no standard input")
        return self.guest.sh(shlex.join(str(a) for a in argv), ok=ok, seconds=timeout)

    def spawn(self, name, *argv, output, stdout=None):
        if name == "b":
            raise Failed("a program that goes on in the guest is started by its driver")
        return super().spawn(name, *argv, output=output, stdout=stdout)
