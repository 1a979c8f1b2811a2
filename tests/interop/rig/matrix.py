"""docs/interop.md: which implementation has done what with Culvert, in which role, and when; and every case of this tree.

Made from the outcomes of the last runs (rig/outcomes.py). What was not run on this machine keeps the line that the page has.
"""

import os
import re
import time

from . import outcomes
from .results import FOLDER
from .rounds import lacking

PAGE = os.path.join(os.path.dirname(os.path.dirname(FOLDER)), "docs", "interop.md")
# Cases without an IKE daemon at the other end: their results are docs/transforms.md.
ELSEWHERE = re.compile(r"^(kernel|scapy|rig)-")
NAMES = {"strongswan": "strongSwan", "culvert": "Culvert"}
NOT_RUN = "not run yet"


def _day(when):
    return time.strftime("%Y-%m-%d", time.gmtime(when))


def _cell(text):
    """One line that a table can hold."""
    line = " ".join(str(text).split()).replace("|", "/")
    return line if len(line) <= 100 else line[:97] + "..."


def role(name):
    """Our role by a case's name."""
    for one in ("initiator", "responder"):
        if re.search(rf"(^|-){one}(-|$)", name):
            return one
    return {"remote-gives": "responder", "remote-asks": "initiator"}.get("-".join(name.split("-")[:2]), "both, or neither")


def old_page():
    try:
        with open(PAGE, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return ""


def tables(page):
    """{first header: {cells that name the line: [the other cells]}} of all tables; the header's own line is under ()."""
    found, current = {}, None
    for line in page.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split(" | ")] if line.startswith("| ") else None
        if cells is None:
            current = current if line.startswith("|---") else None
        elif current is None:
            current = found[cells[0]] = {(): cells}
        else:
            keys = 2 if cells and list(found)[-1] == "what" else 1
            current[tuple(cells[:keys])] = cells[keys:]
    return found


def guest_columns():
    """{kind: (version, day, {(subject, role): cell})} of the outcomes."""
    columns = {}
    for kept in outcomes.load("rounds"):
        version, day, cells = columns.get(kept["kind"], ("", "", {}))
        for v in kept["verdicts"]:
            cells[v["subject"], v["role"]] = "none" if v["absent"] else _cell(v["verdict"])
        columns[kept["kind"]] = (kept["version"], max(day, _day(kept["when"])), cells)
    return columns


def guest_table(subjects, peers, drivers, before):
    """Lines of the table of guests, and those that say which versions these were."""
    old, columns, head, who = before.get("what", {}), guest_columns(), [], []
    for number, (kind, name) in enumerate(peers.items()):
        version, day, _ = columns.get(kind, ("", "", {}))
        was = old.get((), [])[2 + number:3 + number]
        head.append(f"{name.split()[0]} {version}" if version else (was or [name])[0])
        known = before.get("in guests", {}).get((f"`{kind}`",), ["?", NOT_RUN])
        who.append(f"| `{kind}` | {head[-1]}, as in {name.split(' of ')[1]} | {day or known[-1]} |")
    lines = []
    for s in subjects:
        for our_role in s.roles:
            cells = []
            for number, kind in enumerate(peers):
                was = old.get((s.text, our_role), [])[number:number + 1] or [NOT_RUN]
                now = "none" if lacking(drivers[kind], s, our_role) else columns.get(kind, ("", "", {}))[2].get((s.key, our_role), was[0])
                cells.append(now)
            lines.append(f"| {s.text} | {our_role} | " + " | ".join(cells) + " |")
    return head, who, lines


def case_table(cases, before):
    kept, old, lines = {k["case"]: k for k in outcomes.load("case")}, before.get("case", {}), []
    for c in cases:
        if ELSEWHERE.match(c.name):
            continue
        now, was = kept.get(c.name), old.get((f"`{c.name}`",))
        if now:
            peers = ", ".join(f"{NAMES.get(k, k)} {v}".strip() for k, v in sorted(now["peers"].items())) or "none"
            verdict = "pass" if now["word"] == "ok" else _cell(now["text"]) or "failed"
            peer_cell, day = peers, _day(now["when"])
        else:
            peer_cell, verdict, day = (was[1], was[3], was[4]) if was and len(was) == 5 else ("?", NOT_RUN, "–")
        if c.name.startswith("guest-"):
            peer_cell = "`" + c.name[len("guest-"):].rsplit("-", 1)[0] + "`"
        lines.append(f"| `{c.name}` | {_cell(c.about)} | {peer_cell} | {role(c.name)} | {verdict} | {day} |")
    return lines


