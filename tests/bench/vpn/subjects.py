"""What is measured: Culvert, other VPNs, and the plain link between the namespaces.

A subject starts its daemons in the namespaces of a lab and routes INNER["a"] and INNER["b"] through them. Cipher
AES-128-GCM where there is a choice, inner MTU 1400 where it can be set.
"""

import os
import shutil
import subprocess

from rig import culvert, strongswan, traffic
from rig.lab import INNER, OUTER, SUBNET
from rig.shell import Failed, Skipped, run, wait_until
from rig.tunnel import TunnelSpec

from .processes import descendants

SIDES = (("a", "b"), ("b", "a"))


def need(*packages):
    for tool, package in packages:
        if not shutil.which(tool):
            raise Skipped(f"{tool} is not installed (Debian package {package}; ./dev setup bench)")


def said(*argv):
    """What a program says about its version; "?" where it only complains."""
    found = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = (found.stdout + found.stderr).strip().splitlines()
    return lines[0].strip() if lines and found.returncode == 0 else "?"


class Plain:
    """The veth itself."""

    name, title = "plain", "plain veth"
    targets = {"a": OUTER["a"][4], "b": OUTER["b"][4]}

    def __init__(self, lab, options):
        self.lab, self.options, self.processes = lab, options, []

    version = "no VPN: traffic between the outer addresses"

    def start(self):
        pass

    def pids(self):
        return [p for process in self.processes for p in descendants(process.pid)]

    def address(self, side):
        return self.targets[side]

    def log(self):
        return ""


class Vpn(Plain):
    """Base of the VPNs: traffic goes between the inner addresses."""

    targets = {"a": INNER["a"][4], "b": INNER["b"][4]}

    def spawn(self, side, *argv):
        process = self.lab.spawn(side, *argv, output=self.lab.path(f"{self.name}-{side}.log"))
        self.processes.append(process)
        return process

    def inner_route(self, side, other, device):
        self.lab.ip(side, "link", "set", device, "mtu", "1400", "up")
        self.lab.ip(side, "route", "add", SUBNET[other][4], "dev", device, "src", INNER[side][4])

    def wait_for_traffic(self):
        try:
            wait_until(lambda: traffic.ping(self.lab, "a", 4, 1, wait=0.3), 15, f"{self.name} carries a ping")
        except Failed as problem:
            raise Failed(f"{problem}; its log ends: {self.log()[-400:]}") from None

    def log(self):
        text = ""
        for side in "ab":
            path = self.lab.path(f"{self.name}-{side}.log")
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    text += f.read()
        return text


class IkeVpn(Vpn):
    esp = "aes128gcm16"

    def driver(self):
        raise NotImplementedError

    def start(self):
        make = self.driver()
        self.peers = []
        for side, other in SIDES:
            ids = ("alice.example", "bob.example") if side == "a" else ("bob.example", "alice.example")
            spec = TunnelSpec(OUTER[side][4], OUTER[other][4], (SUBNET[side][4],), (SUBNET[other][4],), local_id=ids[0], remote_id=ids[1],
                              esp=self.esp)
            peer = make(self.lab, side, [spec])
            self.prepare(peer)
            self.peers.append(peer)
            peer.start()
        self.processes = [peer.process for peer in self.peers]
        self.peers[0].up()
        self.wait_for_traffic()

    def prepare(self, peer):
        pass

    def log(self):
        return "".join(peer.log()[-400:] for peer in self.peers)


class Culvert(IkeVpn):
    name, title = "culvert", "Culvert"

    def driver(self):
        return culvert.driver(self.options.bin)

    def prepare(self, peer):
        peer.daemon["log_level"] = "info"

    @property
    def version(self):
        return said(f"{self.options.bin}/culvertd", "--version")


class CulvertRaw(Culvert):
    """Without UDP encapsulation."""

    name, title = "culvert-esp", "Culvert, ESP without UDP"

    def prepare(self, peer):
        super().prepare(peer)
        peer.tunnels = [t.but(encapsulation="esp") for t in peer.tunnels]


class CulvertTwoWorkers(Culvert):
    """Two workers at each end, one SA pair: what the second one brings, or costs where the cores are busy with the load."""

    name, title = "culvert-2", "Culvert, 2 workers"

    def prepare(self, peer):
        super().prepare(peer)
        peer.daemon["workers"] = 2


class CulvertAggfrag(Culvert):
    """Small packets share outer ones (RFC 9347), as many as are there at once: none waits for another."""

    name, title = "culvert-aggfrag", "Culvert, AGGFRAG"

    def prepare(self, peer):
        super().prepare(peer)
        peer.tunnels = [t.but(aggfrag="{ }") for t in peer.tunnels]


class CulvertXdp(CulvertRaw):
    """The same by AF_XDP at the outer interfaces (`xdp`); frames are copied, a veth has no other way."""

    name, title = "culvert-xdp", "Culvert, ESP without UDP, AF_XDP"

    def prepare(self, peer):
        super().prepare(peer)
        peer.daemon["xdp"] = ["wire"]


class StrongSwan(IkeVpn):
    name, title = "strongswan", "strongSwan, userspace"

    def driver(self):
        return strongswan.StrongSwan

    @property
    def version(self):
        # swanctl has no word for it: only charon itself tells.
        return f"strongSwan {strongswan.StrongSwan.version()}"


