"""What each case, and each round of those with guests, has shown last: files under build/interop-outcomes, for docs/interop.md."""

import glob
import json
import os
import time

from . import results

FOLDER = os.path.join(os.path.dirname(results.FOLDER), "interop-outcomes")


def _write(name, content):
    os.makedirs(FOLDER, exist_ok=True)
    part = f"{FOLDER}/{name}.{os.getpid()}"
    with open(part, "w", encoding="utf-8") as f:
        json.dump({**content, "when": int(time.time())}, f, indent=0)
    os.replace(part, f"{FOLDER}/{name}.json")


def keep_case(name, word, text, peers):
    """`peers`: {kind: version} of the daemons at the other end. A case that was skipped says nothing, and what it showed before stands."""
    if word != "skip":
        _write(f"case-{name}", {"case": name, "word": word, "text": text, "peers": peers})


def keep_rounds(case, kind, version, verdicts):
    _write(f"rounds-{case}", {"case": case, "kind": kind, "version": version, "verdicts": verdicts})


def load(what):
    found = []
    for path in sorted(glob.glob(f"{FOLDER}/{what}-*.json")):
        with open(path, encoding="utf-8") as f:
            found.append(json.load(f))
    return found
