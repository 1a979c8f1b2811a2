#!/usr/bin/env python3
"""Finds what must not be in the tree: paths of one machine, hosts of package registries, unfinished marks, conflicts."""

import argparse
import pathlib
import re
import sys

from source_text import ROOT, tree_files

RULES = [
    (re.compile(r"(?<![\w.$}])/work/"), "a path of one machine"),
    (re.compile(r"(?<![\w.])/home/[a-z]\w*/"), "a path of one machine"),
    (re.compile(r"(?<![\w.])/tmp/helpers\b"), "a path of one machine"),
    (re.compile(r"\.\./shared/(?!vectors\b)"), "only ../shared/vectors may be named, as a default"),
    (re.compile(r"\b(?:deb\.debian\.org|security\.debian\.org|archive\.ubuntu\.com|pypi\.org|files\.pythonhosted\.org"
                r"|registry\.npmjs\.org|crates\.io|proxy\.golang\.org)\b"), "a package registry's host"),
    (re.compile(r"\bTODO\(now\)|\bFIXME\b|\bXXX\b"), "an unfinished mark"),
    (re.compile(r"^(?:<{7} |>{7} |={7}$)", re.MULTILINE), "a merge conflict"),
]

# Data made by others, and this table itself.
EXEMPT = re.compile(r"tests/fuzz/corpus/|tests/vectors/data/|tools/check_words\.py$|tests/tools/checks_test\.py$|LICENSE$")


def problems_in(text: str):
    for pattern, reason in RULES:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, f"{reason}: {match.group()}"


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    root = parser.parse_args(arguments).root.resolve()
    count = 0
    for path in tree_files(root):
        name = path.relative_to(root).as_posix()
        if EXEMPT.search(name):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for line, problem in problems_in(text):
            print(f"{name}:{line}: {problem}")
            count += 1
    print(f"words: {count} problems")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
