"""The example docs/examples/gre-ospf, file by file: two routers, OSPF over GRE and IP-in-IP inside transport-mode ESP."""

import os
import re
import time

from rig import wire
from rig.case import case
from rig.guest import Guest
from rig.shell import check, need_tool, wait_until

ONLY = ("culvert",)
EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/examples/gre-ospf")
OUTER = {"north": "192.0.2.1", "south": "192.0.2.2"}
LAN = {"north": "10.11.0.1", "south": "10.12.0.1"}
TUNNEL = {"north": 1, "south": 2}


def other(name):
    return "south" if name == "north" else "north"


class Router:
    """A Linux guest with GRE, BIRD, and IPsec by culvertd or by its own kernel."""

    def __init__(self, lab, binaries, name, kernel):
        self.name, self.binaries, self.kernel = name, os.path.abspath(binaries), kernel
        self.files = os.path.abspath(f"{EXAMPLE}/{name}")
        self.guest = Guest(lab, "a", (f"wire-{name}",), name)
        self.guest.sh(f"ip addr add {OUTER[name]}/24 dev vec0; ip addr add {LAN[name]}/24 dev lo; ethtool -K vec0 tso off gso off gro off; "
                      "echo 1 > /proc/sys/net/ipv4/ip_forward", ok=None)

    def start(self):
        if self.kernel:
            self.guest.batch(self.xfrm())
        else:
            self.guest.sh(f"install -m 600 {self.files}/culvert.toml /run/gre.toml && mkdir -p /var/lib/culvert && "
                          f"({self.binaries}/culvertd --config /run/gre.toml --socket /run/culvert.sock </dev/null >/run/culvert.log 2>&1 &)")
            wait_until(lambda: '"up"' in self.culvert("status", "--json"), 20, f"{self.name}: culvertd has its SA up")
        self.guest.sh(f"sh {self.files}/interfaces")
        self.guest.sh(f"bird -c {self.files}/bird.conf -s /run/bird.ctl -P /run/bird.pid")

    def culvert(self, *args):
        return self.guest.sh(" ".join([f"{self.binaries}/culvert --socket /run/culvert.sock", *args]), ok=None)

    def xfrm(self):
        """The example's SA as the kernel's own, from the same file."""
        with open(f"{self.files}/culvert.toml", encoding="utf-8") as f:
            told = dict(re.findall(r'^(\w+) = "?([^"\n]*)"?$', f.read(), re.M))
        us, peer = told["local_address"], told["peer"]
        lines = []
        for source, target, spi, key, way in ((peer, us, told["spi_in"], told["encryption_key_in"], "in"),
                                              (us, peer, told["spi_out"], told["encryption_key_out"], "out")):
            lines.append(f"xfrm state add src {source} dst {target} proto esp spi {spi} reqid 1 mode transport replay-window 64 "
                         f"flag esn aead rfc4106(gcm(aes)) {key} 128")
            for protocol in ("gre", "4"):
                lines.append(f"xfrm policy add src {source} dst {target} proto {protocol} dir {way} tmpl proto esp reqid 1 mode transport")
        return lines

    def log(self):
        return self.guest.sh("cat /run/culvert.log", ok=None)


def run(setup, south_kernel):
    need_tool("bird", "bird2")
    lab = setup.lab("alone")
    lab.ip("a", "link", "add", "bridge", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
    lab.ip("a", "link", "set", "bridge", "up")
    routers = [Router(lab, setup.drivers["culvert"].binaries, "north", False), Router(lab, setup.drivers["culvert"].binaries, "south", south_kernel)]
    for router in routers:
        lab.ip("a", "link", "set", f"wire-{router.name}", "master", "bridge")
    capture = wire.Capture(lab, "a", "bridge")
    for router in routers:
        router.start()
    begin = time.monotonic()
    for router in routers:
        def learned(router=router):
            return "dev gre1" in router.guest.sh(f"ip route get {LAN[other(router.name)]}", ok=None)
        wait_until(learned, 30, f"{router.name} has learned the route to {LAN[other(router.name)]} by OSPF", 0.2)
    setup.note(f"OSPF took {time.monotonic() - begin:.1f} s")
    for router in routers:
        far, name = LAN[other(router.name)], router.name
        neighbours = router.guest.sh("birdc -s /run/bird.ctl show ospf neighbors")
        check("Full" in neighbours, f"{name}: {neighbours}")
        for size in (56, 1300, 4000):
            router.guest.sh(f"ping -q -c 3 -i 0.1 -W 2 -s {size} -I {LAN[name]} {far}")
        router.guest.sh(f"ping -q -c 3 -i 0.1 -W 2 -I 10.255.1.{TUNNEL[name]} 10.255.1.{TUNNEL[other(name)]}")
        router.guest.sh(f"ping -q -c 2 -i 0.1 -W 2 {OUTER[other(name)]}")  # the rule "others": in clear
    classes, seen = capture.stop()
    check(classes[wire.ESP] >= 40, f"hardly any ESP on the wire: {dict(classes)}")
    clear = [text for text in seen if not text.startswith("ICMP ")]
    check(not clear, f"in the clear on the wire: {clear}")


@case("gre-ospf-example", "GRE and IP-in-IP in transport-mode ESP between two routers; OSPF learns the routes", only=ONLY, seconds=120)
def both(setup):
    run(setup, False)


@case("gre-ospf-linux", "the same, with the Linux kernel's own IPsec at one of the routers", only=ONLY, seconds=120)
def kernel(setup):
    run(setup, True)
