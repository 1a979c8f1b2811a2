"""Pings from one inner address to the other."""

import re
import subprocess
import time

from .lab import INNER
from .shell import check, wait_until


def other(side):
    return "b" if side == "a" else "a"


def ping(lab, side, family=4, count=5, interval=0.05, size=56, wait=1):
    """Pings the other end's inner address from ours; returns how many replies came."""
    text = lab.exec(side, "ping", "-q", "-c", count, "-i", interval, "-W", wait, "-s", size,
                    "-I", INNER[side][family], INNER[other(side)][family], ok=None, timeout=count * (interval + wait) + 10)
    found = re.search(r"(\d+) received", text)
    return int(found[1]) if found else 0


def wait_for_traffic(lab, side, family=4, seconds=5):
    """Returns the seconds until the first ping came back."""
    begin = time.monotonic()
    wait_until(lambda: ping(lab, side, family, 1, wait=0.2), seconds, "a ping through the tunnel", 0.02)
    return time.monotonic() - begin


class Stream:
    """A ping every 10 ms, from when it is made until finish()."""

    INTERVAL = 0.01

    def __init__(self, lab, side, family=4):
        self.process = lab.spawn(side, "ping", "-q", "-i", self.INTERVAL, "-W", "2", "-I", INNER[side][family],
                                 INNER[other(side)][family], output=lab.path(f"stream-{side}"), stdout=subprocess.PIPE)

    def finish(self):
        """Ends the stream; returns (sent, lost)."""
        self.process.send_signal(2)
        text = self.process.communicate(timeout=10)[0].decode()
        found = re.search(r"(\d+) packets transmitted, (\d+) received", text)
        check(found, f"ping said nothing: {text}")
        sent, received = int(found[1]), int(found[2])
        # ping stops without waiting for the reply to its very last packet.
        return sent, max(0, sent - received - 1)
