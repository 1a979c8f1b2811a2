#!/usr/bin/python3
"""An IPsec host made of Scapy (scapy.layers.ipsec) on a packet socket: answers pings and UDP echoes inside its SAs, and
sends its own. Speaks as rig/agent.py does; its operations are the op_* functions at the end.

The namespace's kernel has the outer addresses and answers ARP and neighbour discovery, nothing else: the case keeps it
from answering protected packets.
"""

import logging
import os
import queue
import socket
import sys
import threading
import time
import warnings

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
warnings.simplefilter("ignore")
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import scapy  # noqa: E402
from scapy.layers.inet import ICMP, IP, UDP, fragment  # noqa: E402
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,  # noqa: E402
                                IPv6ExtHdrHopByHop, fragment6)
from scapy.layers.ipsec import AH, ESP, SecurityAssociation  # noqa: E402
from scapy.packet import Raw  # noqa: E402

from rig import agent  # noqa: E402

NAT_T = 4500
WAIT = 5.0


def outer_class(address):
    return IPv6 if ":" in address else IP


class Sa:
    """One row: a SecurityAssociation of Scapy per direction, and what passed through them."""

    def __init__(self, row):
        self.row = row
        self.tunnel = row["mode"] == "tunnel"
        self.receive = self._make(row["receive"], row["remote"], row["local"])
        self.send = self._make(row["send"], row["local"], row["remote"])
        self.sent, self.received, self.wrong = [], [], []
        self.lock = threading.Lock()

    def _make(self, one, source, target):
        words = dict(row_algorithms(one), esn_en=self.row["esn"], esn=0)
        if self.row["udp"]:
            words["nat_t_header"] = UDP(sport=NAT_T, dport=NAT_T)
        header = outer_class(source)(src=source, dst=target) if self.tunnel else None
        return SecurityAssociation(ESP if self.row["protocol"] == "esp" else AH, spi=one["spi"], tunnel_header=header, **words)

    def protect(self, inner):
        """The outer packet around an inner one, as bytes."""
        with self.lock:  # one sequence number each
            self.sent.append(bytes(inner).hex())
            if self.row["mode"] == "beet":
                inner = self._addresses(inner, self.row["local"], self.row["remote"])
            if self.tunnel and self.send.tunnel_header.version == 4:
                self.send.tunnel_header.id = int.from_bytes(os.urandom(2), "big")  # of fragments, among all SAs
            packet = self.send.encrypt(inner)
        if self.row["udp"]:
            packet = self._mend_udp(packet)
        return packet

    def open(self, packet):
        """The inner packet."""
        if self.row["udp"]:
            # Without the UDP header: Scapy 2.5 takes it for the one to write the next header number into.
            inside, packet = bytes(packet[UDP].payload), packet.copy()
            packet.remove_payload()
            setattr(packet, "nh" if packet.version == 6 else "proto", socket.IPPROTO_ESP)
            packet = packet / ESP(inside)
        inner = self.receive.decrypt(packet)
        if not isinstance(inner, (IP, IPv6)):
            data = bytes(inner)  # Scapy 2.5 leaves what is in an AH tunnel undecoded
            inner = (IPv6 if data[0] >> 4 == 6 else IP)(data)
        if self.row["mode"] == "beet":
            inner = self._addresses(inner, self.row["inner_remote"], self.row["inner_local"])
        self.received.append(bytes(inner).hex())
        return inner

    @staticmethod
    def _addresses(packet, source, target):
        # What lies behind the header keeps its checksum: it was made with the addresses that BEET leaves out.
        packet = packet.copy()
        packet.src, packet.dst = source, target
        if packet.version == 4:
            del packet.chksum
        return packet.__class__(bytes(packet))

    @staticmethod
    def _mend_udp(packet):
        # Scapy 2.5 leaves the length of an empty datagram in the UDP header.
        packet[UDP].len = 8 + len(bytes(packet[UDP].payload))
        if packet.version == 6:
            del packet[UDP].chksum  # IPv6 wants one; RFC 3948 2.1's zero is IPv4's
        return packet.__class__(bytes(packet))


def row_algorithms(one):
    words = {}
    if one["encryption"]:
        words.update(crypt_algo=one["encryption"], crypt_key=bytes.fromhex(one["encryption_key"]), crypt_icv_size=one["icv"] or None)
    if one["integrity"]:
        words.update(auth_algo=one["integrity"], auth_key=bytes.fromhex(one["integrity_key"]))
    return words


