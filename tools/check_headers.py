#!/usr/bin/env python3
"""Compiles each header alone, twice in one unit, without precompiled headers: it must bring what it uses.

A verdict is kept under the hash of the header, of all our headers that it includes and of the compiler, so that a second
run costs next to nothing. The store is ${XDG_CACHE_HOME:-~/.cache}/culvert/headers.

    tools/check_headers.py [--jobs N] [--compiler g++] [--no-cache] [header...]
"""

import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from source_text import ROOT, tree_files

# <utility> stands first because Boost 1.74's asio/awaitable.hpp uses std::exchange without including it.
PREAMBLE = "#include <utility>\n"
FLAGS = ["-std=c++23", "-fsyntax-only", "-DHAVE_IPSEC_MB=0", "-DBOOST_ASIO_NO_DEPRECATED", "-DSPDLOG_COMPILED_LIB",
         "-DSPDLOG_FMT_EXTERNAL", "-DTOML_HEADER_ONLY=0", "-DTOML_SHARED_LIB=1"]
QUOTED = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE)


def closure(header: pathlib.Path, include_dirs, seen):
    """All our own headers that `header` includes, itself first, in a fixed order."""
    if header not in seen:
        seen[header] = header.read_bytes()
        for name in QUOTED.findall(seen[header].decode(errors="replace")):
            for folder in [header.parent, *include_dirs]:
                if (folder / name).is_file():
                    closure((folder / name).resolve(), include_dirs, seen)
                    break
    return seen


def key_of(header, include_dirs, salt):
    digest = hashlib.sha256(salt)
    for path, content in closure(header, include_dirs, {}).items():
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()


def compile_alone(header, include_dirs, compiler):
    unit = f'{PREAMBLE}#include "{header}"\n#include "{header}"\n'
    done = subprocess.run([compiler, *FLAGS, *(f"-I{d}" for d in include_dirs), "-x", "c++", "-"],
                          input=unit, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("headers", nargs="*", type=pathlib.Path)
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    store = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "culvert" / "headers"
    headers = [h.resolve() for h in options.headers] or [
        p for p in tree_files(root) if p.suffix == ".hpp" and p.relative_to(root).parts[0] in ("src", "tests")]
    version = subprocess.run([options.compiler, "--version"], capture_output=True, check=True).stdout
    salt = version + " ".join(FLAGS).encode() + PREAMBLE.encode()

    with tempfile.TemporaryDirectory() as generated:
        for template in (root / "src").rglob("*.hpp.in"):
            target = pathlib.Path(generated) / str(template.relative_to(root / "src"))[:-3]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(template.read_text())
        include_dirs = [root / "src", root, pathlib.Path(generated)]
        keys = {} if options.no_cache else {h: key_of(h, include_dirs, salt) for h in headers}
        pending = [h for h in headers if h not in keys or not (store / keys[h]).exists()]
        failed = 0
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for header, error in zip(pending, pool.map(lambda h: compile_alone(h, include_dirs, options.compiler), pending)):
                if error is None:
                    if header in keys:
                        store.mkdir(parents=True, exist_ok=True)
                        (store / keys[header]).touch()
                else:
                    failed += 1
                    print(f"{header.relative_to(root) if header.is_relative_to(root) else header} does not compile alone:")
                    print("\n".join(error.splitlines()[:8]))
    print(f"headers: {len(headers)}, compiled now {len(pending)}, {failed} do not compile alone")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
