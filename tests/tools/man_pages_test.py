#!/usr/bin/env python3
"""The manual's pages as `man` gets them, and that what tools/man_pages.py does not know is refused."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import man_pages  # noqa: E402

TITLE = "# name(1): what it is for\n\n"


def body(text):
    """What becomes of it behind the page's head."""
    made = man_pages.page(TITLE + text)
    return made[made.index(".SH DESCRIPTION\n") + len(".SH DESCRIPTION\n"):]


class Pages(unittest.TestCase):
    def test_head(self):
        self.assertEqual(man_pages.page("# a.b(5): the `x`\n\n    a [-b]\n\nText.\n"),
                         '.TH A.B 5 "" Culvert\n.nh\n.ad l\n.SH NAME\na.b \\- the \\fBx\\fR\n.SH SYNOPSIS\n.PP\n.RS 4\n.nf\na [\\-b]\n.fi\n.RE\n'
                         ".SH DESCRIPTION\n.PP\nText.\n")

    def test_paragraphs_and_what_stands_in_them(self):
        self.assertEqual(body("A **b** and\n`c-d`, see [e](f.md) and [g](https://h).\n"), ".PP\nA \\fBb\\fR and \\fBc\\-d\\fR, see e and g (https://h).\n")

    def test_items(self):
        self.assertEqual(body("- `a`, `b NAME`: does it\n  all.\n- No code: here.\n"), ".TP\n\\fBa\\fR, \\fBb NAME\\fR\ndoes it all.\n.IP \\(bu 2\nNo code: here.\n")

    def test_code_keeps_its_lines(self):
        self.assertEqual(body("Text:\n\n    a\n\n      b\n\nMore.\n"), ".PP\nText:\n.PP\n.RS 4\n.nf\na\n\n  b\n.fi\n.RE\n.PP\nMore.\n")

    def test_tables_are_lists(self):
        self.assertEqual(body("## H\n\n| a | b |\n|---|---|\n| 0 | no `c` |\n"), '.SH "H"\n.TP\n0\nno \\fBc\\fR\n')

    def test_text_is_no_command(self):
        self.assertEqual(body(".y `.x` is\na `\\` here.\n\n    .TH 'x\n    'y\n"), ".PP\n\\&.y \\fB.x\\fR is a \\fB\\e\\fR here.\n.PP\n.RS 4\n.nf\n\\&.TH 'x\n\\&'y\n.fi\n.RE\n")

    def test_the_unknown_is_refused(self):
        for text in ("a `b\n", "1. a\n", "> a\n", "```\na\n```\n", "#### a\n", "| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n", "- a\n\n  b\n"):
            with self.subTest(text), self.assertRaises(man_pages.Unknown):
                man_pages.page(TITLE + text)
        with self.assertRaises(man_pages.Unknown):
            man_pages.page("# name: no section\n")


class OfTheTree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.assertEqual(man_pages.main([self.folder.name]), 0)

    def test_every_setting_is_an_entry(self):
        source = (ROOT / "docs/man/culvert.toml.5.md").read_text(encoding="utf-8")
        settings = re.findall(r"^- `([a-z0-9_]+)`", source, re.MULTILINE)
        made = pathlib.Path(self.folder.name, "culvert.toml.5").read_text(encoding="utf-8")
        self.assertGreater(len(settings), 100)
        for name in settings:
            self.assertIn(f".TP\n\\fB{name}\\fR", made)

    def test_man_shows_them_without_a_word(self):
        if not shutil.which("groff"):
            self.skipTest("groff is not installed")
        for path in sorted(pathlib.Path(self.folder.name).iterdir()):
            shown = subprocess.run(["groff", "-man", "-Kutf8", "-Tutf8", "-ww", path], capture_output=True, text=True, check=True, encoding="utf-8")
            self.assertEqual(shown.stderr, "", path.name)
            self.assertIn("\nSEE ALSO\n", re.sub(".\b", "", shown.stdout).upper())


if __name__ == "__main__":
    unittest.main()
