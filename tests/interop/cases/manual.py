"""Manual keys between two Culverts: no IV twice whatever happens to the daemon, and tshark reads what the keys say."""

import collections
import os
import signal
import struct
import time

from rig import traffic, wire
from rig.case import case
from rig.lab import INNER, SUBNET
from rig.shell import check, need_tool, run, wait_until

ONLY = ("culvert",)
SPI = {"a": 0x1001, "b": 0x1002}

# suite: (octets of encryption key, of integrity key, tshark's names of both)
SUITES = {
    "aes128gcm16-noesn": (20, 0, "AES-GCM with 16 octet ICV [RFC4106]", "NULL"),
    "aes256-sha256-noesn": (32, 32, "AES-CBC [RFC3602]", "HMAC-SHA-256-128 [RFC4868]"),
    "aes128-sha1-noesn": (16, 20, "AES-CBC [RFC3602]", "HMAC-SHA-1-96 [RFC2404]"),
    "aes128ctr-sha256-noesn": (20, 32, "AES-CTR [RFC3686]", "HMAC-SHA-256-128 [RFC4868]"),
    "aes128gcm16iiv-noesn": (20, 0, None, None),
}


def keys(suite, side):
    """(encryption key, integrity key) of what `side` receives, as 0x… texts."""
    encryption, integrity = SUITES[suite][:2]
    filler = {"a": 0x11, "b": 0x22}[side]
    return tuple("0x" + bytes((filler * (i + 1) + part) & 255 for i in range(size)).hex() if size else ""
                 for part, size in ((0, encryption), (7, integrity)))


def section(lab, suite, side, other):
    text = (f'[manual.line]\nmode = "tunnel"\nencapsulation = "none"\nlocal_address = "{lab.outer(side)}"\npeer = "{lab.outer(other)}"\n'
            f'spi_in = {SPI[side]}\nspi_out = {SPI[other]}\nsuite = "{suite}"\nlocal = ["{SUBNET[side][4]}"]\nremote = ["{SUBNET[other][4]}"]\n')
    if "sha1" in suite:
        text += 'compat = ["sha1"]\n'
    for way, who in (("in", side), ("out", other)):
        for kind, key in zip(("encryption", "integrity"), keys(suite, who)):
            if key:
                text += f'{kind}_key_{way} = "{key}"\n'
    return text


def start(setup, suite):
    lab = setup.lab()
    daemons = {}
    for side, other in (("a", "b"), ("b", "a")):
        daemon = daemons[side] = setup.daemon("culvert", lab, side, [])
        daemon.extra = section(lab, suite, side, other)
        daemon.start()
    wait_until(lambda: traffic.ping(lab, "a", 4, 1) == 1, 10, "the first ping comes back")
    return lab, daemons


def esp(capture_file):
    """(SPI, sequence number, the eight octets behind it) of every ESP packet over IPv4."""
    for frame in wire.frames(capture_file):
        if wire.classify(frame)[0] == wire.ESP:
            at = 14 + (frame[14] & 15) * 4
            yield (*struct.unpack(">II", frame[at:at + 8]), frame[at + 8:at + 16])


def add_kill(suite):
    @case(f"manual-kill-{suite}", f"manual keys, {suite}: killed and started again and again under traffic, and stopped in order: no sequence number "
          "and no IV twice", only=ONLY, seconds=60)
    def _(setup):
        lab, daemons = start(setup, suite)
        capture = wire.Capture(lab, "b")
        stream = lab.spawn("a", "ping", "-q", "-i", "0.005", "-W", "1", "-I", INNER["a"][4], INNER["b"][4], output=lab.path("stream"))
        for turn in range(6):
            time.sleep(0.5)
            if turn == 3:
                stream.send_signal(signal.SIGSTOP)  # who stops Culvert in order takes its policies back, too
                daemons["a"].stop()
            else:
                daemons["a"].kill(signal.SIGKILL)
            daemons["a"].start()
            stream.send_signal(signal.SIGCONT)
            wait_until(lambda: traffic.ping(lab, "a", 4, 1) == 1, 10, f"a ping after start {turn + 2}")
        stream.send_signal(signal.SIGINT)
        stream.wait(5)
        classes, others = capture.stop()
        seen = list(esp(capture.file))
        ours = [one for one in seen if one[0] == SPI["b"]]
        check(len(ours) > 200, f"{len(ours)} ESP packets of ours on the wire: {dict(classes)}")
        checked = {"sequence number": [one[:2] for one in seen]}
        if not suite.endswith("iiv-noesn"):  # RFC 8750: the IV is the sequence number, and not in the packet
            checked["IV"] = [(one[0], one[2]) for one in seen]
        for what, values in checked.items():
            twice = [value for value, count in collections.Counter(values).items() if count > 1]
            check(not twice, f"{len(twice)} times the same {what}: {twice[:3]}")
        check(not others, f"on the wire in clear: {others[:3]}")
        dropped = {d: n for d, n in drops(daemons["b"]).items() if "replay" in d and n}
        check(not dropped, f"the peer saw old numbers: {dropped}")
        setup.note(f"{len(ours)} packets of one SA over 6 restarts, highest sequence number {max(one[1] for one in ours)}")


def drops(daemon):
    listed = daemon.status()["packet_drops"]
    return listed if isinstance(listed, dict) else {d["name"]: d.get("packets", d.get("count", d.get("value"))) for d in listed}


def add_tshark(suite):
    @case(f"manual-tshark-{suite}", f"manual keys, {suite}: tshark, told the same keys, decrypts and verifies every packet", only=ONLY, seconds=60)
    def _(setup):
        need_tool("tshark", "tshark")
        lab, _ = start(setup, suite)
        capture = wire.Capture(lab, "b")
        for size in (0, 56, 57, 58, 59, 60, 1200):
            check(traffic.ping(lab, "a", 4, 3, size=size) == 3, f"pings of {size} octets come back")
        classes, _ = capture.stop()
        folder = lab.path("tshark")
        os.makedirs(folder)
        _, _, cipher, integrity = SUITES[suite]
        with open(f"{folder}/esp_sa", "w", encoding="ascii") as f:
            for side, other in (("a", "b"), ("b", "a")):
                encryption_key, integrity_key = keys(suite, side)
                f.write(f'"IPv4","{lab.outer(other)}","{lab.outer(side)}","{SPI[side]:#010x}","{cipher}","{encryption_key}","{integrity}",'
                        f'"{integrity_key}"\n')
        rows = run("env", f"WIRESHARK_CONFIG_DIR={folder}", "tshark", "-n", "-r", capture.file,
                   "-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE", "-Y", "esp", "-T", "fields",
                   "-e", "icmp.type", "-e", "esp.icv_good", "-e", "icmp.checksum.status", timeout=60).split("\n")[:-1]
        check(len(rows) == classes[wire.ESP] >= 42, f"{classes[wire.ESP]} ESP packets, tshark shows {len(rows)}")
        bad = [row for row in rows if row.split("\t")[0] not in ("0", "8") or row.split("\t")[1] not in ("1", "True")]
        check(not bad, f"tshark finds wrong: {bad[:5]} of {len(rows)}")
        setup.note(f"{len(rows)} ESP packets decrypted and their ICVs right")


for _suite in ("aes128gcm16-noesn", "aes128gcm16iiv-noesn", "aes128ctr-sha256-noesn"):
    add_kill(_suite)
for _suite, (_, _, _cipher, _) in SUITES.items():
    if _cipher:
        add_tshark(_suite)
