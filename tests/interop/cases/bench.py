"""`culvert bench ike` against both responders: what it says came about is what the responder has."""

import json
import os

from rig.case import case
from rig.lab import OUTER, SUBNET
from rig.shell import check

ONLY = ("culvert",)
COUNT = 20
SECRET = "a secret for the interop tests"


def bench(setup, lab, *more, ok=(0,)):
    path = lab.path("secret")
    with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="ascii") as f:
        f.write(SECRET + "\n")
    text = lab.exec("a", f"{setup.drivers['culvert'].binaries}/culvert", "--json", "bench", "ike", OUTER["b"][4], "--local", OUTER["a"][4],
                    "--secret-file", path, "-n", COUNT, "--remote-id", "hub.example", "--inner", "10.9.0.0/24", "--remote", SUBNET["b"][4],
                    "-c", 4, *more, ok=ok)
    return json.loads(text)


def hub(setup, lab):
    daemon = setup.daemon("culvert", lab, "b", [])
    daemon.extra = "".join(
        f'[tunnel.site{n}]\npeer = "any"\nlocal_id = "hub.example"\nremote_id = "site{n}.example"\nsecret = "{SECRET}"\n'
        f'encapsulation = "esp"\nlocal = ["{SUBNET["b"][4]}"]\nremote = ["10.9.0.{n}/32"]\n' for n in range(COUNT))
    daemon.start()
    return daemon


@case("bench-ike", "culvert bench ike sets up and rekeys twenty initiators with culvertd, measures its process, and takes all back", only=ONLY)
def all_come_about(setup):
    lab = setup.lab()
    daemon = hub(setup, lab)
    told = bench(setup, lab, "--rekey", "-p", daemon.process.pid)
    for phase in ("set-up", "rekey of the IKE SA", "rekey of the Child SA"):
        found = told["phases"][phase]
        check(found["done"] == COUNT and not found["failures"], f"{phase}: {found}")
        check(found["responder_cpu_ms"] > 0 and found["milliseconds"]["max"] >= found["milliseconds"]["p99"] >= found["milliseconds"]["p50"] > 0, f"{phase}: {found}")
    log = daemon.log()
    check(log.count("IKE SA established with") == COUNT, "culvertd counts other IKE SAs than the generator")
    check(not any(t["ike_sas"] for t in daemon.status()["tunnels"]), "IKE SAs are left over")


@case("bench-ike-refused", "culvert bench ike tells why initiators fail: nobody knows their identities", only=ONLY)
def some_are_refused(setup):
    lab = setup.lab()
    hub(setup, lab)
    told = bench(setup, lab, "--local-id", "s{}.example", ok=(1,))
    found = told["phases"]["set-up"]
    check(found["done"] == 0 and found["failures"] == {"authentication_failed (AUTHENTICATION_FAILED)": COUNT}, f"{found}")
