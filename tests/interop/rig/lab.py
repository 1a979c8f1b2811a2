"""A lab: network namespaces for one case, joined by veth, made and removed as one.

Layouts. `a` is always the side of the daemon under test, `b` the peer's:

    direct   a 192.0.2.1 ---- 192.0.2.2 b                      (also 2001:db8::1 and ::2)
    nat      a 192.168.77.2 ---- gw (masquerade) 192.0.2.254 ---- 192.0.2.2 b
    bare     a ---- b                                          no addresses
    alone    a                                                 a guest's TAP device is its wire

Each end owns one inner address per family, on its loopback: 10.1.0.1 and fd01::1 at a, 10.2.0.1 and fd02::1 at b.
Each end has a default route over the outer network, so that a packet which should have been protected and was not
really appears on the wire, where the capture sees it.
"""

import os
import re
import shutil
import signal
import tempfile

from . import shell
from .shell import run, spawn

PREFIX, FOLDER = "cvi", "culvert-interop-"
INNER = {"a": {4: "10.1.0.1", 6: "fd01::1"}, "b": {4: "10.2.0.1", 6: "fd02::1"}}
SUBNET = {"a": {4: "10.1.0.0/16", 6: "fd01::/32"}, "b": {4: "10.2.0.0/16", 6: "fd02::/32"}}
OUTER = {"a": {4: "192.0.2.1", 6: "2001:db8::1"}, "b": {4: "192.0.2.2", 6: "2001:db8::2"}}
NAT_INSIDE, NAT_GATEWAY, NAT_OUTSIDE = "192.168.77.2", "192.168.77.1", "192.0.2.254"


class Lab:
    made = 0

    def __init__(self, layout="direct"):
        self.layout = layout
        Lab.made += 1
        self.prefix = f"{PREFIX}{os.getpid()}-{Lab.made}"
        self.dir = tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-")
        self.processes = []
        self.at_end = []  # functions
        self.namespaces = []

    # ------------------------------------------------------------------ life
    def __enter__(self):
        sweep()
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self):
        for name in {"nat": ("a", "b", "gw"), "alone": ("a",)}.get(self.layout, ("a", "b")):
            self._add_namespace(name)
        if self.layout == "alone":
            return
        if self.layout == "bare":
            return self._veth("a", "wire", "b", "wire")
        self._join_nat() if self.layout == "nat" else self._join_direct()
        for side in ("a", "b"):
            for family, bits in ((4, 32), (6, 128)):
                self.ip(side, "addr", "add", f"{INNER[side][family]}/{bits}", "dev", "lo", *(["nodad"] if family == 6 else []))

    def __exit__(self, *_):
        for function in reversed(self.at_end):
            function()
        for process in reversed(self.processes):
            shell.end(process, signal.SIGKILL)
        for name in self.namespaces:
            _remove(self.prefix + name)
        shutil.rmtree(self.dir, ignore_errors=True)

    # --------------------------------------------------------------- layouts
    def _add_namespace(self, name):
        run("ip", "netns", "add", self.prefix + name)
        self.namespaces.append(name)
        # No duplicate address detection: an address that becomes usable a second later is news to an IKE daemon.
        self.exec(name, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        self.ip(name, "link", "set", "lo", "up")

    def _veth(self, one, one_if, two, two_if):
        self.ip(one, "link", "add", one_if, "type", "veth", "peer", "name", two_if, "netns", self.prefix + two)
        for name, interface in ((one, one_if), (two, two_if)):
            self.ip(name, "link", "set", interface, "up")

    def _join_direct(self):
        self._veth("a", "wire", "b", "wire")
        for side, other in (("a", "b"), ("b", "a")):
            self.ip(side, "addr", "add", OUTER[side][4] + "/24", "dev", "wire")
            self.ip(side, "addr", "add", OUTER[side][6] + "/64", "dev", "wire", "nodad")
            self.ip(side, "route", "add", "default", "via", OUTER[other][4])
            self.ip(side, "-6", "route", "add", "default", "via", OUTER[other][6])

    def _join_nat(self):
        self._veth("a", "wire", "gw", "inside")
        self._veth("b", "wire", "gw", "outside")
        self.ip("a", "addr", "add", NAT_INSIDE + "/24", "dev", "wire")
        self.ip("a", "route", "add", "default", "via", NAT_GATEWAY)
        self.ip("gw", "addr", "add", NAT_GATEWAY + "/24", "dev", "inside")
        self.ip("gw", "addr", "add", NAT_OUTSIDE + "/24", "dev", "outside")
        self.ip("b", "addr", "add", OUTER["b"][4] + "/24", "dev", "wire")
        self.ip("b", "route", "add", "default", "via", NAT_OUTSIDE)
        self.exec("gw", "sysctl", "-qw", "net.ipv4.ip_forward=1")
        shell.need_tool("nft", "nftables")
        # Random outside ports: a peer that assumes 500 or 4500 as the other's port cannot pass.
        run("ip", "netns", "exec", self.prefix + "gw", "nft", "-f", "-", stdin="""
            table ip nat {
                chain post {
                    type nat hook postrouting priority 100
                    oifname "outside" meta l4proto udp masquerade random
                    oifname "outside" masquerade
                }
            }""")

    def add_behind_nat(self, name):
        """Another host behind the NAT; answers its address."""
        inside = f"192.168.{77 + len(self.namespaces)}."
        self._add_namespace(name)
        self._veth(name, "wire", "gw", f"inside-{name}")
        self.ip(name, "addr", "add", inside + "2/24", "dev", "wire")
        self.ip(name, "route", "add", "default", "via", inside + "1")
        self.ip("gw", "addr", "add", inside + "1/24", "dev", f"inside-{name}")
        return inside + "2"

    def forget_mappings(self):
        """The NAT loses its state: every flow from inside gets a new outside port."""
        shell.need_tool("conntrack", "conntrack")
        run("ip", "netns", "exec", self.prefix + "gw", "conntrack", "-F")

    # ------------------------------------------------------------------- use
    def outer(self, side, family=4):
        """The address at which `side` is bound."""
        return NAT_INSIDE if self.layout == "nat" and side == "a" else OUTER[side][family]

    def outer_seen(self, side, family=4):
        """The address at which the other end sees `side`."""
        return NAT_OUTSIDE if self.layout == "nat" and side == "a" else OUTER[side][family]

    def ip(self, name, *args):
        return run("ip", "-n", self.prefix + name, *args)

    def exec(self, name, *argv, **options):
        return run("ip", "netns", "exec", self.prefix + name, *argv, **options)

    def spawn(self, name, *argv, output, stdout=None):
        process = spawn(["ip", "netns", "exec", self.prefix + name, *argv], output, stdout)
        self.processes.append(process)
        return process

    def path(self, name):
        return os.path.join(self.dir, name)


def _remove(namespace):
    for pid in run("ip", "netns", "pids", namespace, ok=None).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            pass
    run("ip", "netns", "del", namespace, ok=None)


def sweep():
    """Removes what a runner that was killed outright could not."""
    def orphan(pattern, name):
        found = re.match(pattern, name)
        return found and not os.path.exists(f"/proc/{found[1]}")

    for line in run("ip", "netns", "list", ok=None).splitlines():
        if orphan(PREFIX + r"(\d+)-\w+", line):
            _remove(line.split()[0])
    for name in os.listdir(tempfile.gettempdir()):
        if orphan(FOLDER + r"(\d+)-", name):
            shutil.rmtree(os.path.join(tempfile.gettempdir(), name), ignore_errors=True)