def reasons(subjects, peers, drivers):
    """What the peers have not, in their drivers' words."""
    lines = []
    for name in dict.fromkeys(n.split()[0] for n in peers.values()):
        kinds = {k: n.split(" of ")[1] for k, n in peers.items() if n.split()[0] == name}
        said = {}
        for s in subjects:
            for our_role in s.roles:
                for kind in kinds:
                    if why := lacking(drivers[kind], s, our_role):
                        texts, which = said.setdefault(why, ({}, {}))
                        texts[s.text], which[kind] = True, kinds[kind]
        # Who of several versions it is, where not all of them are.
        told = [why + (f", in {' and '.join(which.values())}" if len(which) < len(kinds) else "") + f" ({', '.join(texts)})"
                for why, (texts, which) in said.items()]
        told += dict.fromkeys(note for kind in kinds for note in getattr(drivers[kind], "notes", ()))
        if told:
            lines.append(f"- {name}: " + "; ".join(told) + ".")
    return lines


def text(cases, subjects, peers, drivers):
    before = tables(old_page())
    head, who, guests = guest_table(subjects, peers, drivers, before)
    return "\n".join([f"""# Who else Culvert has been tried with

Made by `./dev interop --matrix` from the last runs of the interoperability tests; not written by hand. To run them:
`./dev interop` (all), `./dev interop 'guest-libreswan'` (by name), after `./dev setup peers`, which fetches the daemons that only
guests run. Every line ends with pings both ways that the SAs of both ends have counted, or with a refusal for the reason named.
`pass`: that happened. `none`: the peer has no such thing. Anything else says what went wrong. Transforms and modes of ESP and AH with
manual keys are in [transforms.md](transforms.md).

## Daemons with a kernel of their own

They run in a guest (user-mode Linux): ESP is the kernel's, in UDP as Culvert does it unless told otherwise, but for the first two lines.
The role is ours.

| in guests | which | last run |
|---|---|---|""", *who, "", "| what | our role | " + " | ".join(head) + " |", "|---" * (2 + len(head)) + "|", *guests, "",
                      "What they have not, and what was done about it:", "", *reasons(subjects, peers, drivers), """
## Every case

strongSwan runs in a namespace here, with ESP of its own in UDP. `guest-*` are the cases behind the table above.

| case | what it shows | peer | our role | verdict | last run |
|---|---|---|---|---|---|""", *case_table(cases, before)]) + "\n"


def write(cases, subjects, peers, drivers):
    made = text(cases, subjects, peers, drivers)
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(made)


def check_page(cases, subjects, peers, drivers):
    """Complaints about the committed page."""
    written, complaints = tables(old_page()), []
    mine = {(f"`{c.name}`",) for c in cases if not ELSEWHERE.match(c.name)}
    theirs = set(written.get("case", {})) - {()}
    rounds = {(s.text, r) for s in subjects for r in s.roles}
    for what, is_there, is_told in (("case", mine, theirs), ("line", rounds, set(written.get("what", {})) - {()})):
        complaints += [f"no {what} {' as '.join(key)}: ./dev interop --matrix adds it" for key in sorted(is_there - is_told)]
        complaints += [f"the {what} {' as '.join(key)} is not in this tree any more" for key in sorted(is_told - is_there)]
    shown = tables(text(cases, subjects, peers, drivers))
    for table, told in written.items():
        for key, cells in told.items():
            for claimed, now in zip(cells, shown.get(table, {}).get(key, cells) if key else cells):
                if claimed == "pass" and now not in ("pass", NOT_RUN):
                    complaints.append(f"{' as '.join(key)}: the page says pass, the last run: {now}")
    return complaints
