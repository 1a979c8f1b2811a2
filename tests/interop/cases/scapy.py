"""Culvert with manual keys against Scapy: both understand each other, and what comes out is exactly what went in.

A capture on the TUN device sees what Culvert took in and gave out; Scapy keeps what it protected and what it opened. The
two lists must be the same, octet for octet.
"""

from rig import results, rows, transforms
from rig.case import case
from rig.manual import Manual
from rig.scapy_peer import Scapy
from rig.shell import check, wait_until
from rig.traffic_plan import Plan

ONLY = ("culvert",)
PLAN = Plan(ping=(0, 56), udp=(1200, 3000), tcp=0)
EXACT = Plan(ping=(0, 1, 56, 1200), udp=(), tcp=0)


def every():
    """Every transform in tunnel and transport mode and both families; families, ESN, UDP and BEET with a few."""
    esp, ah = list(transforms.esp_suites()), list(transforms.ah_suites())
    few = [s for s in esp if s.word in ("aes128gcm16", "aes128ccm16", "aes256-sha256")]
    made = rows.number([
        *rows.rows(esp + ah, mode=["tunnel", "transport"], inner=4, outer=4), *rows.rows(esp + ah, mode=["tunnel", "transport"], inner=6, outer=6),
        *rows.rows(few, mode=["tunnel", "transport", "beet"], esn=[False, True], encapsulation=["none", "udp"]),
        *rows.rows(ah[:1], mode=["tunnel", "transport"], esn=[False, True])])
    return list({r.name: r for r in made}.values())


def start(setup, made):
    lab = setup.lab("bare")
    lab.exec("b", "ethtool", "-K", "wire", "tso", "off", "gso", "off", "gro", "off", "tx", "off", ok=None)
    scapy = Scapy(lab)
    absent = [(r, why) for r in made if (why := scapy.lacking(r))]
    made = [r for r in made if not scapy.lacking(r)]
    culvert = Manual(lab, setup.drivers["culvert"], made)
    setup.daemons.append(culvert.daemon)
    scapy.prepare(made, lab.exec("a", "cat", "/sys/class/net/wire/address").strip())
    scapy.install(made)
    culvert.start()
    return culvert, scapy, made, absent


def judge(setup, name, scapy, culvert, made, absent):
    results.keep(name, "scapy", scapy.version, made, absent)
    bad = [f"{r.name}: {r.verdict}" for r in made if r.verdict != "pass"]
    setup.note(f"{len(made) - len(bad)} of {len(made)} rows with {scapy.version}, {len(absent)} that it has not")
    check(not bad, f"{len(bad)} of {len(made)} rows failed (drops: {culvert.drops()}):\n  " + "\n  ".join(bad[:40]))


@case("scapy-every-transform", "every transform and mode that Scapy has, both families, both directions", only=ONLY, seconds=170)
def every_transform(setup):
    culvert, scapy, made, absent = start(setup, every())
    culvert.exchange(made, PLAN)
    scapy.exchange(made, PLAN)
    culvert.count(made, 2 * PLAN.packets)
    judge(setup, "scapy-every-transform", scapy, culvert, made, absent)


# RFC 4302 A: router alert cannot change on the way, a recorded route and a timestamp do; NOPs in between. In IPv6: padding, an option that
# may change on the way and one that may not, both to be skipped where unknown. A next header and a length begin these.
OPTIONS = {4: ("94040000", "0107070400000000", "9404000001010101", "4408050000000000"),
           6: ("0000010400000000", "00003e0400000000", "00001e0401020304")}


@case("scapy-ah-options", "AH over IPv4 options and IPv6 extension headers, those that may change on the way and those that may not",
      only=ONLY, seconds=90)
def ah_options(setup):
    made = rows.number(rows.rows(list(transforms.ah_suites())[:2], mode=["tunnel", "transport"]))
    culvert, scapy, made, absent = start(setup, made)
    for row in made:
        for options in OPTIONS[row.inner]:
            for hop_by_hop in (False, True) if row.inner == 6 else (False,):
                flow = {"id": str(row.index), "from": row.inner_address("b"), "to": row.inner_address("a"), "ping": [56, 200],
                        "options": options, "hop_by_hop": hop_by_hop}
                answer = scapy.agent.ask("exchange", flows=[flow])[str(row.index)]
                row.fail(f"from b with {'hop-by-hop ' if hop_by_hop else ''}options {options}", answer)
    judge(setup, "scapy-ah-options", scapy, culvert, made, absent)


def exact_rows():
    suites = [s for s in transforms.esp_suites() if s.word in ("aes256gcm16", "aes128ccm8", "aes128-sha256", "null-sha512", "aes128ctr-sha256")]
    return rows.number([*rows.rows(suites, mode=["tunnel", "transport", "beet"]), *rows.rows(list(transforms.ah_suites())[:3], mode=["tunnel", "transport"])])


def comparable(row, text):
    """The packet without what BEET does not carry: its inner header is made from the outer one, and that has its own
    identification (IPv4) or flow label (IPv6)."""
    if row.mode != "beet":
        return text
    packet = bytearray.fromhex(text)
    for at in (4, 5, 10, 11) if row.inner == 4 else (2, 3):
        packet[at] = 0
    if row.inner == 6:
        packet[1] &= 0xf0
    return packet.hex()


def same(row, what, one, two):
    one, two = (sorted(comparable(row, text) for text in packets) for packets in (one, two))
    if one != two:
        wrong = next((pair for pair in zip(one, two) if pair[0] != pair[1]), (f"{len(one)} packets", f"{len(two)} packets"))
        row.fail(what, f"{wrong[0]} became {wrong[1]}")


@case("scapy-exact", "inner packets leave and arrive octet for octet as they were", only=ONLY, seconds=120)
def exact(setup):
    culvert, scapy, made, absent = start(setup, exact_rows())
    culvert.agent.ask("tap", interface="culvert0")
    for row in made:
        culvert.exchange([row], EXACT)
        scapy.exchange([row], EXACT)
        sent, received = scapy.seen(row)
        seen = []

        def all_there():
            seen.extend(culvert.agent.ask("tapped", interface="culvert0"))
            return len(seen) >= len(sent) + len(received)
        wait_until(all_there, 3, f"{row.name}: the capture on the TUN device has every packet")
        same(row, "what Culvert protected", [data for out, data in seen if out], received)
        same(row, "what Culvert delivered", sent, [data for out, data in seen if not out])
    judge(setup, "scapy-exact", scapy, culvert, made, absent)
