"""docs/transforms.md: what each transform and mode has shown against each independent implementation.

Made from the registry (`culvert transforms --json`), the last runs' results (rig/results.py) and the names of the tests
with published vectors.
"""

import glob
import json
import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree

from . import results

ROOT = os.path.dirname(os.path.dirname(results.FOLDER))
PAGE = os.path.join(ROOT, "docs", "transforms.md")
MODES = ("tunnel", "transport", "beet")
# Tests with vectors that others have made (tests/vectors), by the transform's word. The first pattern that fits counts.
VECTORS = (
    (r".*iiv", "CipherVectors.ImplicitIvIsTheSameCipher", "none published; same as with explicit IV"),
    (r"aes\d+gcm(8|12)$", "CipherVectors.GcmWithShortIcvIsGcmCutShort", "those of the full ICV, cut"),
    (r"aes\d+gcm16$", "AeadVectors.WycheproofAesGcm AeadVectors.NistAcvpAesGcm AeadVectors.KernelRfc4106", "Wycheproof, NIST ACVP, Linux"),
    (r"aes192ccm", "CipherVectors.CcmByDefinition", "none published; by definition"),
    (r"aes\d+ccm", "CipherVectors.NistCcm", "NIST CAVP"),
    (r"chacha20poly1305$", "AeadVectors.WycheproofChaCha20Poly1305 EspPackets.Rfc7634AppendixA", "Wycheproof, RFC 7634"),
    (r"aes\d+ctr", "CipherVectors.KernelRfc3686 CipherVectors.IntelAesCtr", "RFC 3686 (Linux), Intel"),
    (r"aes\d+gmac", "EspPackets.LinuxRfc4543 MacVectors.GmacOfThreeKeySizes", "Linux"),
    (r"camellia\d+ctr", "CipherVectors.CamelliaCtrByDefinition", "none published; by definition"),
    (r"camellia\d+", "CipherVectors.KernelCamelliaCbc", "Linux"),
    (r"aes(128|192|256)$", "CbcVectors.WycheproofPkcs5 CbcVectors.NistAcvp", "Wycheproof, NIST ACVP"),
    (r"3des", "CipherVectors.TripleDes CipherVectors.NistAcvpTripleDes", "Intel, NIST ACVP"),
    (r"sha256", "HmacVectors.WycheproofSha256", "Wycheproof"), (r"sha512", "HmacVectors.WycheproofSha512", "Wycheproof"),
    (r"(sha384|des)$", "EspPackets.Dpdk", "DPDK"), (r"sha1", "HmacVectors.WycheproofSha1", "Wycheproof"),
    (r"md5", "MacVectors.HmacMd5", "RFC 2202 (NIST), Intel"), (r"aesxcbc", "MacVectors.Xcbc", "Linux, Intel"),
    (r"aescmac", "MacVectors.Cmac", "NIST SP 800-38B, Intel"))


def registry(binary):
    text = subprocess.run([binary, "transforms", "--json"], capture_output=True, text=True, check=True).stdout
    listed = json.loads(text)
    listed = listed if isinstance(listed, list) else listed["transforms"]
    return [t for t in listed if t["type"] in ("encryption", "integrity") and (t["esp"] or t["ah"])]


def load():
    """(rows with "peer" added, {peer: version}) of the last runs."""
    found, versions = [], {}
    for path in sorted(glob.glob(f"{results.FOLDER}/*.json")):
        with open(path, encoding="utf-8") as f:
            run = json.load(f)
        versions[run["peer"]] = run["version"]
        found += [dict(row, peer=run["peer"]) for row in run["rows"]]
    return found, versions


def cell(rows):
    """"pass" where all that was tried did, "–" where there is nothing; else the first that failed, or why the peer has none."""
    tried = [row["result"] for row in rows if not row["absent"]]
    if tried:
        return next((f"{tried.count('pass')} of {len(tried)}: {result}" for result in tried if result != "pass"), "pass")
    return rows[0]["result"] if rows else "–"


def vectors(word):
    for pattern, tests, source in VECTORS:
        if re.match(pattern, word):
            return tests.split(), source
    return [], ""


def written_tests():
    """The GoogleTest cases with published vectors that stand in the sources."""
    names = set()
    for path in glob.glob(f"{ROOT}/tests/vectors/*_test.cpp"):
        with open(path, encoding="utf-8") as f:
            names |= {f"{suite}.{name}" for suite, name in re.findall(r"^TEST\((\w+), (\w+)\)", f.read(), re.M)}
    return names


def failed_tests():
    """Those of them that failed in the last ./dev test (where the vectors are not at hand they skip)."""
    return {f"{case.get('classname')}.{case.get('name')}" for path in glob.glob(f"{ROOT}/build/release/test-results/*.xml")
            for case in ElementTree.parse(path).iter("testcase") if case.find("failure") is not None}


