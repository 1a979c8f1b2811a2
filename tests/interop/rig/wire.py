#!/usr/bin/env python3
"""What is on the wire: a tcpdump in a namespace of the lab, and every frame of its file put into one class.

As a program:  wire.py FILE.pcap  prints one line and fails when anything but IKE, ESP and neighbour discovery was seen.
"""

import collections
import ipaddress
import os
import struct
import sys

IKE, ESP, ESP_UDP, STREAM, KEEPALIVE, NEIGHBOUR, ICMP_ERROR, OTHER = (
    "IKE", "ESP", "ESP in UDP", "IKE and ESP in TCP", "NAT keepalive", "ARP and neighbour discovery", "ICMP error", "anything else")


def frames(path):
    """The frames of a little-endian pcap file, as far as it is written."""
    with open(path, "rb") as f:
        header = f.read(24)
        if len(header) < 24:
            return
        assert header[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"), "not a pcap file of this machine"
        while len(record := f.read(16)) == 16:
            _, _, captured, _ = struct.unpack("<IIII", record)
            data = f.read(captured)
            if len(data) < captured:
                return
            yield data


def classify(frame):
    """(class, description) of an Ethernet frame."""
    if len(frame) < 14:
        return OTHER, "a runt"
    kind, packet = struct.unpack(">H", frame[12:14])[0], frame[14:]
    if kind == 0x0806:
        return NEIGHBOUR, "ARP"
    if kind == 0x0800 and len(packet) >= 20:
        protocol, offset = packet[9], (packet[0] & 15) * 4
        source, target = ipaddress.ip_address(packet[12:16]), ipaddress.ip_address(packet[16:20])
        if struct.unpack(">H", packet[6:8])[0] & 0x1fff:
            return OTHER, f"a later fragment {source} > {target}"
    elif kind == 0x86dd and len(packet) >= 40:
        protocol, offset = packet[6], 40
        source, target = ipaddress.ip_address(packet[8:24]), ipaddress.ip_address(packet[24:40])
        if protocol == 0 and len(packet) > 48:  # hop-by-hop options, as in multicast listener reports
            protocol, offset = packet[40], 40 + (packet[41] + 1) * 8
    else:
        return OTHER, f"ethertype {kind:#06x}"
    return _transport(protocol, packet[offset:], f"{source} > {target}")


def _transport(protocol, body, who):
    if protocol == 50:
        return ESP, who
    if protocol == 58 and body:
        if body[0] in (130, 131, 132, 133, 134, 135, 136, 137, 143):
            return NEIGHBOUR, who
        return (ICMP_ERROR if body[0] < 128 else OTHER), f"ICMPv6 {body[0]} {who}"
    if protocol == 1 and body:
        return (ICMP_ERROR if body[0] in (3, 11, 12) else OTHER), f"ICMP {body[0]} {who}"
    if protocol == 17 and len(body) >= 8:
        ports = struct.unpack(">HH", body[:4])
        payload = body[8:]
        if 500 in ports:
            return IKE, who
        if 4500 in ports:
            # RFC 3948 2.2 and 2.3: four zero bytes stand before IKE, a single 0xff keeps a mapping alive.
            if payload[:4] == b"\0\0\0\0":
                return IKE, who
            if payload[:1] == b"\xff" and struct.unpack(">H", body[4:6])[0] == 9:
                return KEEPALIVE, who
            return ESP_UDP, who
        return OTHER, f"UDP port {ports[1]} {who}"
    if protocol == 6 and len(body) >= 4 and 4500 in struct.unpack(">HH", body[:4]):
        return STREAM, who  # RFC 9329
    return OTHER, f"protocol {protocol} {who}"


def count(path):
    """(Counter by class, descriptions of what is in class OTHER)."""
    classes, others = collections.Counter(), []
    for frame in frames(path):
        kind, text = classify(frame)
        classes[kind] += 1
        if kind == OTHER and len(others) < 20:
            others.append(text)
    return classes, others


class Capture:
    """tcpdump on the wire of one side, from when it is made until stop()."""

    def __init__(self, lab, side, interface="wire", snaplen=2048):
        from .shell import need_tool, wait_until
        need_tool("tcpdump", "tcpdump")
        self.file, messages = lab.path(f"wire-{side}.pcap"), lab.path(f"tcpdump-{side}")
        for path in (self.file, messages):
            if os.path.exists(path):
                os.unlink(path)
        self.process = lab.spawn(side, "tcpdump", "-i", interface, "-s", snaplen, "-U", "-n", "--immediate-mode", "-Z", "root",
                                 "-B", "16384", "-w", self.file, output=messages)

        def listening():
            with open(messages, encoding="ascii", errors="replace") as f:
                return "listening on" in f.read()
        wait_until(listening, 5, "tcpdump listens")

    def stop(self):
        """Ends the capture; returns the same as count()."""
        from .shell import end
        import signal
        import time
        time.sleep(0.2)  # what is still in the kernel's buffer reaches the file
        end(self.process, signal.SIGINT)
        return count(self.file)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    classes, others = count(sys.argv[1])
    print(f"{sum(classes.values())} frames: " + ", ".join(
        f"{classes[k]} {k}" for k in (IKE, ESP_UDP, ESP, KEEPALIVE, NEIGHBOUR, ICMP_ERROR) if classes[k] or k in (IKE, ESP_UDP))
        + f"; anything else: {classes[OTHER]}" + (f" ({'; '.join(others)})" if others else ""))
    sys.exit(1 if classes[OTHER] or not classes[IKE] or not classes[ESP] + classes[ESP_UDP] else 0)


if __name__ == "__main__":
    main()