class Host:
    """The packet socket, and who waits for what."""

    def __init__(self, interface, peer_mac):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((interface, 3))
        with open(f"/sys/class/net/{interface}/address", encoding="ascii") as f:
            own = f.read().strip()
        self.header = bytes.fromhex((peer_mac + own).replace(":", ""))
        self.by_spi, self.waiting, self.pieces = {}, {}, {}
        threading.Thread(target=self._receive, daemon=True).start()

    def transmit(self, packet):
        kind = b"\x86\xdd" if packet.version == 6 else b"\x08\x00"
        for piece in self._cut(packet):
            self.socket.send(self.header + kind + bytes(piece))

    @staticmethod
    def _cut(packet):
        if len(bytes(packet)) <= 1500:
            return [packet]
        if packet.version == 4:
            return fragment(IP(bytes(packet)), 1400)
        # Scapy cuts behind a fragment header that is there already.
        whole = IPv6(bytes(packet))
        body, number = bytes(whole.payload), whole.nh
        whole.remove_payload()
        whole.nh = 44
        return fragment6(IPv6(bytes(whole) + bytes(0)) / IPv6ExtHdrFragment(nh=number) / Raw(body), 1400)

    def _receive(self):
        while True:
            frame, origin = self.socket.recvfrom(65536)
            if origin[2] == 4:  # PACKET_OUTGOING
                continue
            try:
                if packet := self._whole(frame[14:], frame[12:14]):
                    self._handle(packet)
            except Exception as problem:  # one bad packet must not end the host
                print(f"{type(problem).__name__}: {problem}: {frame[14:].hex()}", file=sys.stderr, flush=True)

    def _whole(self, data, kind):
        """The packet, reassembled; None while pieces are missing and for everything that is not IP."""
        if kind == b"\x08\x00":
            header, packet = (data[0] & 15) * 4, data[:int.from_bytes(data[2:4], "big")]
            field = int.from_bytes(data[6:8], "big")
            if field & 0x3fff == 0:
                return IP(packet)
            key, offset, more = (data[12:20], data[4:6], data[9]), (field & 0x1fff) * 8, field & 0x2000
            first, body = packet[:header], packet[header:]
        elif kind == b"\x86\xdd":
            packet = data[:40 + int.from_bytes(data[4:6], "big")]
            if data[6] != 44:
                return IPv6(packet)
            field = int.from_bytes(data[42:44], "big")
            key, offset, more = (data[8:40], data[44:48]), field & 0xfff8, field & 1
            first, body = data[:6] + data[40:41] + data[7:40], packet[48:]
        else:
            return None
        return self._joined(key, offset, more, first, body)

    def _joined(self, key, offset, more, first, body):
        piece = self.pieces.setdefault(key, {"parts": {}, "end": None, "first": None})
        piece["parts"][offset] = body
        if offset == 0:
            piece["first"] = first
        if not more:
            piece["end"] = offset + len(body)
        if piece["first"] is None or piece["end"] is None or sum(map(len, piece["parts"].values())) < piece["end"]:
            return None
        del self.pieces[key]
        whole = bytearray(piece["first"] + b"".join(part for _, part in sorted(piece["parts"].items())))
        if whole[0] >> 4 == 4:
            whole[2:4], whole[6:8], whole[10:12] = len(whole).to_bytes(2, "big"), b"\0\0", b"\0\0"
            packet = IP(bytes(whole))
            del packet.chksum
            return IP(bytes(packet))
        whole[4:6] = (len(whole) - 40).to_bytes(2, "big")
        return IPv6(bytes(whole))

    def _handle(self, packet):
        sa = self._sa_of(packet)
        if sa is None:
            return
        try:
            inner = sa.open(packet)
        except Exception as problem:
            sa.wrong.append(f"{type(problem).__name__}: {problem}")
            return
        data = bytes(inner)
        inner = self._whole(data, b"\x86\xdd" if data[0] >> 4 == 6 else b"\x08\x00")
        if inner is None:  # a fragment, cut before it was protected
            return
        key, answer = answer_to(inner)
        if answer is not None:
            self.transmit(sa.protect(answer))
        elif key in self.waiting:
            self.waiting[key].put(bytes(inner))

    def _sa_of(self, packet):
        for layer in (ESP, AH):
            if packet.haslayer(layer):
                return self.by_spi.get(packet[layer].spi)
        if packet.haslayer(UDP) and packet[UDP].dport == NAT_T:
            return self.by_spi.get(int.from_bytes(bytes(packet[UDP].payload)[:4], "big"))
        return None


