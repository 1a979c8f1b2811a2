#!/usr/bin/env python3
"""Searches every order of colliding rekeys and deletes, of a Child SA (collisions.pml) and of the IKE SA (ike_collisions.pml), by Spin;
and that without any one of the rules the search finds what goes wrong. Without Spin it skips."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77
# Each model: how many states it has at least, and the rules that can be left out of it.
MODELS = {
    "collisions.pml": (500, ("ANSWER_ALWAYS", "FORGET_THE_NONCES")),
    "ike_collisions.pml": (100_000, ("FORGET_THE_NONCES", "FORGET_WHO_WON", "FORGET_THE_CANDIDATE", "TAKE_OVER_AT_ONCE", "SETTLE_BY_DELETE",
                                     "REKEY_BESIDE_A_CHILD", "REKEY_WHAT_IS_CLOSED")),
}


def search(folder, model, *definitions):
    """(errors, states) of the whole search."""
    subprocess.run(["spin", *(f"-D{one}" for one in definitions), "-a", str(HERE / model)], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cc", "-O1", "-w", "-DCOLLAPSE", "-DNOFAIR", "-o", "pan", "pan.c"], cwd=folder, check=True)
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
        for model, (fewest, rules) in MODELS.items():
            errors, states = search(folder, model)
            print(f"{model}: {states} states, {errors} errors")
            if errors or states < fewest:
                complaints.append(f"{model}: the rules do not hold, or there was nothing to search")
            for rule in rules:
                if search(folder, model, rule)[0] == 0:
                    complaints.append(f"{model} with {rule}: nothing is found wrong")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
