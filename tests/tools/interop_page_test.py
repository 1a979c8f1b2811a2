#!/usr/bin/env python3
"""Proves that docs/interop.md is made of what runs have shown, keeps what was not run, and that its check can fail."""

import pathlib
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))

from rig import matrix, outcomes  # noqa: E402
from rig.rounds import Subject  # noqa: E402


def case(name):
    return types.SimpleNamespace(name=name, about=f"what {name} shows")


SUBJECTS = (Subject("psk", "shared secret", None), Subject("eap", "by password", None))
PEERS = {"one-12": "One of Debian 12", "two-12": "Two of Debian 12"}
DRIVERS = {"one-12": types.SimpleNamespace(lacks={}), "two-12": types.SimpleNamespace(lacks={("eap", "responder"): "is no client"})}
CASES = [case("setup"), case("certificate-initiator"), case("guest-one-12-auth"), case("kernel-esp")]


class Page(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.was = matrix.PAGE, outcomes.FOLDER
        matrix.PAGE, outcomes.FOLDER = f"{folder.name}/page.md", f"{folder.name}/outcomes"
        self.addCleanup(self.restore)
        outcomes.keep_case("setup", "ok", "", {"strongswan": "5.9.8"})
        outcomes.keep_case("certificate-initiator", "FAIL", "no | way", {"culvert": ""})
        outcomes.keep_rounds("guest-one-12-auth", "one-12", "1.5", [self.round("psk", "initiator", "pass"), self.round("psk", "responder", "broke")])
        matrix.write(CASES, SUBJECTS, PEERS, DRIVERS)

    def restore(self):
        matrix.PAGE, outcomes.FOLDER = self.was

    @staticmethod
    def round(subject, role, verdict):
        return {"subject": subject, "role": role, "verdict": verdict, "absent": False}

    def complaints(self, cases=None, subjects=SUBJECTS):
        return matrix.check_page(CASES if cases is None else cases, subjects, PEERS, DRIVERS)

    def test_says_what_the_runs_have_shown(self):
        page = matrix.old_page()
        self.assertIn("| what | our role | One 1.5 | Two of Debian 12 |", page)
        self.assertIn("| shared secret | initiator | pass | not run yet |", page)
        self.assertIn("| shared secret | responder | broke | not run yet |", page)
        self.assertIn("| by password | responder | not run yet | none |", page)
        self.assertIn("- Two: is no client (by password).", page)
        self.assertRegex(page, r"\| `setup` \| what setup shows \| strongSwan 5.9.8 \| both, or neither \| pass \| 20\d\d-\d\d-\d\d \|")
        self.assertRegex(page, r"\| `certificate-initiator` \| .* \| Culvert \| initiator \| no / way \|")
        self.assertNotIn("kernel-esp", page)
        self.assertEqual(self.complaints(), [])

    def test_keeps_what_was_not_run_again(self):
        page = matrix.old_page()
        outcomes.FOLDER += "-of-another-machine"
        matrix.write(CASES, SUBJECTS, PEERS, DRIVERS)
        self.assertEqual(matrix.old_page(), page)
        outcomes.keep_case("setup", "skip", "not root", {})
        matrix.write(CASES, SUBJECTS, PEERS, DRIVERS)
        self.assertEqual(matrix.old_page(), page)

    def test_misses_a_case_a_subject_and_what_is_gone(self):
        self.assertRegex(" ".join(self.complaints(CASES + [case("new")])), "no case `new`")
        self.assertRegex(" ".join(self.complaints(CASES[1:])), "`setup` is not in this tree")
        self.assertRegex(" ".join(self.complaints(subjects=SUBJECTS + (Subject("raw", "raw keys", None),))), "no line raw keys as initiator")

    def test_sees_a_pass_that_the_last_run_did_not_show(self):
        outcomes.keep_case("setup", "FAIL", "it broke", {"strongswan": "5.9.8"})
        outcomes.keep_rounds("guest-one-12-auth", "one-12", "1.5", [self.round("psk", "initiator", "no answer")])
        told = self.complaints()
        self.assertEqual(len(told), 2, told)
        self.assertRegex(" ".join(told), "shared secret as initiator: the page says pass, the last run: no answer")
        self.assertRegex(" ".join(told), "`setup`: the page says pass, the last run: it broke")


if __name__ == "__main__":
    unittest.main()