def transform_table(listed, found):
    """{(word, protocol): [cells]} in the registry's order."""
    table = {}
    for t in listed:
        for protocol in ("esp", "ah"):
            if not t[protocol]:
                continue
            mine = [r for r in found if r["protocol"] == protocol and r[t["type"]] == t["word"]]
            cells = []
            for peer, modes in (("linux", MODES if protocol == "esp" else MODES[:2]), ("scapy", MODES[:2])):
                for mode in modes:
                    cells.append(cell([r for r in mine if r["peer"] == peer and r["mode"] == mode and not r["ipcomp"]]))
                if len(modes) == 2 and peer == "linux":
                    cells.append("ip xfrm has none")
            tests, source = vectors(t["word"])
            table[t["word"], protocol] = cells + [source if tests else "–"]
    return table


def mode_table(found):
    keys = sorted({(r["protocol"], r["mode"], r["inner"], r["outer"], r["encapsulation"], r["esn"], r["ipcomp"]) for r in found},
                  key=lambda k: (k[0] != "esp", MODES.index(k[1]), k[6], k[4], k[2:4], k[5]))
    table = {}
    for key in keys:
        protocol, mode, inner, outer, encapsulation, esn, ipcomp = key
        name = (protocol.upper(), mode + (" + IPComp" if ipcomp else ""), f"IPv{inner}" if mode == "transport" else f"IPv{inner} in IPv{outer}",
                {"udp": "UDP", "none": "protocol 50" if protocol == "esp" else "protocol 51"}[encapsulation], "64 bits" if esn else "32 bits")
        cells = []
        for peer in ("linux", "scapy"):
            rows = [r for r in found if r["peer"] == peer and not r["absent"]
                    and (r["protocol"], r["mode"], r["inner"], r["outer"], r["encapsulation"], r["esn"], r["ipcomp"]) == key]
            suites = {(r["encryption"], r["integrity"]) for r in rows}
            cells.append(f"pass ({len(suites)})" if rows and all(r["result"] == "pass" for r in rows) else cell(rows))
        table[name] = cells
    return table


def text(binary):
    listed, (found, versions) = registry(binary), load()
    out = [f"""# Transforms and modes, and who else understands them

Made by `./dev interop --table` from the last run of the interoperability tests; not written by hand. The peers are
{versions.get('linux', 'Linux')} (the kernel's own IPsec, in a guest) and {versions.get('scapy', 'Scapy')}. Keys are manual, the daemon is the real one,
pings, UDP and TCP of several sizes cross each SA pair in both directions, and both ends must have counted them.
`pass`: every combination of families, ESN and encapsulation that the peer has did. Otherwise the reason stands there. `–`: not
tried. Vectors: who published those that `tests/vectors` runs. Names, numbers and how good each transform is: `culvert transforms`.

## ESP and AH by transform

| transform | in | Linux tunnel | Linux transport | Linux BEET | Scapy tunnel | Scapy transport | vectors |
|---|---|---|---|---|---|---|---|"""]
    for (word, protocol), cells in transform_table(listed, found).items():
        out.append(f"| `{word}` | {protocol.upper()} | " + " | ".join(cells) + " |")
    out.append("""
## By mode

How many suites passed; what a peer has not is in the table above. Scapy has no ESN with separate integrity and no IPComp; its
BEET is the test's own, laid over Scapy's transport mode. AH over an IPv4 timestamp option with more than one place for a stamp is not
tried with Scapy 2.5: it takes what stands behind the first place for other options, which it may cover, where RFC 4302 (3.3.3.1, A1)
zeroes the option whole, as Culvert does.

| protocol | mode | families | carried in | sequence numbers | Linux | Scapy |
|---|---|---|---|---|---|---|""")
    for name, cells in mode_table(found).items():
        out.append("| " + " | ".join(list(name) + cells) + " |")
    return "\n".join(out) + "\n"


def write(binary):
    made = text(binary)
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(made)


def _rows(page):
    """{first cells: [the other cells]} of all table lines."""
    rows = {}
    for line in page.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")] if line.startswith("| ") else []
        if len(cells) == 8:
            rows[tuple(cells[:2])] = cells[2:]
        elif len(cells) == 7:
            rows[tuple(cells[:5])] = cells[5:]
    return rows


def check_page(binary):
    """Complaints about the committed page; and whether results of a run were there to hold it against."""
    with open(PAGE, encoding="utf-8") as f:
        written = _rows(f.read())
    complaints = []
    for t in registry(binary):
        for protocol in ("ESP", "AH"):
            if t[protocol.lower()] and (f"`{t['word']}`", protocol) not in written:
                complaints.append(f"no row for {t['word']} in {protocol}")
    failed, every = failed_tests(), written_tests()
    for t in registry(binary):
        for test in vectors(t["word"])[0]:
            if test not in every:
                complaints.append(f"{t['word']}: there is no test {test} any more")
            elif test in failed:
                complaints.append(f"{t['word']}: {test} failed")
    found, _ = load()
    shown = _rows(text(binary))
    for key, cells in written.items():
        for claimed, now in zip(cells, shown.get(key, ["–"] * len(cells))):
            if claimed.startswith("pass") and now != "–" and not now.startswith("pass"):
                complaints.append(f"{' '.join(key)}: the page says pass, the last run: {now}")
    return complaints, bool(found)
