"""IKE daemons that run in the guest of a GuestLab: the file tree they live in, and the SAs that their kernel counts."""

import re
import tempfile

from .roots import Root
from .shell import Skipped, wait_until
from .tunnel import ChildSa, Peer

MARK = "----- states"
HOME = "/run/peer"  # in the guest, and under the same name in the tree


class GuestPeer(Peer):
    """`root` is the tree (rig/roots.py) that the daemon comes from, or None for this machine's own programs."""

    root = None
    package = "?"
    # What a round asks for and the daemon has not: {subject: reason} or {(subject, our role): reason}.
    lacks = {}
    notes = ()  # what the page says of it beside that
    takes_chain = True  # certificates of authorities that the other end sends along
    suites = {}  # that it has, where those of every other tunnel will not do
    rekeys_lose = 0  # packets, at the change from one Child SA to the next
    rekeys_by_lifetime = 0  # seconds, where it has no command for it
    resumes = False  # RFC 5723
    says_fragments = ()  # of IKE, in its log: those that it has taken, those that it has sent
    key_exchanges = "one"  # of an SA: "one" | "several" (RFC 9370) | "ML-KEM", as one of several

    def __init__(self, lab, side, tunnels):
        super().__init__(lab, side, tunnels)
        if reason := self.why_not():
            raise Skipped(reason)
        self.dir = lab.path(f"{self.kind}-{side}")
        self.guest = lab.guest
        self.pid = None
        self.inside = f"/run/roots/{self.root.name}" if self.root else ""
        self._enter()

    @classmethod
    def why_not(cls):
        return cls.root.why_not() if isinstance(cls.root, Root) else None

    @classmethod
    def version(cls):
        return cls.root.version(cls.package)

    def _enter(self):
        """The tree with what is written into it on top, in memory; once per boot."""
        if not self.root:
            self.guest.sh(f"mkdir -p {HOME}")
            return
        top = f"/run/roots/{self.root.name}"
        self.guest.sh(f"""set -e; test ! -e {top} || exit 0
            mkdir -p {top} {top}.up {top}.work {top}.run/peer
            mount -t overlay -o lowerdir={self.root.folder},upperdir={top}.up,workdir={top}.work overlay {top}
            for d in /proc /sys /dev {tempfile.gettempdir()}; do mkdir -p {top}$d; mount --rbind $d {top}$d; done
            mount --bind {top}.run {top}/run
            ln -sfn {top}.run/peer {HOME}; mkdir -p {top}/run/lock {top}/var/log""")

    @staticmethod
    def tell_of_fragments(peer):
        """Before its start: its log is to have what `says_fragments` looks for."""

    # ---------------------------------------------------------------- running
    def inside_sh(self, script, ok=(0,), seconds=30):
        """A shell script within the tree."""
        if not self.root:
            return self.guest.sh(script, ok, seconds)
        quoted = script.replace("'", "'\\''")
        return self.guest.sh(f"chroot {self.inside} /bin/sh -c '{quoted}'", ok, seconds)

    def launch(self, command):
        """Starts a daemon that goes on; its process number is kept, its output goes to HOME/out."""
        self.pid = int(self.inside_sh(f"{command} </dev/null >{HOME}/out 2>&1 & echo $!").split()[-1])

    def alive(self):
        # The guest's first process does not reap: what has ended is there still, as a zombie.
        return self.pid is not None and bool(re.search(r"State:\s+[^ZX]", self.guest.sh(f"grep -s ^State: /proc/{self.pid}/status", ok=None)))

    def kill(self, sig):
        self.guest.sh(f"kill -{int(sig)} {self.pid}", ok=None)
        wait_until(lambda: not self.alive(), 10, f"{self.kind} has ended")
        self.pid = None

    def stop(self):
        if self.pid is not None:
            self.kill(15)

    def clear(self):
        """After a round: nothing of it is left in the guest."""
        if self.pid is not None:
            self.kill(9)
        self.guest.sh(f"rm -rf {HOME}/*", ok=None)

    # ------------------------------------------------------------------ state
    def look(self, command):
        """What a command says, and the pairs of ESP SAs that the kernel has (the oldest first): one call, for a call costs."""
        said, _, states = self.inside_sh(f"{command}; echo; echo {MARK}; ip -s xfrm state", ok=None).partition(f"\n{MARK}\n")
        return said, self._children(states)

    def _children(self, states):
        local, found = self.tunnels[0].local.lower(), {True: [], False: []}
        for block in re.split(r"(?m)^(?=src )", states):
            ends = re.match(r"src (\S+) dst (\S+)\s+proto esp spi (0x[0-9a-f]+)", block)
            packets = re.search(r"lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)\s+add (\S+ \S+)", block)
            # An SPI that is only reserved has no key yet.
            if ends and packets and re.search(r"^\s+(aead|enc) ", block, re.M):
                found[ends[2].lower() == local].append((packets[2], int(ends[3], 16), int(packets[1])))
        pairs = zip(sorted(found[True]), sorted(found[False]))
        return tuple(ChildSa(f"{i[1]:08x}", f"{o[1]:08x}", i[2], o[2]) for i, o in pairs)

    def log(self):
        return self.guest.sh(f"cat {HOME}/log {HOME}/out", ok=None)
