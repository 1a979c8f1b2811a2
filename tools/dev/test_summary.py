#!/usr/bin/env python3
"""Counts the test cases of all GoogleTest binaries from their XML results and names the skipped ones with their reasons."""

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def skip_reason(case: ElementTree.Element) -> str:
    """What GTEST_SKIP() was told, without the place in front of it."""
    texts = []
    for skipped in case.findall("skipped"):
        text = skipped.get("message") or skipped.text or ""
        texts.append(" ".join(line for line in text.splitlines() if ".cpp:" not in line))
    return " ".join(" ".join(texts).split()) or "no reason given"


def main() -> int:
    cases, failed, skipped = 0, [], {}
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.xml"))
    for path in files:
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            cases += 1
            name = f"{path.stem}: {case.get('classname')}.{case.get('name')}"
            if case.get("result") == "skipped":
                skipped.setdefault(skip_reason(case), []).append(name)
            elif case.find("failure") is not None:
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
