#!/usr/bin/env python3
"""No source file over 800 lines. Lists those over 500: is there a second thing inside?"""

import argparse
import pathlib
import sys

from source_text import ROOT, tree_files

LIMIT, LOOK_TWICE = 800, 500
SUFFIXES = {".cpp", ".hpp", ".py", ".sh", ".cmake"}


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    root = parser.parse_args(arguments).root.resolve()
    sizes = []
    for path in tree_files(root):
        if path.suffix in SUFFIXES or path.name in ("CMakeLists.txt", "dev"):
            with path.open("rb") as file:
                sizes.append((sum(1 for _ in file), str(path.relative_to(root))))
    for lines, name in sorted(sizes, reverse=True):
        if lines > LOOK_TWICE:
            print(f"{lines:5} {name}{'  over the limit of ' + str(LIMIT) if lines > LIMIT else ''}")
    over = sum(lines > LIMIT for lines, _ in sizes)
    print(f"sizes: {len(sizes)} files, {over} over {LIMIT} lines")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