class WireGuardGo(Vpn):
    name, title = "wireguard-go", "wireguard-go"

    @property
    def version(self):
        return said("wireguard-go", "--version")

    def start(self):
        need(("wireguard-go", "wireguard-go"), ("wg", "wireguard-tools"))
        keys = {}
        for side, _ in SIDES:
            private = run("wg", "genkey").strip()
            with open(self.lab.path(f"wg-{side}.key"), "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="ascii") as f:
                f.write(private)
            keys[side] = run("wg", "pubkey", stdin=private).strip()
        for side, other in SIDES:
            device = f"cvwg{os.getpid() % 100000}{side}"
            sock = f"/var/run/wireguard/{device}.sock"
            if os.path.exists(sock):  # of the round before
                os.unlink(sock)
            self.spawn(side, "wireguard-go", "-f", device)
            wait_until(lambda: os.path.exists(sock), 5, "wireguard-go answers")
            self.lab.exec(side, "wg", "set", device, "private-key", self.lab.path(f"wg-{side}.key"), "listen-port", "51820",
                          "peer", keys[other], "allowed-ips", SUBNET[other][4], "endpoint", f"{OUTER[other][4]}:51820")
            self.inner_route(side, other, device)
        self.wait_for_traffic()


class Nebula(Vpn):
    name, title = "nebula", "nebula"

    @property
    def version(self):
        return "nebula " + said("nebula", "--version")

    CONFIG = """pki: {{ca: {dir}/ca.crt, cert: {dir}/{side}.crt, key: {dir}/{side}.key}}
static_host_map: {{"10.9.0.{peer}": ["{endpoint}:4242"]}}
lighthouse: {{am_lighthouse: false, hosts: []}}
listen: {{host: 0.0.0.0, port: 4242, batch: 64}}
punchy: {{punch: false}}
cipher: aes
tun: {{dev: neb{side}, mtu: 1400, tx_queue: 500, unsafe_routes: [{{route: {far}, via: 10.9.0.{peer}}}]}}
logging: {{level: warning}}
firewall: {{outbound: [{{port: any, proto: any, host: any}}], inbound: [{{port: any, proto: any, host: any}}]}}
"""

    def start(self):
        need(("nebula", "nebula"), ("nebula-cert", "nebula"))
        folder = self.lab.path("nebula")
        os.makedirs(folder)
        run("nebula-cert", "ca", "-name", "bench", "-out-crt", f"{folder}/ca.crt", "-out-key", f"{folder}/ca.key")
        for number, (side, other) in enumerate(SIDES, 1):
            run("nebula-cert", "sign", "-name", side, "-ip", f"10.9.0.{number}/24", "-subnets", SUBNET[side][4], "-ca-crt", f"{folder}/ca.crt",
                "-ca-key", f"{folder}/ca.key", "-out-crt", f"{folder}/{side}.crt", "-out-key", f"{folder}/{side}.key")
            with open(f"{folder}/{side}.yml", "w", encoding="ascii") as f:
                f.write(self.CONFIG.format(dir=folder, side=side, peer=3 - number, endpoint=OUTER[other][4], far=SUBNET[other][4]))
        for side, other in SIDES:
            self.spawn(side, "nebula", "-config", f"{folder}/{side}.yml")
            wait_until(lambda: "neb" in self.lab.ip(side, "link", "show"), 5, "nebula has its interface")
            self.lab.ip(side, "route", "replace", SUBNET[other][4], "dev", f"neb{side}", "src", INNER[side][4])
        self.wait_for_traffic()


class OpenVpn(Vpn):
    name, title = "openvpn", "OpenVPN"

    @property
    def version(self):
        return said("openvpn", "--version")

    def start(self):
        need(("openvpn", "openvpn"), ("openssl", "openssl"))
        folder = self.lab.path("openvpn")
        os.makedirs(folder)
        prints = {}
        for side, _ in SIDES:
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", f"/CN={side}", "-keyout", f"{folder}/{side}.key", "-out", f"{folder}/{side}.crt")
            prints[side] = run("openssl", "x509", "-in", f"{folder}/{side}.crt", "-noout", "-fingerprint", "-sha256").strip().split("=")[1]
        for number, (side, other) in enumerate(SIDES, 1):
            self.spawn(side, "openvpn", "--dev", f"ovp{side}", "--dev-type", "tun", "--disable-dco", "--proto", "udp4", "--port", "1194",
                       "--remote", OUTER[other][4], "--ifconfig", f"10.9.0.{number}", f"10.9.0.{3 - number}", "--tun-mtu", "1400",
                       "--cert", f"{folder}/{side}.crt", "--key", f"{folder}/{side}.key", "--peer-fingerprint", prints[other],
                       "--data-ciphers", "AES-128-GCM", "--cipher", "AES-128-GCM", "--verb", "1",
                       *(("--tls-server", "--dh", "none") if side == "a" else ("--tls-client",)))
        for side, other in SIDES:
            wait_until(lambda: f"ovp{side}" in self.lab.ip(side, "link", "show", "up"), 15, "openvpn has its interface")
            self.lab.ip(side, "route", "add", SUBNET[other][4], "dev", f"ovp{side}", "src", INNER[side][4])
        self.wait_for_traffic()


ALL = (Plain, Culvert, CulvertTwoWorkers, CulvertAggfrag, CulvertRaw, CulvertXdp, StrongSwan, WireGuardGo, Nebula, OpenVpn)
