"""A Linux kernel of its own as the other implementation: user-mode Linux (Debian package user-mode-linux) in a namespace.

The guest sees the host's file tree read-only, so that it needs no image: the same `ip` and Python run in it. Its network
is a TAP device in the namespace; requests reach it over a serial line, which no policy under test can cut off.
"""

import glob
import os
import signal
import socket
import subprocess
import time

from . import shell
from .remote import Remote
from .shell import Failed, Skipped, check, run

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KERNEL = "/usr/bin/linux.uml"
CACHE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "interop-guest")
BOOT_SECONDS = 30


def why_not():
    """Why no guest can run here, or None."""
    if not os.path.exists(KERNEL) or not glob.glob("/usr/lib/uml/modules/*/modules.dep"):
        return "no guest kernel to test against: install the Debian package user-mode-linux"
    if not shell.which("busybox"):
        return "busybox is not installed (Debian package busybox-static): the guest loads its kernel modules with it"
    if os.uname().machine != "x86_64":
        return "the guest kernel (user-mode Linux) exists for x86-64 only"
    return None


def xstate_library():
    """guest/xstate.cpp, compiled once for each of its versions."""
    source = f"{HERE}/guest/xstate.cpp"
    made = f"{CACHE}/xstate-{int(os.path.getmtime(source))}.so"
    if not os.path.exists(made):
        shell.need_tool("g++", "g++")
        os.makedirs(CACHE, exist_ok=True)
        part = f"{made}.{os.getpid()}"
        run("g++", "-O2", "-shared", "-fPIC", "-o", part, source, timeout=60)
        os.replace(part, made)
    return made


class Guest(Remote):
    """Boots in namespace `side` of a lab. `taps`: names of TAP devices there; they become vec0, vec1, ... in the guest."""

    def __init__(self, lab, side="a", taps=("wire",), name="guest", memory=192):
        if reason := why_not():
            raise Skipped(reason)
        self.console = lab.path(f"{name}-console")
        for tap in taps:
            lab.ip(side, "tuntap", "add", tap, "mode", "tap")
            lab.ip(side, "link", "set", tap, "up")
        ours, theirs = socket.socketpair()
        self.socket = ours
        devices = [f"vec{n}:transport=tap,ifname={tap},depth=128,mac=52:54:00:{os.urandom(3).hex(':')}" for n, tap in enumerate(taps)]
        folder = lab.path(f"{name}-uml")
        os.makedirs(folder)
        self.requests, self.number = lab.path(f"{name}-requests"), 0
        os.makedirs(self.requests)
        argv = ["ip", "netns", "exec", lab.prefix + side, "env", f"LD_PRELOAD={xstate_library()}", KERNEL, f"mem={memory}M",
                "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet", "panic=-1", "con=null", "con0=null,fd:1",
                f"ssl0=fd:{theirs.fileno()}", f"uml_dir={folder}", "umid=guest", *devices,
                "init=/usr/bin/python3", "--", "-B", f"{HERE}/guest/init.py", HERE, str(len(taps)), self.requests]
        with open(self.console, "ab") as log:
            # A session of its own: the kernel signals its helpers as one group.
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[theirs.fileno()],
                                            start_new_session=True, preexec_fn=shell.die_with_parent)
        theirs.close()
        lab.at_end.append(self.halt)
        super().__init__(ours.fileno(), ours.fileno(), name)
        begin = time.monotonic()
        self._wait_ready()
        self.boot_seconds = time.monotonic() - begin
        self.release = self.ask("hello")["uname"]

    def halt(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.socket.close()

    def send(self, data):
        self.number += 1
        with open(f"{self.requests}/{self.number}", "wb") as f:
            f.write(data)
        super().send(b"%d\n" % self.number)

    def _wait_ready(self):
        try:
            while self.line(BOOT_SECONDS) != b"ready":
                pass
        except Failed:
            with open(self.console, encoding="utf-8", errors="replace") as f:
                lines = [line.strip() for line in f if line.strip()]
            said = "; ".join(lines[-4:]) or "nothing"
            if self.process.poll() is not None and any("ptrace" in line for line in lines):
                raise Skipped(f"user-mode Linux cannot run here, where ptrace is restricted (its console: {said})") from None
            raise Failed(f"the guest kernel did not start within {BOOT_SECONDS} s; its console: {said}") from None
        check(self.process.poll() is None, "the guest kernel ended")
