"""The resolver of an end: systemd-resolved with its D-Bus, or resolvconf, in a file tree of their own (rig/roots.py), and culvertd beside them."""

import os

from . import shell
from .roots import RESOLVCONF, RESOLVED
from .shell import Failed, Skipped, wait_until

# In a mount namespace of its own: the tree, over which memory lies so that nothing is written to it. What culvertd looks at in /run
# to know who is there is this tree's.
ENTER = """
set -e
mount -t tmpfs tmpfs @WORK@/memory
mkdir @WORK@/memory/upper @WORK@/memory/work
mount -t overlay overlay -o lowerdir=@TREE@,upperdir=@WORK@/memory/upper,workdir=@WORK@/memory/work @WORK@/root
mount -t tmpfs tmpfs @WORK@/root/run
mount -t proc proc @WORK@/root/proc
mount --rbind /dev @WORK@/root/dev
mount --rbind @WORK@/root/run /run
cd @WORK@/root
printf 'root:x:0:0:root:/root:/bin/sh\\nmessagebus:x:102:102::/:/bin/false\\nsystemd-resolve:x:103:103::/:/bin/false\\nsystemd-network:x:104:104::/:/bin/false\\n' > etc/passwd
printf 'root:x:0:\\nmessagebus:x:102:\\nsystemd-resolve:x:103:\\nsystemd-network:x:104:\\n' > etc/group
"""
START = {"resolved": """
printf 'nameserver @OUTSIDE@\\n' > etc/resolv.conf
printf '[Resolve]\\n@SETTINGS@\\n' > etc/systemd/resolved.conf
mkdir -p run/dbus run/systemd/resolve etc/ssl/certs
chown 103:103 run/systemd/resolve
cat @AUTHORITY@ > etc/ssl/certs/ca-certificates.crt
mkdir -p usr/lib/ssl
ln -sf /etc/ssl/certs/ca-certificates.crt usr/lib/ssl/cert.pem
chroot . dbus-daemon --system --nofork --nopidfile &
while [ ! -S run/dbus/system_bus_socket ]; do sleep 0.05; done
touch @WORK@/ready
exec chroot . /lib/systemd/systemd-resolved
""", "resolvconf": """
rm -f etc/resolv.conf
ln -s /run/resolvconf/resolv.conf etc/resolv.conf
mkdir -p run/resolvconf/interface
printf 'nameserver @OUTSIDE@\\n' | chroot . resolvconf -a eth0
chroot . resolvconf --enable-updates
touch @WORK@/ready
exec sleep 1000
"""}
PROGRAM = {"resolved": "resolvectl", "resolvconf": "resolvconf"}
ROOTS = {"resolved": RESOLVED, "resolvconf": RESOLVCONF}


class Resolver:
    """`kind` is resolved or resolvconf; `outside` the name server of the network; `authority` the certificate that servers over TLS are
    judged by; `settings` are systemd-resolved's own, of resolved.conf."""

    def __init__(self, lab, side, kind, outside, authority="/dev/null", settings=""):
        why = ROOTS[kind].why_not()
        if why:
            raise Skipped(why.replace("for the guest ", ""))
        shell.need_tool("nsenter", "util-linux")
        self.lab, self.side, self.kind = lab, side, kind
        work = lab.path("resolver")
        self.root, self.bin = work + "/root", work + "/bin"
        for name in ("memory", "root", "bin"):
            os.makedirs(f"{work}/{name}")
        text = ENTER + START[kind]
        for word, value in (("@WORK@", work), ("@TREE@", ROOTS[kind].folder), ("@OUTSIDE@", outside), ("@AUTHORITY@", authority), ("@SETTINGS@", settings)):
            text = text.replace(word, value)
        self.process = lab.spawn(side, "unshare", "--mount", "sh", "-c", text, output=work + "/log")
        wait_until(lambda: self._lives() and os.path.exists(work + "/ready"), 10, "the resolver is there")
        if kind == "resolved":
            wait_until(lambda: "Global" in self.run("resolvectl", "status", ok=None), 10, "systemd-resolved answers")
        program = f"{self.bin}/{PROGRAM[kind]}"
        with open(program, "w", encoding="ascii") as f:
            f.write(f'#!/bin/sh\nexec chroot {self.root} {PROGRAM[kind]} "$@"\n')
        os.chmod(program, 0o755)

    def _lives(self):
        if self.process.poll() is not None:
            with open(os.path.dirname(self.root) + "/log", encoding="utf-8") as f:
                raise Failed(f"the resolver ended: {f.read()[-600:]}")
        return True

    def _within(self):
        return ("nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt")

    def run(self, *argv, ok=(0,)):
        """A command within the tree."""
        return self.lab.exec(self.side, *self._within(), "chroot", self.root, *argv, ok=ok)

    def holds(self, daemon):
        """Our daemon will be started where it finds this resolver and no other."""
        def launch():
            daemon.process = self.lab.spawn(daemon.side, *self._within(), "env", f"PATH={self.bin}:/usr/sbin:/usr/bin:/sbin:/bin",
                                            f"{daemon.binaries}/culvertd", "--config", daemon.config, "--socket", daemon.socket, output=daemon.dir + "/log")
        daemon.launch = launch

    def look_up(self, name):
        """The address that a program of this end gets for the name, or None."""
        if self.kind == "resolved":
            said = self.run("resolvectl", "query", "--cache=no", "-4", "--legend=no", name, ok=None)
            found = [line.split()[1] for line in said.splitlines() if line.startswith(name + ":")]
        else:
            said = self.run("busybox", "nslookup", "-type=a", name, ok=None)
            found = [line.split()[1] for line in said.split("Name:")[-1].splitlines() if line.startswith("Address:")] if "Name:" in said else []
        return found[0] if found else None
