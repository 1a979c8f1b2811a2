"""What each row of the matrix has shown, kept for docs/transforms.md: one file per case under build/interop-results."""

import json
import os
import time

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))),
                      "build", "interop-results")


def keep(case, peer, version, made, absent=()):
    """`made`: rows that were tried; `absent`: (row, reason) of those that this peer has not."""
    def line(row, result, absent):
        return {"protocol": row.protocol, "mode": row.mode, "inner": row.inner, "outer": row.outer, "esn": row.esn,
                "encapsulation": row.encapsulation, "ipcomp": row.ipcomp, "window": row.window, "padded_icv": row.padded_icv,
                "encryption": row.suite.encryption.word if row.suite.encryption else "",
                "integrity": row.suite.integrity.word if row.suite.integrity else "", "result": result, "absent": absent}

    rows = [line(row, row.verdict, False) for row in made] + [line(row, reason, True) for row, reason in absent]
    os.makedirs(FOLDER, exist_ok=True)
    part = f"{FOLDER}/{case}.{os.getpid()}"
    with open(part, "w", encoding="utf-8") as f:
        json.dump({"case": case, "peer": peer, "version": version, "when": int(time.time()), "rows": rows}, f, indent=0)
    os.replace(part, f"{FOLDER}/{case}.json")
