#!/usr/bin/env python3
"""ml_kem_secrets_test.py PROGRAM: no branch and no address of ML-KEM depends on a secret, as valgrind's memcheck sees it; and of one that
does it tells. Skips without valgrind. Divisions, whose time may depend on what is divided, it does not see: there are none."""

import shutil
import subprocess
import sys

SKIPPED, TOLD = 77, 9


def status(program, *more):
    argv = ["valgrind", "-q", f"--error-exitcode={TOLD}", program, *more]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=240)
    if done.returncode not in (0, TOLD, SKIPPED):
        raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.returncode, done.stderr


def main():
    if not shutil.which("valgrind"):
        print("skipped: valgrind is not installed")
        return SKIPPED
    code, said = status(sys.argv[1])
    if code == SKIPPED:
        print("skipped: this build had no valgrind/memcheck.h")
        return SKIPPED
    if code == TOLD:
        print(f"a branch or an address depends on a secret:\n{said[-4000:]}", file=sys.stderr)
        return 1
    if status(sys.argv[1], "branch")[0] != TOLD:
        print("a branch by a secret is not told of: memcheck shows nothing here", file=sys.stderr)
        return 1
    print("encapsulation and decapsulation, all three sets: nothing depends on a secret; a branch put there is told of")
    return 0


if __name__ == "__main__":
    sys.exit(main())
