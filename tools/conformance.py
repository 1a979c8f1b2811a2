#!/usr/bin/env python3
"""Builds docs/conformance.md from tests/conformance/*.txt: behaviour -> the tests that show it, or why there is none.

A line is `number | behaviour | tests`. A test is Suite.Name of GoogleTest, liar:name for a row of tests/liar, interop:name for a
case of docs/interop.md; `- reason` stands where there is none. Every test that is named must exist.

    tools/conformance.py            print the page
    tools/conformance.py --write    write docs/conformance.md
    tools/conformance.py --check    fail when the page is not what --write would write, or a test does not exist
"""

import argparse
import dataclasses
import pathlib
import re
import sys

from source_text import ROOT, tree_files

FOLDER = "tests/conformance"
PAGE = "docs/conformance.md"

GTEST = re.compile(r"^\s*TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)
LIAR = re.compile(r'\{\s*"(\w+)",\s*"RFC ')
INTEROP = re.compile(r"^\| `([\w.-]+)` \|", re.MULTILINE)

HEAD = """# What is expected of an IKE daemon, and where it is tried

Made by `tools/conformance.py --write` from `tests/conformance`; not written by hand. Each line is one behaviour, or one input that has
harmed another implementation, in our own words, with the tests that show what happens here. `liar:` is a row of `tests/liar`
(`liar_test --gtest_filter='*name'`), `interop:` a case of [interop.md](interop.md); the others are GoogleTest's. Where there is no
test the line says why.

"""


@dataclasses.dataclass
class Behaviour:
    number: str
    text: str
    tests: list
    reason: str


class Fault(Exception):
    pass


def parse(path):
    """[(title, [Behaviour])] of one file."""
    sections, seen = [], set()
    for index, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("=="):
            sections.append((line.lstrip("= "), []))
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 3 or not all(parts) or not sections:
            raise Fault(f"{path.name}:{index}: not `number | behaviour | tests` below a section")
        number, text, tests = parts
        if number in seen:
            raise Fault(f"{path.name}:{index}: {number} is there twice")
        seen.add(number)
        reason = tests[1:].strip() if tests.startswith("- ") else ""
        sections[-1][1].append(Behaviour(number, text, [] if reason else tests.split(), reason))
    return sections


def known_tests(root):
    """Every name that a line may give."""
    found = set()
    for path in tree_files(root):
        name = path.relative_to(root).as_posix()
        if name.startswith("tests/liar/faults_") and path.suffix == ".cpp":
            found |= {f"liar:{one}" for one in LIAR.findall(path.read_text(encoding="utf-8"))}
        elif name.endswith("_test.cpp"):
            found |= {f"{suite}.{test}" for suite, test in GTEST.findall(path.read_text(encoding="utf-8"))}
    page = root / "docs/interop.md"
    if page.exists():
        found |= {f"interop:{one}" for one in INTEROP.findall(page.read_text(encoding="utf-8"))}
    return found


def missing_tests(files, known):
    return [f"{one.number}: there is no test {test}"
            for _, sections in files for _, behaviours in sections for one in behaviours for test in one.tests
            if test not in known]


def render(files):
    behaviours = [one for _, sections in files for _, some in sections for one in some]
    shown = sum(1 for one in behaviours if one.tests)
    text = HEAD + f"{len(behaviours)} lines: {shown} with tests, {len(behaviours) - shown} with a reason why not.\n"
    for _, sections in files:
        for title, some in sections:
            text += f"\n## {title}\n\n| | behaviour | shown by |\n|---|---|---|\n"
            for one in some:
                shown_by = " ".join(f"`{test}`" for test in one.tests) or f"no test: {one.reason}"
                text += f"| {one.number} | {one.text} | {shown_by} |\n"
    return text


def load(root):
    paths = sorted((root / FOLDER).glob("*.txt"))
    if not paths:
        raise Fault(f"{FOLDER} has no *.txt")
    return [(path, parse(path)) for path in paths]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--write", action="store_true")
    p.add_argument("--check", action="store_true")
    p.add_argument("--root", type=pathlib.Path, default=ROOT)
    options = p.parse_args()
    try:
        files = load(options.root)
    except Fault as fault:
        print(f"conformance: {fault}", file=sys.stderr)
        return 1
    complaints = missing_tests(files, known_tests(options.root))
    page = options.root / PAGE
    text = render(files)
    if options.write and not complaints:
        page.write_text(text, encoding="utf-8")
    elif options.check and (not page.exists() or page.read_text(encoding="utf-8") != text):
        complaints.append(f"{PAGE} is out of date: tools/conformance.py --write")
    elif not options.check and not options.write:
        print(text, end="")
    for complaint in complaints:
        print(f"conformance: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