def answer_to(inner):
    """(key of the exchange it belongs to, our answer or None)."""
    v6 = inner.version == 6
    back = dict(src=inner.dst, dst=inner.src)
    header = IPv6(hlim=64, **back) if v6 else IP(ttl=64, id=int.from_bytes(os.urandom(2), "big"), **back)
    if v6 and inner.haslayer(ICMPv6EchoRequest):
        e = inner[ICMPv6EchoRequest]
        return None, finish(header / ICMPv6EchoReply(id=e.id, seq=e.seq, data=e.data))
    if v6 and inner.haslayer(ICMPv6EchoReply):
        e = inner[ICMPv6EchoReply]
        return (inner.src, "ping", e.id, e.seq), None
    if not v6 and inner.haslayer(ICMP) and inner[ICMP].type == 8:
        e = inner[ICMP]
        return None, finish(header / ICMP(type=0, id=e.id, seq=e.seq) / Raw(bytes(e.payload)))
    if not v6 and inner.haslayer(ICMP) and inner[ICMP].type == 0:
        return (inner.src, "ping", inner[ICMP].id, inner[ICMP].seq), None
    if inner.haslayer(UDP) and inner[UDP].dport == agent.ECHO_PORT:
        return None, finish(header / UDP(sport=agent.ECHO_PORT, dport=inner[UDP].sport) / Raw(bytes(inner[UDP].payload)))
    if inner.haslayer(UDP):
        return (inner.src, "udp", inner[UDP].dport, inner[UDP].sport), None
    return None, None


def finish(packet):
    """With lengths and checksums filled in."""
    return packet.__class__(bytes(packet))


host = None
sas = {}


def op_hello():
    return {"uname": os.uname().release, "scapy": scapy.VERSION}


def op_open(interface, peer_mac):
    global host
    host = Host(interface, peer_mac)
    return True


def op_install(rows):
    """Rows as rig/scapy_peer.py writes them; {index: "" or what is wrong}."""
    said = {}
    for row in rows:
        try:
            sas[row["index"]] = sa = Sa(row)
            host.by_spi[row["receive"]["spi"]] = sa
            said[str(row["index"])] = ""
        except Exception as problem:
            said[str(row["index"])] = f"{type(problem).__name__}: {problem}"
    return said


def op_exchange(flows, together=4):
    """As rig/agent.py's, pings and UDP; "options": with these IPv4 options, or as an IPv6
    extension header ("hop_by_hop" or destination options), in hex, in the inner packet."""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(together) as pool:
        return dict(zip([f["id"] for f in flows], pool.map(_flow, flows)))


def _flow(flow):
    sa = sas[int(flow["id"])]
    try:
        for n, size in enumerate(flow.get("ping", ())):
            _ask(sa, flow, "ping", size, n)
        for n, size in enumerate(flow.get("udp", ())):
            _ask(sa, flow, "udp", size, n)
        return "; ".join(sa.wrong[:2])
    except ValueError as problem:
        return "; ".join([str(problem)] + sa.wrong[:2])


def _ask(sa, flow, kind, size, n):
    v6 = ":" in flow["from"]
    if v6:
        header = IPv6(src=flow["from"], dst=flow["to"], hlim=64)
    else:
        header = IP(src=flow["from"], dst=flow["to"], ttl=64, id=(n * 257 + size) & 0xffff)
        if options := bytes.fromhex(flow.get("options", "")):
            whole = bytearray(bytes(header) + options)  # parsed again, so that Scapy knows each of them
            whole[0], whole[2:4] = 0x45 + len(options) // 4, len(whole).to_bytes(2, "big")
            header = IP(bytes(whole))
            del header.len, header.chksum, header.proto
    if v6 and flow.get("options"):
        extension = (IPv6ExtHdrHopByHop if flow.get("hop_by_hop") else IPv6ExtHdrDestOpt)(bytes.fromhex(flow["options"]))
        extension.nh = socket.IPPROTO_UDP if kind == "udp" else socket.IPPROTO_ICMPV6
        header = header / extension
    body, number = agent.PATTERN[:size], sa.row["index"] & 0xffff
    if kind == "udp":
        packet, key = header / UDP(sport=20000 + n, dport=agent.ECHO_PORT) / Raw(body), (flow["to"], "udp", 20000 + n, agent.ECHO_PORT)
    elif v6:
        packet, key = header / ICMPv6EchoRequest(id=number, seq=n, data=body), (flow["to"], "ping", number, n)
    else:
        packet, key = header / ICMP(type=8, id=number, seq=n) / Raw(body), (flow["to"], "ping", number, n)
    host.waiting[key] = answers = queue.Queue()
    host.transmit(sa.protect(finish(packet)))
    try:
        got = answers.get(timeout=WAIT)
    except queue.Empty:
        raise ValueError(f"{kind} of {size} octets: no answer") from None
    finally:
        del host.waiting[key]
    if not got.endswith(body):
        raise ValueError(f"{kind} of {size} octets came back changed")


def op_seen(index):
    """Inner packets that passed through a row's SAs, in hex: sent, received; and what could not be opened."""
    sa = sas[index]
    return [sa.sent, sa.received, sa.wrong]


if __name__ == "__main__":
    agent.serve(sys.stdin.buffer, sys.stdout.buffer, globals())
