"""Culvert with manual keys against a Linux kernel: every transform, mode and family that the two have in common.

One guest and one daemon for all rows of a case; each row is an SA pair with addresses of its own.
"""

import os
import re

from rig import results, rows, transforms
from rig.case import case
from rig.guest import Guest
from rig.linux import Linux
from rig.manual import Manual
from rig.shell import check
from rig.traffic_plan import Plan

ONLY = ("culvert",)
PLAN = Plan()
ESN, UDP = [False, True], ["none", "udp"]


def few():
    return [s for s in transforms.esp_suites() if s.word in ("aes128gcm16", "aes256-sha256", "aes128ctr-sha256", "null-sha256")]


def esp(mode):
    return rows.number(rows.rows(transforms.esp_suites(), mode=mode, esn=ESN, encapsulation=UDP))


def ah(mode):
    return rows.number(rows.rows(transforms.ah_suites(), mode=mode, esn=ESN))


def windows():
    return rows.number(rows.rows(few()[:2], mode=["tunnel"], inner=4, outer=4, esn=ESN, window=[32, 64, 128, 512, 1024, 4096]))


def compressed():
    return rows.number(rows.rows(few(), mode=["tunnel", "transport"], esn=ESN, ipcomp=True))


def rehearsal():
    """Every kind of row, with few transforms."""
    return rows.number([*rows.rows(few(), mode=["tunnel", "transport", "beet"], esn=ESN, encapsulation=UDP),
                        *rows.rows(list(transforms.ah_suites())[:2], mode=["tunnel", "transport", "beet"], esn=ESN),
                        *rows.rows(few(), mode=["tunnel", "transport"], esn=ESN, ipcomp=True),
                        *rows.rows(few()[:2], mode="tunnel", inner=4, outer=4, esn=ESN, window=[32, 128, 4096])])


def run(setup, name, made, plan=PLAN):
    lab = setup.lab("alone")
    # For a closer look at some rows: CULVERT_ROWS=beet-v4in4 tests/interop/run kernel-esp-beet
    wanted = os.environ.get("CULVERT_ROWS")
    made = [r for r in made if re.search(wanted, r.name)] if wanted else made
    linux = Linux(Guest(lab, "a"))
    absent = [(r, why) for r in made if (why := linux.lacking(r))]
    made = [r for r in made if not linux.lacking(r)]
    culvert = Manual(lab, setup.drivers["culvert"], made)
    setup.daemons.append(culvert.daemon)
    linux.prepare(made)
    linux.install(made)
    culvert.start()
    before = culvert.drops()
    culvert.exchange(made, plan)
    linux.exchange(made, plan)
    linux.count(made, 2 * plan.packets)
    culvert.count(made, 2 * plan.packets)
    if not wanted:
        results.keep(name, "linux", linux.version, made, absent)
    bad = [f"{r.name}: {r.verdict}" for r in made if r.verdict != "pass"]
    # IPv6 learns of a path narrower than the interface's MTU by an ICMP error about a packet that went nowhere (RFC 8201).
    drops = {k: v - before.get(k, 0) for k, v in culvert.drops().items() if v > before.get(k, 0) and k != "path_too_narrow"}
    errors = linux.errors()
    setup.note(f"{len(made) - len(bad)} of {len(made)} rows with {linux.version}, {len(absent)} that it has not")
    check(not bad, f"{len(bad)} of {len(made)} rows failed (Linux counts: {errors or 'no error'}; drops: {drops}):\n  " + "\n  ".join(bad[:60]))
    check(not errors, f"every row passed, but Linux counts {errors}")
    check(not drops, f"every row passed, but culvertd dropped {drops}")
    culvert.stop()


def add(name, about, make, seconds=170):
    @case(f"kernel-{name}", about, only=ONLY, seconds=seconds)
    def _(setup):
        run(setup, f"kernel-{name}", make())


for _mode in ("tunnel", "transport", "beet"):
    add(f"esp-{_mode}", f"ESP in {_mode} mode: every transform, family, ESN on and off, in UDP and not", lambda mode=_mode: esp(mode))
for _mode in ("tunnel", "transport"):
    add(f"ah-{_mode}", f"AH in {_mode} mode: every transform and family, ESN on and off", lambda mode=_mode: ah(mode))
add("windows", "replay windows from 32 to 4,096 packets, with and without ESN", windows)
add("ipcomp", "IPComp in front of ESP, tunnel and transport mode", compressed)
