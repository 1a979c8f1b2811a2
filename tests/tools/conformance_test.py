#!/usr/bin/env python3
"""Proves that the check of docs/conformance.md can fail: a test that is gone, a page that is old, a line that is none."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools/conformance.py"

LINES = """# words
== One
I.1 | the peer is told | Suite.Name liar:lie interop:case
I.2 | nobody is told | - there is nobody
"""


class Conformance(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        self.put("src/ike/one_test.cpp", "TEST_F(Suite, Name) {\n}\n")
        self.put("tests/liar/faults_one.cpp", 'return {{"lie", "RFC 7296 2.1", x}};\n')
        self.put("docs/interop.md", "| `case` | what | who |\n")
        self.put("tests/conformance/ikev2.txt", LINES)
        self.assertEqual(self.run_tool("--write").returncode, 0)

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        subprocess.run(["git", "-C", str(self.root), "add", "-A"], check=True)

    def run_tool(self, *arguments):
        return subprocess.run([sys.executable, "-B", str(TOOL), "--root", str(self.root), *arguments], capture_output=True, text=True)

    def complaint(self):
        done = self.run_tool("--check")
        self.assertEqual(done.returncode, 1)
        return done.stderr

    def test_what_is_right_passes(self):
        self.assertEqual(self.run_tool("--check").returncode, 0)
        page = (self.root / "docs/conformance.md").read_text(encoding="utf-8")
        self.assertIn("2 lines: 1 with tests, 1 with a reason", page)
        self.assertIn("| I.2 | nobody is told | no test: there is nobody |", page)

    def test_a_test_that_is_gone(self):
        self.put("src/ike/one_test.cpp", "TEST(Suite, Other) {\n}\n")
        self.assertIn("I.1: there is no test Suite.Name", self.complaint())

    def test_a_fault_that_is_gone(self):
        self.put("tests/liar/faults_one.cpp", "")
        self.assertIn("liar:lie", self.complaint())

    def test_a_case_that_is_gone(self):
        self.put("docs/interop.md", "")
        self.assertIn("interop:case", self.complaint())

    def test_an_old_page(self):
        self.put("tests/conformance/ikev2.txt", LINES.replace("nobody is told", "all are told"))
        self.assertIn("out of date", self.complaint())

    def test_lines_that_are_none(self):
        self.put("tests/conformance/ikev2.txt", LINES + "I.3 | no test\n")
        self.assertIn("ikev2.txt:5", self.complaint())
        self.put("tests/conformance/ikev2.txt", LINES + "I.1 | again | Suite.Name\n")
        self.assertIn("I.1 is there twice", self.complaint())


if __name__ == "__main__":
    unittest.main()
