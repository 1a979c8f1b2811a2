#!/usr/bin/env python3
"""Holds the layer table of docs/architecture.md.

Fails on an include outside a layer's row, on a circle, on a third-party or operating-system header where it does not
belong, on a clock, socket or thread named inside a pure layer, and on a CMake target that links more than its row.

    tools/check_layers.py [--root DIR]
"""

import argparse
import pathlib
import re
import sys

from source_text import ROOT, code_only, tree_files

# A layer may include itself, its row, and what the rows of its row may include. `ike` is the face that
# both versions share (src/ike/*), `ike/*` stands for it and all its folders.
LAYERS = {
    "base": [],
    "net": ["base"],
    "crypto": ["base"],
    "model": ["net", "crypto", "base"],
    "ipsec": ["model", "crypto", "net", "base"],
    "ike": ["model", "crypto", "net", "base"],
    "ike/codec": ["model", "crypto", "net", "base"],
    "ike/auth": ["ike/codec", "model", "crypto", "net", "base"],
    "ike/eap": ["ike/codec", "model", "crypto", "net", "base"],
    "ike/v2": ["ike", "ike/eap", "ike/auth", "ike/codec", "model", "crypto", "net", "base"],
    "ike/v1": ["ike", "ike/eap", "ike/auth", "ike/codec", "model", "crypto", "net", "base"],
    "radius": ["ike/eap", "model", "crypto", "net", "base"],
    "config": ["model", "base"],
    "control": ["ike/*", "ipsec", "config", "model"],
    "io": ["net", "base"],
    "datapath": ["ipsec", "io", "model"],
    "load": ["ike/*", "io", "model", "crypto", "net", "base"],
    "api": ["model", "base"],
    "cli": ["api", "config", "load"],
    "daemon": ["control", "datapath", "io", "api", "radius", "config", "ike/*", "ipsec", "model", "crypto", "net", "base"],
}

# Bytes, commands and time in; bytes, events and requests out. Nothing else.
PURE = ["ipsec", "ike", "ike/codec", "ike/auth", "ike/eap", "ike/v2", "ike/v1", "radius", "control"]

# What a header is, who may include it. "test" stands for *_test.cpp in any layer, and for what stands beside them in testing/. First match decides.
THIRD_PARTY = [
    (r"openssl/.*|intel-ipsec-mb\.h", ["crypto"]),
    (r"zlib\.h", ["ipsec"]),  # one file: ipcomp.cpp
    (r"netlink/.*", ["io"]),
    (r"nftables/.*", ["io"]),
    (r"sqlite3\.h", ["daemon"]),  # one file: lease_store.cpp
    (r"boost/.*", ["api", "io", "daemon", "cli"]),
    (r"nlohmann/.*", ["api", "daemon", "cli", "test"]),
    (r"toml\+\+/.*|toml\.hpp", ["config"]),
    (r"CLI/.*", ["daemon", "cli"]),
    (r"spdlog/.*", ["datapath", "io", "api", "daemon", "cli"]),
    (r"fmt/.*", list(LAYERS)),
    (r"(gtest|gmock|benchmark)/.*", ["test"]),
    (r"arpa/inet\.h", ["net", "base", "config", "io", "datapath", "api", "daemon", "cli"]),  # net: addresses as text
    (r"(immintrin|x86intrin|cpuid|wmmintrin|emmintrin)\.h", list(LAYERS)),
]

# Operating-system headers: only where the system is met. base asks for random bytes and page protection.
SYSTEM_LAYERS = ["base", "config", "io", "datapath", "api", "daemon", "cli"]

_C_HEADERS = "assert|ctype|errno|float|limits|math|setjmp|stdarg|stddef|stdint|stdio|stdlib|string|wchar"

PURE_HEADERS = re.compile(
    r"thread|mutex|shared_mutex|condition_variable|future|stop_token|semaphore|latch|barrier|iostream|ctime|csignal")
PURE_TEST_HEADERS = re.compile(r"thread|mutex|shared_mutex|condition_variable|future|stop_token|semaphore|latch|barrier")
PURE_NAMES = re.compile(
    r"\b(?:system_clock|steady_clock|high_resolution_clock|utc_clock|file_clock|tai_clock|gps_clock"
    r"|clock_gettime|gettimeofday|timespec_get|jthread|this_thread|sleep_for|sleep_until|usleep|nanosleep"
    r"|std::thread|std::(?:recursive_|timed_|shared_)?mutex|std::async|pthread_\w+|condition_variable\w*"
    r"|epoll_\w+|getaddrinfo|gethostbyname|recvm?msg|sendm?msg|recvfrom|sendto|random_device|getrandom)\b"
    r"|(?<![\w.>])(?:::)?socket\s*\("
    r"|(?<![\w.>])(?:std::|::)?time\s*\(\s*(?:nullptr|NULL|0|&)")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)


def expand(row):
    """A row with `ike/*` replaced by the face and each folder of ike."""
    out = []
    for name in row:
        out += [n for n in LAYERS if n.split("/")[0] == "ike"] if name == "ike/*" else [name]
    return out


def reach(layer, seen=None):
    """The layer and everything it may include, rows of rows included."""
    seen = set() if seen is None else seen
    if layer not in seen:
        seen.add(layer)
        for below in expand(LAYERS[layer]):
            reach(below, seen)
    return seen


