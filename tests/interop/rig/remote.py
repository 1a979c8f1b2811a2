"""Asks an agent (rig/agent.py) over a pipe or a guest's serial line."""

import json
import os
import select
import subprocess
import time

from . import shell
from .shell import Failed

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "agent.py")


class Remote:
    """The near end of a line to an agent. `read_from` and `write_to` are descriptors; `who` names it in messages."""

    def __init__(self, read_from, write_to, who):
        self.read_from, self.write_to, self.who = read_from, write_to, who
        self.rest = b""

    def line(self, seconds):
        """The next line that comes, without its end."""
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.read_from], [], [], left)[0]:
                raise Failed(f"{self.who}: no answer within {seconds} s")
            data = os.read(self.read_from, 1 << 16)
            if not data:
                raise Failed(f"{self.who}: gone")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def send(self, data):
        while data:
            data = data[os.write(self.write_to, data):]

    def ask(self, op, within=60, **arguments):
        self.send(json.dumps({"op": op, **arguments}).encode() + b"\n")
        answer = json.loads(self.line(within))
        if "error" in answer:
            raise Failed(f"{self.who}: {op}: {answer['error']}")
        return answer["ok"]

    def sh(self, script, ok=(0,), seconds=60):
        """Runs a shell script there and returns what it printed."""
        status, text = self.ask("sh", seconds + 5, script=script, seconds=seconds)
        if ok is not None and status not in ok:
            raise Failed(f"{self.who}: {script.strip()[:200]}: exit {status}: {text.strip()[-600:]}")
        return text

    def batch(self, lines):
        """Runs the lines as one `ip -batch`."""
        status, text = self.ask("batch", 125, lines=list(lines))
        if status:
            raise Failed(f"{self.who}: ip -batch: {text.strip()[-600:]}")


class InNamespace(Remote):
    """An agent of its own in one namespace of a lab; `program` is another one that speaks as rig/agent.py does."""

    def __init__(self, lab, side, program=AGENT):
        self.errors = lab.path(f"agent-{side}")
        with open(self.errors, "ab") as log:
            self.process = subprocess.Popen(["ip", "netns", "exec", lab.prefix + side, "/usr/bin/python3", "-B", program],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0,
                                            preexec_fn=shell.die_with_parent)
        lab.processes.append(self.process)
        super().__init__(self.process.stdout.fileno(), self.process.stdin.fileno(), f"agent in {side}")
        self.ask("hello", 20)
