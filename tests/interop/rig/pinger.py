#!/usr/bin/env python3
"""pinger.py SOURCE DESTINATION COUNT INTERVAL SIZE WAIT: echo requests of SIZE octets of data; prints how many were answered.

ping(8) leaves once the last answer takes longer than twice the slowest before: on a machine that stalls for a tenth of
a second it takes that for a loss. This one waits WAIT seconds behind the last request, and three where any was answered.
"""

import os
import select
import socket
import struct
import sys
import time

STILL = 3.0


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def request(six, identifier, sequence, data):
    kind = 128 if six else 8
    packet = struct.pack(">BBHHH", kind, 0, 0, identifier, sequence) + data
    if not six:  # of ICMPv6 the kernel computes it
        packet = packet[:2] + struct.pack(">H", checksum(packet)) + packet[4:]
    return packet


def main():
    source, destination = sys.argv[1:3]
    count, size = int(sys.argv[3]), int(sys.argv[5])
    interval, wait = float(sys.argv[4]), float(sys.argv[6])
    six = ":" in destination
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
    sock.bind((source, 0))
    sock.connect((destination, 0))
    identifier, data = os.getpid() & 0xffff, bytes(i & 255 for i in range(size))
    answered, sent, begin = set(), 0, time.monotonic()
    due = end = begin
    while True:
        now = time.monotonic()
        if sent < count and now >= due:
            try:
                sock.send(request(six, identifier, sent, data))
            except OSError:
                pass  # no route, or the host refuses: as good as lost
            sent, due = sent + 1, due + interval
            end = now + wait
        if len(answered) == count or sent == count and now >= end + (max(STILL - wait, 0) if answered else 0):
            break
        limit = due if sent < count else end + (max(STILL - wait, 0) if answered else 0)
        if not select.select([sock], [], [], max(0, limit - now))[0]:
            continue
        try:
            packet = sock.recv(65536)
        except OSError:
            continue
        body = packet if six else packet[(packet[0] & 15) * 4:]
        if len(body) == 8 + size and body[0] == (129 if six else 0) and body[4:6] == struct.pack(">H", identifier) and body[8:] == data:
            answered.add(struct.unpack(">H", body[6:8])[0])
    print(len(answered))


if __name__ == "__main__":
    main()
