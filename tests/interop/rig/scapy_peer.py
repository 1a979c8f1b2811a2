"""Rows of the matrix as Scapy's SAs (rig/scapy_agent.py) in namespace `b`."""

import os

from . import rows, traffic_plan
from .linux import local_addresses
from .remote import InNamespace
from .rows import SHARED
from .shell import Skipped, check, need_tool, run

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scapy_agent.py")


class Scapy:
    kind = "scapy"

    def __init__(self, lab, side="b"):
        if not os.path.isdir("/usr/lib/python3/dist-packages/scapy"):
            raise Skipped("Scapy is not installed (Debian package python3-scapy; ./dev setup)")
        need_tool("nft", "nftables")
        self.lab, self.side = lab, side
        self.agent = InNamespace(lab, side, PROGRAM)
        self.version = "Scapy " + self.agent.ask("hello")["scapy"]

    def prepare(self, made, peer_mac):
        kernel = InNamespace(self.lab, self.side)
        other = traffic_plan.other(self.side)
        kernel.batch([f"addr add {SHARED[self.side][4]}/24 dev wire", f"addr add {SHARED[self.side][6]}/64 dev wire nodad",
                      f"route add default via {SHARED[other][4]}", f"route add default via {SHARED[other][6]}"]
                     + local_addresses(made, self.side, "wire"))
        # The kernel's own stack must not answer what Scapy is for.
        run("ip", "netns", "exec", self.lab.prefix + self.side, "nft", "-f", "-", stdin="""
            table inet quiet {
                chain in {
                    type filter hook input priority 0
                    meta l4proto { 50, 51, 108 } drop
                    udp dport 4500 drop
                    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
                }
                chain out {
                    type filter hook output priority 0
                    icmp type destination-unreachable drop
                    icmpv6 type { destination-unreachable, parameter-problem } drop
                }
            }""")
        self.agent.ask("open", interface="wire", peer_mac=peer_mac)

    def install(self, made):
        said = self.agent.ask("install", 120, rows=[self._words(row) for row in made])
        for row in made:
            row.fail("install", said[str(row.index)])

    def _words(self, row):
        one, two = self.side, traffic_plan.other(self.side)
        return {"index": row.index, "protocol": row.protocol, "mode": row.mode, "esn": row.esn, "udp": row.encapsulation == "udp",
                "local": row.outer_address(one), "remote": row.outer_address(two),
                "inner_local": row.inner_address(one), "inner_remote": row.inner_address(two),
                "receive": self._sa(row, one), "send": self._sa(row, two)}

    @staticmethod
    def _sa(row, side):
        encryption, integrity = row.suite.encryption, row.suite.integrity
        e, i = row.keys(side)
        return {"spi": row.spi(side), "encryption": encryption.scapy if encryption else "", "encryption_key": e.hex(),
                "icv": encryption.icv if encryption else 0, "integrity": integrity.scapy if integrity else "", "integrity_key": i.hex()}

    def exchange(self, made, plan):
        traffic_plan.run(self.agent, made, self.side, plan)

    def seen(self, row):
        """(sent, received) inner packets in hex."""
        sent, received, wrong = self.agent.ask("seen", index=row.index)
        check(not wrong, f"Scapy could not open: {wrong[:2]}")
        return sent, received

    def lacking(self, row):
        if row.esn and row.protocol == "esp" and row.suite.integrity:
            return "Scapy 2.5 has no ESN with separate integrity"
        if row.ipcomp:
            return "Scapy has no IPComp"
        if row.mode == "beet" and row.inner != row.outer:
            return "Scapy has no BEET; the test lays it over transport mode, in one family"
        return rows.lacking(row, "scapy")
