"""Pings from one inner address to the other."""

import os
import re
import sys
import time

from .lab import INNER
from .shell import check, wait_until

PINGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pinger.py")


def other(side):
    return "b" if side == "a" else "a"


def ping(lab, side, family=4, count=5, interval=0.05, size=56, wait=1):
    """Pings the other end's inner address from ours; returns how many replies came."""
    return int(lab.exec(side, sys.executable, PINGER, INNER[side][family], INNER[other(side)][family], count, interval, size, wait,
                        timeout=count * (interval + wait) + 20))


def wait_for_traffic(lab, side, family=4, seconds=5):
    """Returns the seconds until the first ping came back."""
    begin = time.monotonic()
    wait_until(lambda: ping(lab, side, family, 1, wait=0.2), seconds, "a ping through the tunnel", 0.02)
    return time.monotonic() - begin


class Stream:
    """A ping every 10 ms, from when it is made until finish()."""

    INTERVAL = 0.01
    UNDER_WAY = 100  # so many may still be on their way at the end, on a machine that is busy with other things

    def __init__(self, lab, side, family=4):
        self.file = lab.path(f"stream-{side}{family}")
        self.process = lab.spawn(side, "ping", "-n", "-i", self.INTERVAL, "-W", "2", "-I", INNER[side][family],
                                 INNER[other(side)][family], output=self.file)

    def finish(self):
        """Ends the stream; returns (sent, lost). A request is lost when a later one was answered and it was not."""
        self.process.send_signal(2)
        self.process.wait(10)
        with open(self.file, encoding="utf-8") as f:
            text = f.read()
        found = re.search(r"(\d+) packets transmitted", text)
        check(found, f"ping said nothing: {text[-300:]}")
        sent, answered = int(found[1]), {int(n) for n in re.findall(r"bytes from .*icmp_seq=(\d+) .*time=", text)}
        last = max(answered, default=0)
        lost = last - len(answered)
        return sent, lost if sent - last <= self.UNDER_WAY else sent - len(answered)
