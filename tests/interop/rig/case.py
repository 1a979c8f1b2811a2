"""The list of cases, and the pair of daemons that most of them begin with."""

import contextlib
from dataclasses import dataclass

from . import traffic
from .guest_lab import GuestLab
from .lab import SUBNET, Lab
from .shell import Failed, check, wait_until
from .tunnel import TunnelSpec

CASES = []


@dataclass(frozen=True)
class Case:
    name: str
    about: str
    function: object
    seconds: int
    only: tuple  # kinds of the daemon under test for which the case means something; empty: any


def case(name, about, seconds=40, only=()):
    """Registers a function `f(setup)`; its last word is traffic that both ends counted."""
    def register(function):
        CASES.append(Case(name, about, function, seconds, tuple(only)))
        return function
    return register


class Setup:
    """What a case gets: makes labs and daemons, and can show their logs afterwards."""

    def __init__(self, drivers, under_test):
        self.drivers, self.under_test = drivers, under_test
        self.stack = contextlib.ExitStack()
        self.daemons = []
        self.notes = []  # figures worth printing beside the result

    def lab(self, layout="direct"):
        return self.stack.enter_context(GuestLab(nat=layout == "guest-nat") if layout.startswith("guest") else Lab(layout))

    def daemon(self, kind, lab, side, tunnels):
        made = self.drivers[kind](lab, side, tunnels)
        self.daemons.append(made)
        return made

    def pair(self, *args, launch=True, **options):
        """A Pair, with both daemons started unless `launch` is False."""
        made = Pair(self, *args, **options)
        if launch:
            made.start()
        return made

    def peers(self):
        """{kind: version} of the daemons at the other end."""
        kinds = [d.kind for d in self.daemons]
        if self.under_test in kinds:
            kinds.remove(self.under_test)
        return {d.kind: d.version() for d in self.daemons if d.kind in kinds}

    def note(self, text):
        self.notes.append(text)

    def close(self):
        self.stack.close()


class Pair:
    """The daemon under test and a peer, with one tunnel between them. The former is at `a` unless `swap` is set.

    `sut` and `peer` change the tunnel of that side; the other options change both. `inner` is the families of the
    protected networks, `outer` that of the addresses between the two. `lab` is one that is there already.
    """

    def __init__(self, setup, layout="direct", outer=4, inner=(4,), peer_kind="strongswan", swap=False,
                 sut=None, peer=None, lab=None, **both):
        self.setup = setup
        lab = self.lab = lab or setup.lab(layout)
        near, far = (tuple(SUBNET[s][f] for f in inner) for s in ("a", "b"))
        a = TunnelSpec(lab.outer("a", outer), lab.outer_seen("b", outer), near, far)
        b = TunnelSpec(lab.outer("b", outer), lab.outer_seen("a", outer), far, near,
                       local_id=a.remote_id, remote_id=a.local_id)
        if swap:
            a, b = b, a
        sides = "ba" if swap else "ab"
        self.sut = setup.daemon(setup.under_test, lab, sides[0], [a.but(**both).but(**(sut or {}))])
        self.peer = setup.daemon(peer_kind, lab, sides[1], [b.but(**both).but(**(peer or {}))])

    @property
    def both(self):
        return (self.sut, self.peer)

    def start(self):
        self.peer.start()
        self.sut.start()

    def wait_up(self, seconds=5):
        wait_until(lambda: all(p.state().up for p in self.both), seconds, "both ends have an IKE SA and a child SA")

    def wait_down(self, seconds=5):
        wait_until(lambda: not any(p.state().ike or p.state().children for p in self.both), seconds,
                   "both ends have forgotten their SAs")

    def prove(self, family=4, count=5):
        """The tunnel carries traffic both ways, and the SAs of both ends counted it: it did not go round them."""
        for attempt in (1, 2, 3):
            before = [p.state() for p in self.both]
            for side in ("a", "b"):
                self._ping(side, family, count)
            try:
                wait_until(lambda: all(p.state().packets_since(old) >= 2 * count for old, p in zip(before, self.both)),
                           2, "the SAs have counted the pings")
                return
            except Failed as missing:
                now = [p.state() for p in self.both]
                # A rekey in between takes the old SAs' counts away with them: look once more.
                if attempt == 3 or all(self._spis(old) == self._spis(new) for old, new in zip(before, now)):
                    raise Failed(f"{missing}: before {before}, now {now}") from None

    def _ping(self, side, family, count):
        before = [p.state() for p in self.both]
        got = traffic.ping(self.lab, side, family, count)
        if got == count:
            return
        lost = f"ping from {side}: {got} of {count} came back; {self._whereabouts(before)}"
        # A guest has user-mode Linux as its kernel, which is late for a frame now and then on a machine that is busy. Once, that is told of.
        again = traffic.ping(self.lab, side, family, count) if hasattr(self.lab, "guest") and got == count - 1 else 0
        check(again == count, lost)
        self.setup.note(f"once {lost}")

    def _whereabouts(self, before):
        """What each end and the wire between them say of packets that were lost."""
        said = [f"{p.kind} at {p.side} had {old.children}, has {p.state().children}" for p, old in zip(self.both, before)]
        said += [f"{p.kind} at {p.side} dropped {p.drops()}" for p in self.both if hasattr(p, "drops")]
        if hasattr(self.lab, "frames"):
            said.append(self.lab.frames())
        return "; ".join(said)

    @staticmethod
    def _spis(state):
        return {c.spi_in for c in state.children}
