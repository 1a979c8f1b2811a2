"""A lab whose end `b` is a guest with a kernel of its own, for daemons that need the kernel's IPsec.

    a 192.0.2.1 ---- 192.0.2.2 b (the guest)                   (also 2001:db8::1 and ::2)

The addresses, routes and inner addresses are those of layout `direct`. One boot serves many rounds: each has files of its
own, and begins with a guest that holds no SA, no policy, and no address but its own.
"""

import json
import os
import shlex

from .guest import Guest
from .lab import INNER, OUTER, Lab
from .shell import Failed

DEVICE = "vec0"


class GuestLab(Lab):
    def __init__(self):
        super().__init__("guest")
        self.guest, self.round = None, 0

    def _build(self):
        self._add_namespace("a")
        self.guest = Guest(self, "a", ("wire",))
        for side, device in (("a", "wire"), ("b", DEVICE)):
            lines = []
            for family, bits, inner_bits in ((4, 24, 32), (6, 64, 128)):
                nodad = " nodad" if family == 6 else ""
                lines += [f"addr add {OUTER[side][family]}/{bits} dev {device}{nodad}", f"addr add {INNER[side][family]}/{inner_bits} dev lo{nodad}"]
            self._batch(side, lines)
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
        self._default_routes()

    def frames(self):
        """What the two ends of the wire have counted, as text: the guest has lost what its end has not."""
        ours = self.exec("a", "ip", "-s", "-j", "link", "show", "wire")
        counted = {"our end": ours, "the guest's": self.exec("b", "ip", "-s", "-j", "link", "show", DEVICE)}
        parts = []
        for end, text in counted.items():
            stats = json.loads(text)[0]["stats64"]
            parts.append(f"{end} of the wire {[(way, stats[way]['packets'], stats[way]['dropped']) for way in ('rx', 'tx')]}")
        return "; ".join(parts)

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
