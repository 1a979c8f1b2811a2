"""The other implementations among themselves: when these fail, the rig is at fault and not Culvert."""

from cases import kernel
from rig import rows, transforms
from rig.case import case
from rig.guest import Guest
from rig.linux import Linux
from rig.scapy_peer import Scapy
from rig.shell import check
from rig.traffic_plan import Plan

PLAN = Plan(ping=(0, 56), udp=(1400, 3000), tcp=0)


def common(peers):
    """Rows that both know: every transform in each mode and family, and the variations with one AEAD and one pair."""
    esp, ah = list(transforms.esp_suites()), list(transforms.ah_suites())
    few = [s for s in esp if s.word in ("aes128gcm16", "aes128ccm16", "aes256-sha256")]
    made = rows.number([
        *rows.rows(esp, mode=["tunnel", "transport"], inner=4, outer=4), *rows.rows(esp, mode=["tunnel", "transport"], inner=6, outer=6),
        *rows.rows(few, mode=["tunnel", "transport", "beet"], esn=[False, True], encapsulation=["none", "udp"]),
        *rows.rows(ah, mode=["tunnel", "transport"]),
        *rows.rows(ah, mode=["tunnel", "transport"], inner=4, outer=4, esn=[False, True])])
    once = {r.name: r for r in made}
    return [r for r in once.values() if not any(p.lacking(r) for p in peers)]


@case("rig-linux-scapy", "Linux and Scapy understand each other: the table of transforms and both peers are right", seconds=150)
def linux_scapy(setup):
    lab = setup.lab("alone")
    guest = Guest(lab, "a")
    # Scapy is at the end that is Culvert's elsewhere.
    scapy, linux = Scapy(lab, "a"), Linux(guest)
    made = common((scapy, linux))
    lab.exec("a", "ethtool", "-K", "wire", "tso", "off", "gso", "off", "gro", "off", "tx", "off", ok=None)
    linux.prepare(made)
    mac = guest.sh("cat /sys/class/net/vec0/address").strip()
    scapy.prepare(made, mac)
    linux.install(made)
    scapy.install(made)
    scapy.exchange(made, PLAN)
    linux.exchange(made, PLAN)
    linux.count(made, PLAN.packets * 2)
    bad = [f"{r.name}: {r.verdict}" for r in made if r.verdict != "pass"]
    setup.note(f"{len(made) - len(bad)} of {len(made)} rows, {linux.version}, {scapy.version}; errors: {linux.errors() or 'none'}")
    check(not bad, f"{len(bad)} of {len(made)} rows failed:\n  " + "\n  ".join(bad[:40]))


@case("rig-linux-linux", "two Linux guests pass what the other cases ask of one: modes, families, ESN, UDP, IPComp, windows", seconds=150)
def linux_linux(setup):
    lab = setup.lab("alone")
    lab.ip("a", "link", "add", "bridge", "type", "bridge", "forward_delay", "0")
    lab.ip("a", "link", "set", "bridge", "up")
    ends = [Linux(Guest(lab, "a", (f"wire-{side}",), f"guest-{side}"), side) for side in "ab"]
    for side in "ab":
        lab.ip("a", "link", "set", f"wire-{side}", "master", "bridge")
    made = [r for r in kernel.rehearsal() if not ends[0].lacking(r)]
    for end in ends:
        end.prepare(made)
        end.install(made)
    for end in ends:
        end.exchange(made, kernel.PLAN)
    for end in ends:
        end.count(made, 2 * kernel.PLAN.packets)
    bad = [f"{r.name}: {r.verdict}" for r in made if r.verdict != "pass"]
    errors = " ".join(end.errors() for end in ends).strip()
    setup.note(f"{len(made) - len(bad)} of {len(made)} rows, {ends[0].version}; errors: {errors or 'none'}")
    check(not bad and not errors, f"{len(bad)} of {len(made)} rows failed, errors {errors}:\n  " + "\n  ".join(bad[:40]))
