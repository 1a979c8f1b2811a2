#!/usr/bin/env python3
"""Makes manual pages for `man` of docs/man/NAME.SECTION.md.

    man_pages.py FOLDER [PAGE...]

Knows what those pages use of Markdown, and refuses what it does not know: headings, paragraphs, lists of one level, indented code, tables of two
columns, `code`, **bold** and [text](address).
"""

import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = "docs/man"
TITLE = re.compile(r"# ([a-z.]+)\((\d)\): (.+)")
INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)]+)\)")
# Of an item: the words in front of its colon, when they begin with code.
TAGGED = re.compile(r"((?:`[^`]+`)(?:[^`:.]*`[^`]+`)*[^`:.,]*): (.+)", re.DOTALL)


class Unknown(Exception):
    pass


def plain(text):
    """Text as roff has it; hyphens can be searched for."""
    return text.replace("\\", "\\e").replace("-", "\\-")


def line(text):
    """No command, whatever it begins with."""
    return "\\&" + text if text[:1] in (".", "'") else text


def inline(text):
    out, at = [], 0
    for match in INLINE.finditer(text):
        out.append(plain(text[at:match.start()]))
        code, bold, name, address = match.groups()
        if name is None:
            out.append(f"\\fB{plain(code or bold)}\\fR")
        else:
            out.append(plain(name) + (f" ({plain(address)})" if ":" in address else ""))
        at = match.end()
    rest = text[at:]
    if "`" in rest or "**" in rest:
        raise Unknown(f"a mark without its second half: {rest.strip()}")
    out.append(plain(rest))
    return line("".join(out))


def one_line(text):
    return " ".join(text.split())


def item(text):
    tagged = TAGGED.fullmatch(one_line(text))
    if tagged:
        return [".TP", inline(tagged[1]), inline(tagged[2])]
    return [".IP \\(bu 2", inline(one_line(text))]


def table(lines):
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", one.strip().strip("|"))] for one in lines]
    if len(rows) < 3 or any(len(row) != 2 for row in rows):
        raise Unknown(f"a table that has not two columns: {lines[0]}")
    return [made for left, right in rows[2:] for made in (".TP", inline(left), inline(right))]


def code(lines):
    return [".PP", ".RS 4", ".nf"] + [line(plain(one[4:])) for one in lines] + [".fi", ".RE"]


def blocks(lines):
    """(kind, lines) of each block. Items of a list are a block each."""
    found = []
    fresh = True
    for one in lines:
        if not one.strip():
            fresh = True
            continue
        last = found[-1][0] if found else None
        if one.startswith("#"):
            found.append(("heading", [one]))
        elif one.startswith("- "):
            found.append(("item", [one[2:]]))
        elif one.startswith("  ") and last == "item" and not fresh:
            found[-1][1].append(one.strip())
        elif one.startswith("    "):
            if last == "code" and fresh:
                found[-1][1].append("")
            found[-1][1].append(one) if last == "code" else found.append(("code", [one]))
        elif one.startswith("|"):
            found[-1][1].append(one) if last == "table" and not fresh else found.append(("table", [one]))
        elif one[0] in " >*+" or re.match(r"\d+\. |```", one):
            if not one.startswith("**"):
                raise Unknown(f"this page cannot have: {one}")
            found.append(("text", [one]))
        elif last == "text" and not fresh:
            found[-1][1].append(one)
        else:
            found.append(("text", [one]))
        fresh = False
    return found


def page(text):
    title, *lines = text.splitlines()
    named = TITLE.fullmatch(title)
    if not named:
        raise Unknown(f'the first line is not "# name(section): purpose": {title}')
    name, section, purpose = named.groups()
    # Names of settings and commands are not divided at the end of a line.
    out = [f'.TH {name.upper()} {section} "" Culvert', ".nh", ".ad l", ".SH NAME", f"{name} \\- {inline(purpose)}"]
    first = True
    for kind, block in blocks(lines):
        if first:
            out.append(".SH SYNOPSIS" if kind == "code" else ".SH DESCRIPTION")
        if kind == "heading":
            marks, heading = block[0].split(" ", 1)
            if marks not in ("##", "###"):
                raise Unknown(f"a heading of this depth: {block[0]}")
            # In capitals, as is the custom; but for names of sections of a file.
            shown = heading if "[" in heading or marks == "###" else heading.upper()
            out.append(f'.{"SH" if marks == "##" else "SS"} "{plain(shown)}"')
        elif kind == "item":
            out += item("\n".join(block))
        elif kind == "table":
            out += table(block)
        elif kind == "code":
            out += code(block)
        else:
            out += [".PP", inline(one_line("\n".join(block)))]
        if first and kind == "code":
            out.append(".SH DESCRIPTION")
        first = False
    return "\n".join(out) + "\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("page", nargs="*", type=pathlib.Path, help=f"of {FOLDER}; without any, all")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for source in options.page or sorted((ROOT / FOLDER).glob("*.md")):
        try:
            made = page(source.read_text(encoding="utf-8"))
        except Unknown as reason:
            print(f"{source}: {reason}", file=sys.stderr)
            return 1
        (options.folder / source.stem).write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
