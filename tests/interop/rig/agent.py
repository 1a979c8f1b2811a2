#!/usr/bin/env python3
"""What runs inside a namespace or a guest on behalf of the cases: one JSON request a line in, one JSON answer a line out.

A request is {"op": NAME, ...arguments}; the answer {"ok": result} or {"error": text}. Operations: the functions named
op_* below. As a program it serves its standard input and output; the guest serves its serial line.
"""

import errno
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

ECHO_PORT = 7
WAIT = 4.0  # seconds that an answer may take on a busy machine
PATTERN = bytes((i * 7 + i // 256) & 0xff for i in range(65536))


def op_hello():
    return {"uname": os.uname().release, "python": sys.version.split()[0]}


def op_sh(script, seconds=60):
    """Runs a shell script; [status, output and errors together]."""
    p = subprocess.run(["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=seconds, check=False)
    return [p.returncode, p.stdout.decode("utf-8", "replace")]


def op_batch(lines):
    """Runs lines of `ip -batch`; [status, output]."""
    p = subprocess.run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    return [p.returncode, p.stdout]


# ---------------------------------------------------------------------------------------------------------------- servers
def op_serve():
    """Starts servers that send back what comes, over UDP and TCP and both families, from the address that was asked."""
    for family in (socket.AF_INET, socket.AF_INET6):
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            udp.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
        udp.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", ECHO_PORT))
        threading.Thread(target=_echo_udp, args=(udp,), daemon=True).start()
        tcp = socket.socket(family, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        tcp.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", ECHO_PORT))
        tcp.listen(256)
        threading.Thread(target=_accept, args=(tcp,), daemon=True).start()
    return True


def _echo_udp(udp):
    while True:
        data, ancillary, _, sender = udp.recvmsg(65536, 256)
        answer = []
        for level, kind, value in ancillary:
            if level == socket.IPPROTO_IP:  # in_pktinfo: interface, local address, destination; the middle one is our source
                answer = [(level, kind, struct.pack("@i", 0) + value[8:12] + bytes(4))]
            elif level == socket.IPPROTO_IPV6:
                answer = [(level, kind, value[:16] + struct.pack("@I", 0))]
        try:
            udp.sendmsg([data], answer, 0, sender)
        except OSError:
            pass  # the asker sees that nothing comes


def _accept(tcp):
    while True:
        connection, _ = tcp.accept()
        threading.Thread(target=_echo_tcp, args=(connection,), daemon=True).start()


def _echo_tcp(connection):
    with connection:
        connection.settimeout(30)
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass


_encapsulation = []


def op_take_esp_in_udp(port):
    """Opens sockets at which the kernel takes ESP in UDP (RFC 3948)."""
    for family, level in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        s = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((level, port))
        s.setsockopt(socket.IPPROTO_UDP, 100, 2)  # UDP_ENCAP, UDP_ENCAP_ESPINUDP
        _encapsulation.append(s)
    return True


# -------------------------------------------------------------------------------------------------------------- exchanges
def op_exchange(flows, together=12):
    """Sends on each flow what it says and waits for it to come back unchanged.

    A flow is {"id", "from", "to", "ping": [octets...], "udp": [octets...], "tcp": octets}. The answer has an entry for
    each flow: "" or what went wrong.
    """
    with ThreadPoolExecutor(together) as pool:
        return dict(zip([f["id"] for f in flows], pool.map(_flow, flows)))


def _flow(flow):
    source, target = flow["from"], flow["to"]
    try:
        for n, size in enumerate(flow.get("ping", ())):
            _ping(source, target, size, n)
        for size in flow.get("udp", ()):
            _udp(source, target, size)
        if flow.get("tcp"):
            _tcp(source, target, flow["tcp"])
        return ""
    except (OSError, ValueError) as problem:
        return str(problem) or type(problem).__name__


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) // 2 * 2])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


_identifiers = iter(range(1, 1 << 40))
_identifier_lock = threading.Lock()


def _ping(source, target, size, sequence):
    """An ICMP echo over a raw socket; one datagram in flight."""
    v6 = ":" in target
    with _identifier_lock:
        identifier = next(_identifiers) & 0xffff
    body = PATTERN[:size]
    with socket.socket(_family(target), socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if v6:  # ICMP6_FILTER: echo replies only
            s.setsockopt(socket.IPPROTO_ICMPV6, 1, struct.pack("@8I", *(0xffffffff ^ (2 if i == 4 else 0) for i in range(8))))
        else:  # SOL_RAW, ICMP_FILTER
            s.setsockopt(255, 1, struct.pack("@I", 0xffffffff ^ 1))
        s.bind((source, 0))
        s.connect((target, 0))  # only this peer's packets are queued here
        head = struct.pack(">BBHHH", 128 if v6 else 8, 0, 0, identifier, sequence)
        if not v6:
            head = struct.pack(">BBHHH", 8, 0, _checksum(head + body), identifier, sequence)
        s.send(head + body)
        end = time.monotonic() + WAIT
        while True:
            s.settimeout(max(0.001, end - time.monotonic()))
            try:
                got = s.recv(65536)
            except socket.timeout:
                raise ValueError(f"ping of {size} octets: no answer") from None
            message = got if v6 else got[(got[0] & 15) * 4:]
            if struct.unpack(">HH", message[4:8]) == (identifier, sequence):
                if message[8:] != body:
                    raise ValueError(f"ping of {size} octets came back changed")
                return


def _udp(source, target, size):
    with socket.socket(_family(target), socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        s.connect((target, ECHO_PORT))
        s.settimeout(WAIT)
        data = PATTERN[size & 0xff:size + (size & 0xff)]
        try:
            s.send(data)
            try:
                got = s.recv(65536)
            except OSError as problem:
                if problem.errno != errno.EMSGSIZE:
                    raise
                # A narrower path than the interface told of (RFC 8201): IPv6 cuts the second one in front of it.
                s.send(data)
                got = s.recv(65536)
            if got != data:
                raise ValueError(f"UDP of {size} octets came back changed")
        except socket.timeout:
            raise ValueError(f"UDP of {size} octets: no answer") from None


def _tcp(source, target, size):
    with socket.socket(_family(target), socket.SOCK_STREAM) as s:
        s.settimeout(WAIT * 2)
        s.bind((source, 0))
        try:
            s.connect((target, ECHO_PORT))
            sender = threading.Thread(target=lambda: (s.sendall(PATTERN[:size]), s.shutdown(socket.SHUT_WR)), daemon=True)
            sender.start()
            got = bytearray()
            while data := s.recv(65536):
                got += data
            sender.join(WAIT)
        except socket.timeout:
            raise ValueError(f"TCP of {size} octets: stuck") from None
        if bytes(got) != PATTERN[:size]:
            raise ValueError(f"TCP of {size} octets: {len(got)} came back")


# ---------------------------------------------------------------------------------------------------------------- capture
_taps = {}


def op_tap(interface):
    """Begins to keep every IP packet that crosses an interface without link header."""
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    s.bind((interface, 3))
    _taps[interface] = s
    return True


def op_tapped(interface):
    """The packets since op_tap or the last op_tapped: [[to the interface's far side, hex], ...]."""
    s, packets = _taps[interface], []
    s.settimeout(0.05)
    try:
        while True:
            data, origin = s.recvfrom(65536)
            packets.append([origin[2] == 4, data.hex()])  # PACKET_OUTGOING
    except socket.timeout:
        return packets


# ------------------------------------------------------------------------------------------------------------------- serve
def serve(requests, answers, operations):
    for line in requests:
        try:
            request = json.loads(line)
            answer = {"ok": operations["op_" + request.pop("op")](**request)}
        except Exception as problem:  # the other side must hear of it, whatever it is
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, globals())
