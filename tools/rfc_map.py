#!/usr/bin/env python3
"""Builds docs/rfc-map.md from the tags in the sources: RFC section -> code -> test.

A tag is `RFC 7296 2.4` in a comment, followed by a colon and the duty where it stands above a check. A test that carries
the same section covers it. `Deviates from RFC 4301 4.4.1.2: why` is a deliberate departure. Files are named without line
numbers, so that the map changes only when a section or a file does.

    tools/rfc_map.py            print the map
    tools/rfc_map.py --write    write docs/rfc-map.md
    tools/rfc_map.py --check    fail when docs/rfc-map.md is not what --write would write
    tools/rfc_map.py --open     sections that have code and no test
"""

import argparse
import pathlib
import re
import sys

from source_text import ROOT, tree_files

TAG = re.compile(
    r"(?P<departs>Deviates from )?\bRFC (?P<rfc>\d{3,5})(?:,? (?:[Ss]ections? )?"
    r"(?P<section>\d{1,2}(?:\.\d{1,2})+|(?:Appendix |App\. )?[A-D](?:\.\d{1,2})+|Appendix [A-Z]|\d{1,2}(?=:)))?(?P<colon>: *(?P<duty>.+))?")


def is_test(name: str) -> bool:
    return name.startswith("tests/") or name.endswith("_test.cpp")


def section_key(section: str):
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in section.split(".")]


def duty_of(lines, index, match) -> str:
    """The sentence behind the colon, followed over the next comment lines, at most 160 characters."""
    if not match.group("colon"):
        return ""
    text = match.group("duty")
    for line in lines[index + 1:index + 4]:
        comment = re.match(r"\s*(?://+!?|\*|#)\s?(.*)", line)
        if re.search(r"[.;]\s*$", text) or not comment or TAG.search(line):
            break
        text += " " + comment.group(1)
    text = re.split(r"(?<=[a-z)\]])\.(?:\s|$)", text.strip(), maxsplit=1)[0].rstrip(" .;*/").replace("|", "\\|")
    return text if len(text) <= 160 else text[:157].rstrip() + "..."


def collect(root):
    """{rfc: {section: {"duties": [..], "code": {..}, "tests": {..}, "departures": [..]}}}"""
    found = {}
    for path in tree_files(root):
        name = path.relative_to(root).as_posix()
        if path.suffix not in (".cpp", ".hpp", ".py") or not name.startswith(("src/", "tests/")):
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for index, line in enumerate(lines):
            for match in TAG.finditer(line):
                if not match.group("section"):
                    continue
                section = match.group("section").replace("Appendix ", "").replace("App. ", "")
                entry = found.setdefault(int(match.group("rfc")), {}).setdefault(
                    section, {"duties": [], "code": set(), "tests": set(), "departures": []})
                entry["tests" if is_test(name) else "code"].add(name)
                duty = duty_of(lines, index, match)
                if duty and not is_test(name):
                    kind = "departures" if match.group("departs") else "duties"
                    if duty not in entry[kind]:
                        entry[kind].append(duty)
    return found


def render(found) -> str:
    out = ["# RFC map", "",
           "Section -> code -> test, made by `tools/rfc_map.py --write` from the tags in the sources. Do not edit by hand.", ""]
    for rfc in sorted(found):
        sections = found[rfc]
        covered = sum(1 for e in sections.values() if e["code"] and e["tests"])
        coded = sum(1 for e in sections.values() if e["code"])
        out += [f"## RFC {rfc}", "", f"{coded} sections in the code, {covered} of them with a test.", "",
                "| section | duty | code | test |", "|---|---|---|---|"]
        for section in sorted(sections, key=section_key):
            entry = sections[section]
            duties = sorted(entry["duties"]) + [f"**departs:** {d}" for d in sorted(entry["departures"])]
            names = [", ".join(n.removeprefix("src/") for n in sorted(entry[kind])) for kind in ("code", "tests")]
            out.append(f"| {section} | {'; '.join(duties)} | {names[0]} | {names[1]} |")
        out.append("")
    return "\n".join(out)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true")
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--open", action="store_true")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    found = collect(root)
    text, target = render(found), root / "docs" / "rfc-map.md"
    if options.write:
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
    elif options.check:
        if not target.exists() or target.read_text() != text:
            print("docs/rfc-map.md is stale: tools/rfc_map.py --write")
            return 1
    elif options.open:
        for rfc in sorted(found):
            for section in sorted(found[rfc], key=section_key):
                if found[rfc][section]["code"] and not found[rfc][section]["tests"]:
                    print(f"RFC {rfc} {section}: {', '.join(sorted(found[rfc][section]['code']))}")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
