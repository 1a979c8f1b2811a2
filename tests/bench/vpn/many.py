"""What daemons with many rules and SAs are configured with, and which figures come of them."""

from dataclasses import dataclass

from rig.lab import OUTER

from .statistics import median, spread

FROM, FIRST = "10.1.0.1", 0x0a800000  # 10.128.0.0/9
NETWORK = "10.128.0.0/9"
FIRST_OUTER, OUTER_NETWORK = 0xc6120000, "198.18.0.0/15"
SECRET = "a secret for what grows"
BOUND = 1.5
# A file of the configuration has its limit.
PER_FILE = 1000


def _dotted(value):
    return ".".join(str(octet) for octet in value.to_bytes(4, "big"))


def address(number):
    """Where the packets of this number go: an address of its own behind b."""
    return _dotted(FIRST + number)


def outer(kind, number):
    """Where the peer of this number is: all at b's address, or each at one of its own, as peers are that are apart."""
    return _dotted(FIRST_OUTER + number) if kind == "peers" else OUTER["b"][4]


@dataclass(frozen=True)
class Kind:
    name: str
    what: str  # there are N of


KINDS = (Kind("flows", "destinations, one rule and SA"), Kind("rules", "rules, one SA"), Kind("tunnels", "tunnels, a rule and an SA each"),
         Kind("peers", "tunnels, a peer's address each"))
WITH_SAS = ("tunnels", "peers")
BASE = ("flows", 1)


def _tunnel(side, name, behind_b, at_b, many_peers, start):
    here, there = (FROM, behind_b) if side == "a" else (behind_b, FROM)
    ends = (OUTER["a"][4], at_b) if side == "a" else (at_b, OUTER["a"][4])
    ids = (f"{name}.example", "hub.example")
    own, peers = ids if side == "a" else ids[::-1]
    return f"""
[tunnel.{name}]
peer = "{ends[1]}"
local_address = "{ends[0]}"
local_id = "{own}"
remote_id = "{peers}"
secret = "{SECRET}"
share_ike_sa = {str(not many_peers).lower()}
mobike = {str(not many_peers).lower()}
ike = ["aes256gcm16-prfsha256-x25519"]
esp = ["aes128gcm16"]
local = ["{here}"]
remote = ["{there}"]
start = "{start if side == 'a' else 'manual'}"
ike_lifetime = "1d"
child_lifetime = "1d"
liveness = 0
"""


def _rule(side, number):
    here, there = (FROM, address(number)) if side == "a" else (address(number), FROM)
    return f"""
[[policy]]
action = "protect"
sa = "net"
local = ["{here}"]
remote = ["{there}"]
"""


def sections(kind, side, numbers):
    """The sections of the configuration for these of the destinations."""
    if kind in WITH_SAS:
        # Each a peer of its own, as at a gateway: an IKE SA has a limit of Child SAs.
        return "".join(_tunnel(side, f"s{n}", address(n), outer(kind, n), True, "on-demand") for n in numbers)
    text = _tunnel(side, "net", NETWORK, OUTER["b"][4], False, "auto") if 0 in numbers else ""
    return text + ("".join(_rule(side, n) for n in numbers) if kind == "rules" else "")


def files(kind, side, count, head):
    """[(name, text)] of a whole configuration."""
    return [(f"{first:06}.toml", (head if first == 0 else "") + sections(kind, side, range(first, min(first + PER_FILE, count))))
            for first in range(0, count, PER_FILE)]


def title(kind, count):
    return f"{count:,} {next(one.what for one in KINDS if one.name == kind)}"


def ratio(rounds, subject, other, measure):
    """(median, spread) of the ratios by rounds; None where nothing was measured."""
    ratios = [found[subject][measure] / found[other][measure] for found in rounds
              if found.get(subject, {}).get(measure) and found.get(other, {}).get(measure)]
    return median(ratios), spread(ratios)


def evaluate(rounds):
    """A row for each subject: medians, and CPU per packet of that of one SA, and of one SA for as many destinations."""
    rows = []
    for kind, count in sorted({subject for found in rounds for subject in found}, key=lambda s: (s[1] != 1, [k.name for k in KINDS].index(s[0]), s[1])):
        subject = (kind, count)
        measured = [found[subject] for found in rounds if subject in found]
        row = {"name": f"{kind}-{count}", "title": title(kind, count), "kind": kind, "count": count, "unit": "us"}
        for measure in ("cpu", "flood_cpu", "flood", "lost"):
            row[measure] = median([one.get(measure) for one in measured])
        row["value"], row["spread"] = row["cpu"], spread([one.get("cpu") for one in measured])
        if subject != BASE:
            row["of_one"], row["of_one_spread"] = ratio(rounds, subject, BASE, "cpu")
            row["flood_of_one"], _ = ratio(rounds, subject, BASE, "flood_cpu")
        if kind != "flows":
            row["of_flows"], row["of_flows_spread"] = ratio(rounds, subject, ("flows", count), "cpu")
        row["rounds"] = [one.get("cpu") for one in measured]
        rows.append(row)
    return rows


def _said(value, form):
    return "-" if value is None else format(value, form)


def table(rows):
    lines = [f"{'what':44} {'us':>6} {'noise':>6} {'of one':>7} {'of one SA':>9} {'flood us':>8} {'of one':>7} {'k/s':>5} {'lost':>7}"]
    for row in rows:
        lines.append(f"{row['title']:44} {_said(row['cpu'], '.2f'):>6} {_said(row['spread'], '.0%'):>6} {_said(row.get('of_one'), '.2f'):>7} "
                     f"{_said(row.get('of_flows'), '.2f'):>9} {_said(row['flood_cpu'], '.2f'):>8} {_said(row.get('flood_of_one'), '.2f'):>7} "
                     f"{_said(row['flood'] and row['flood'] / 1000, '.0f'):>5} {_said(row['lost'], '.2%'):>7}")
    return lines
