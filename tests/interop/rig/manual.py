"""Culvert with manual keys: rows of the matrix (rig/rows.py) as [manual] sections, and what the SAs have counted."""

import json

from . import traffic_plan
from .linux import local_addresses
from .remote import InNamespace
from .rows import SHARED


WEAK = ("des", "3des", "md5", "sha1")


class Manual:
    """culvertd at `a` of a lab whose wire is the device "wire". `driver` is rig.culvert's class with the binaries."""

    kind = "culvert"

    def __init__(self, lab, driver, made):
        self.lab, self.rows = lab, made
        self.daemon = driver(lab, "a", [])
        self.daemon.daemon["log_level"] = "error"  # thousands of lines otherwise
        self.daemon.extra = "".join(section(row) for row in made)
        self.agent = InNamespace(lab, "a")

    def start(self):
        lines = [f"addr add {SHARED['a'][4]}/24 dev wire", f"addr add {SHARED['a'][6]}/64 dev wire nodad",
                 f"route add default via {SHARED['b'][4]}", f"route add default via {SHARED['b'][6]}"]
        self.agent.batch(lines + local_addresses(self.rows, "a", "wire"))
        self.agent.sh("ethtool -K wire tso off gso off gro off tx off", ok=None)
        self.agent.ask("serve")
        self.daemon.start(40)

    def exchange(self, made, plan):
        traffic_plan.run(self.agent, made, "a", plan)

    def counters(self):
        """{name: the JSON object of the status' part `manual`}."""
        return {sa["name"]: sa for sa in self.daemon.status()["manual"]}

    def count(self, made, at_least):
        listed = self.counters()
        for row in made:
            sa = listed.get(name(row))
            if sa is None:
                row.fail("counted by Culvert", "is not in the status")
                continue
            if sa["state"] != "up":
                row.fail("counted by Culvert", f"{sa['state']}: {sa['reason']}")
            counted = sa["sa"]["counters"]
            for word in ("inbound", "outbound"):
                if counted[f"{word}_packets"] < at_least:
                    row.fail("counted by Culvert", f"{counted[f'{word}_packets']} packets {word}, of at least {at_least}")
            for word in ("replay_drops", "integrity_drops"):
                if counted.get(word):
                    row.fail("counted by Culvert", f"{counted[word]} {word}")

    def drops(self):
        """{reason: packets} dropped so far."""
        listed = self.daemon.status()["packet_drops"]
        return listed if isinstance(listed, dict) else {d["name"]: d.get("packets", d.get("count", d.get("value"))) for d in listed}

    def stop(self):
        self.daemon.stop()


def name(row):
    return f"row{row.index}"


def section(row):
    """The [manual] section of one row."""
    e_in, i_in = row.keys("a")
    e_out, i_out = row.keys("b")
    fields = {
        "protocol": row.protocol, "mode": row.mode, "local_address": row.outer_address("a"), "peer": row.outer_address("b"),
        "spi_in": row.spi("a"), "spi_out": row.spi("b"),
        "suite": f"{row.suite.word}-{'esn' if row.esn else 'noesn'}", "replay_window": row.window,
        "local": [row.inner_address("a")], "remote": [row.inner_address("b")]}
    if row.protocol == "esp":
        fields["encapsulation"] = row.encapsulation
    if e_in:
        fields.update(encryption_key_in="0x" + e_in.hex(), encryption_key_out="0x" + e_out.hex())
    if i_in:
        fields.update(integrity_key_in="0x" + i_in.hex(), integrity_key_out="0x" + i_out.hex())
    weak = [t.word for t in (row.suite.encryption, row.suite.integrity) if t and t.word in WEAK]
    if weak:
        fields["compat"] = weak
    if row.ipcomp:
        fields.update(cpi_in=row.cpi("a"), cpi_out=row.cpi("b"), compress=True)
    return f"\n[manual.{name(row)}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())

