#!/usr/bin/env python3
"""Searches every order of a Child SA's colliding rekeys and deletes (collisions.pml, by Spin); and that without the rules the search
finds what goes wrong. Without Spin it skips."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).resolve().parent / "collisions.pml"
SKIPPED = 77


def search(folder, *definitions):
    """(errors, states) of the whole search."""
    subprocess.run(["spin", *(f"-D{one}" for one in definitions), "-a", str(MODEL)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cc", "-O1", "-w", "-o", "pan", "pan.c"], cwd=folder, check=True)
    said = subprocess.run(["./pan", "-m100000"], cwd=folder, check=True, capture_output=True, text=True).stdout
    if "max search depth too small" in said:
        raise SystemExit(f"the search was cut short:\n{said}")
    return int(re.search(r"errors: (\d+)", said).group(1)), int(re.search(r"(\d+) states, stored", said).group(1))


def main():
    if not shutil.which("spin"):
        print("skipped: spin is not installed")
        return SKIPPED
    complaints = []
    with tempfile.TemporaryDirectory() as folder:
        errors, states = search(folder)
        print(f"{states} states, {errors} errors")
        if errors or states < 500:
            complaints.append("the rules do not hold, or there was nothing to search")
        for rule in ("ANSWER_ALWAYS", "FORGET_THE_NONCES"):
            if search(folder, rule)[0] == 0:
                complaints.append(f"{rule}: nothing is found wrong")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