def layer_of(relative: pathlib.PurePath):
    """The layer of a path under src/, or None."""
    parts = relative.parts
    if len(parts) > 2 and parts[0] == "ike":
        return f"ike/{parts[1]}" if f"ike/{parts[1]}" in LAYERS else None
    return parts[0] if len(parts) > 1 and parts[0] in LAYERS else None


def find_circle(graph):
    """One circle of a graph {node: [nodes]} as a list of nodes, or None."""
    state, path = {}, []

    def visit(node):
        state[node] = "open"
        path.append(node)
        for following in graph.get(node, ()):
            if state.get(following) == "open":
                return path[path.index(following):] + [following]
            if following not in state:
                circle = visit(following)
                if circle:
                    return circle
        state[node] = "done"
        path.pop()
        return None

    for node in sorted(graph):
        if node not in state:
            circle = visit(node)
            if circle:
                return circle
    return None


def check_angle(name, layer, is_test):
    """Why `#include <name>` is wrong in this layer, or None."""
    if re.fullmatch(r"[a-z_0-9]+", name):
        pure = PURE_TEST_HEADERS if is_test else PURE_HEADERS
        if layer in PURE and pure.fullmatch(name):
            return f"<{name}> has no place in a pure layer"
        return None
    for pattern, allowed in THIRD_PARTY:
        if re.fullmatch(pattern, name):
            return None if layer in allowed or (is_test and "test" in allowed) else f"<{name}> may be included only by {', '.join(allowed)}"
    if re.fullmatch(rf"(?:{_C_HEADERS})\.h", name):
        return None
    if re.fullmatch(r"(?:sys|net|netinet|arpa|linux|asm|bits)/.*\.h|[a-z0-9_]+\.h", name):
        return None if layer in SYSTEM_LAYERS else f"operating-system header <{name}> may be included only by {', '.join(SYSTEM_LAYERS)}"
    return f"<{name}> is in no table: add it to THIRD_PARTY with the layers that may use it"


def check_sources(root):
    problems, graph = [], {}
    src = root / "src"
    generated = {str(p.relative_to(src))[:-3] for p in src.rglob("*.hpp.in")}
    for path in tree_files(root):
        if src not in path.parents or path.suffix not in (".hpp", ".cpp"):
            continue
        relative = path.relative_to(src)
        layer, is_test = layer_of(relative), path.name.endswith("_test.cpp") or "testing" in path.parts
        if layer is None:
            problems.append(f"src/{relative}: belongs to no layer of the table")
            continue
        allowed = reach(layer)
        text = code_only(path.read_text(encoding="utf-8", errors="replace"))
        graph[str(relative)] = edges = []
        for match in INCLUDE.finditer(text):
            where = f"src/{relative}:{text.count(chr(10), 0, match.start()) + 1}"
            quoted, angle = match.groups()
            if angle:
                reason = check_angle(angle, layer, is_test)
                if reason:
                    problems.append(f"{where}: {reason}")
                continue
            target = layer_of(pathlib.PurePosixPath(quoted))
            if ".." in quoted or not ((src / quoted).is_file() or quoted in generated):
                problems.append(f'{where}: "{quoted}" is no path under src/')
            elif target not in allowed:
                problems.append(f'{where}: {layer} may not include "{quoted}" (its row: {", ".join(LAYERS[layer]) or "nothing"})')
            else:
                edges.append(quoted)
        if layer in PURE:
            for match in PURE_NAMES.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"src/{relative}:{line}: {layer} is pure, it may not name '{match.group().strip()}'")
    circle = find_circle(graph)
    if circle:
        problems.append("include circle: " + " -> ".join(circle))
    return problems, len(graph)


def check_table():
    circle = find_circle({layer: expand(row) for layer, row in LAYERS.items()})
    if circle:
        return ["the layer table has a circle: " + " -> ".join(circle)]
    meeting = [x for x in LAYERS if "ipsec" in reach(x) and "ike/v2" in reach(x) and x not in ("control", "daemon")]
    return [f"ike and ipsec meet in {x}, which is neither control nor daemon" for x in meeting]


def check_cmake(root):
    """Each culvert_layer() in src/CMakeLists.txt links only its row."""
    problems = []
    path = root / "src" / "CMakeLists.txt"
    if not path.exists():
        return problems
    text = re.sub(r"#[^\n]*", "", path.read_text())
    for name, rest in re.findall(r"culvert_layer\(\s*(\w+)([^)]*)\)", text):
        layer = name.replace("_", "/", 1) if name.startswith("ike_") else name
        deps = re.search(r"\bDEPS\s+((?:[a-z]\w*\s*)+)", rest)
        for dep in deps.group(1).split() if deps else []:
            target = dep.replace("_", "/", 1) if dep.startswith("ike_") else dep
            if layer not in LAYERS or target not in reach(layer):
                problems.append(f"src/CMakeLists.txt: culvert_layer({name}) links {dep}, which is not in its row")
    return problems


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    root = parser.parse_args(arguments).root.resolve()
    problems, files = check_sources(root)
    problems += check_table() + check_cmake(root)
    for problem in problems:
        print(problem)
    print(f"layers: {files} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
