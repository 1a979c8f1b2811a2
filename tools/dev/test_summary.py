#!/usr/bin/env python3
"""Counts the test cases of all GoogleTest binaries from their JSON results and names the skipped ones."""

import json
import pathlib
import sys


def main() -> int:
    cases, failed, skipped = 0, [], {}
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
    for path in files:
        for suite in json.loads(path.read_text())["testsuites"]:
            for case in suite["testsuite"]:
                cases += 1
                name = f"{path.stem}: {suite['name']}.{case['name']}"
                if case["result"] == "SKIPPED":
                    reason = " ".join(s.get("message", "") for s in case.get("skipped", []))
                    reason = " ".join(reason.split("\n", 1)[-1].split()) or "no reason given"
                    skipped.setdefault(reason, []).append(name)
                elif case.get("failures"):
                    failed.append(name)
    print(f"\n   {cases} test cases in {len(files)} binaries")
    for reason, names in skipped.items():
        print(f"   skipped {len(names)}: {reason}")
        for name in names[:5]:
            print(f"     {name}")
        if len(names) > 5:
            print(f"     and {len(names) - 5} more")
    for name in failed:
        print(f"   FAILED {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
