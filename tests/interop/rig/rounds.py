"""Many short tests in one guest: a subject in one role is a round, with daemons of its own and a verdict for the matrix."""

import os
import re
from dataclasses import dataclass

from . import outcomes, shell
from .shell import Failed, Skipped, check, wait_until

ROLES = ("initiator", "responder")  # ours


@dataclass(frozen=True)
class Subject:
    """What a round shows. `text` is its line in docs/interop.md."""

    key: str
    text: str
    function: object  # f(Round)
    roles: tuple = ROLES
    needs: object = None  # f(driver): whether it has what this takes; `absent` says what that is
    absent: str = ""


class Round:
    def __init__(self, setup, lab, kind, role):
        self.setup, self.lab, self.kind, self.role = setup, lab, kind, role

    @property
    def driver(self):
        return self.setup.drivers[self.kind]

    @property
    def options(self):
        """For Setup.pair: the guest that is up already, and the suites that this peer has."""
        return {"lab": self.lab, "peer_kind": self.kind, **getattr(self.driver, "suites", {})}

    def pair(self, **options):
        return self.setup.pair(launch=False, **{**self.options, **options})

    @staticmethod
    def one_each(pair):
        """The old SAs have been deleted at both ends."""
        seen = []

        def only_one():
            seen[:] = [p.state() for p in pair.both]
            return all(len(s.children) == 1 and len(s.ike) == 1 for s in seen)
        try:
            wait_until(only_one, 10, "one IKE SA and one pair of ESP SAs at each end", 0.2)
        except Failed as missing:
            raise Failed(f"{missing}: ours {seen[0]}, theirs {seen[1]}") from None

    def initiate(self, pair, family=4):
        (pair.sut if self.role == "initiator" else pair.peer).up()
        pair.wait_up(8)
        pair.prove(family)


def lacking(driver, subject, role):
    absent = subject.needs and not subject.needs(driver)
    return driver.lacks.get((subject.key, role)) or driver.lacks.get(subject.key) or absent and subject.absent or None


def play(setup, case_name, kind, subjects, layout="guest"):
    """All rounds of a case, in one lab of the layout. A round that fails does not keep the next from its turn."""
    driver = setup.drivers[kind]
    if reason := driver.why_not():
        raise Skipped(reason)
    wanted = os.environ.get("CULVERT_ROUNDS", "")
    lab, verdicts, shown = setup.lab(layout), [], []
    try:
        for subject in subjects:
            for role in subject.roles:
                if not re.search(wanted, f"{subject.key}-{role}"):
                    continue
                reason = lacking(driver, subject, role)
                verdict = reason or _one(setup, subject, Round(setup, lab, kind, role), shown)
                verdicts.append({"subject": subject.key, "role": role, "verdict": verdict, "absent": bool(reason)})
    finally:
        setup.daemons[:] = [d for d in setup.daemons if d in shown]
        if not wanted:
            outcomes.keep_rounds(case_name, kind, driver.version(), verdicts)
    bad = [f"{v['subject']} as {v['role']}: {v['verdict']}" for v in verdicts if not v["absent"] and v["verdict"] != "pass"]
    tried = sum(not v["absent"] for v in verdicts)
    setup.note(f"{tried - len(bad)} of {tried} rounds with {driver.version()}, {len(verdicts) - tried} that it has not")
    check(not bad, f"{len(bad)} of {tried} rounds failed:\n  " + "\n  ".join(bad))


def _one(setup, subject, this_round, shown):
    this_round.lab.new_round()
    before = len(setup.daemons)
    try:
        subject.function(this_round)
        return "pass"
    except Failed as reason:
        # The logs of the first that failed are printed with the case.
        for daemon in setup.daemons[before:]:
            daemon.label = f"-{subject.key}-{this_round.role}"
            if len(shown) < 2:
                shown.append(daemon)
                # What is in the guest goes with the round.
                text = daemon.log()
                daemon.log = lambda text=text: text
        return str(reason) or "failed"
    finally:
        for daemon in setup.daemons[before:]:
            if hasattr(daemon, "clear"):
                daemon.clear()
            elif daemon.process:
                shell.end(daemon.process)
