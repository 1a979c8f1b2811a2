"""The file trees with IKE daemons that guests enter: what belongs into each, and whether it is there (guest/fetch.py makes them)."""

import json
import os
from dataclasses import dataclass

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "interop-guest")
# What the daemons' scripts call, and no package depends on because every Debian system has it.
SHELL = ("dash", "coreutils", "sed", "grep", "mawk", "iproute2", "openssl", "busybox-static")
STRONGSWAN = ("strongswan-charon", "strongswan-swanctl", "libstrongswan-standard-plugins", "libstrongswan-extra-plugins",
              "libcharon-extra-plugins", "libcharon-extauth-plugins")


@dataclass(frozen=True)
class Root:
    name: str
    release: str  # of Debian
    daemons: tuple  # packages whose versions are told
    more: tuple

    @property
    def folder(self):
        return f"{CACHE}/{self.name}"

    @property
    def packages(self):
        return (*self.daemons, *self.more)

    def why_not(self):
        """Why nothing can be run in it, or None."""
        try:
            with open(f"{self.folder}/made-of.json", encoding="ascii") as f:
                mark = json.load(f)
        except (OSError, ValueError):
            mark = None
        if mark and mark["asked"] == [self.release, *self.packages]:
            return None
        return (f"{' and '.join(self.daemons)} of Debian {self.release} for the guest "
                f"{'are of another list than today' if mark else 'have not been fetched'}: "
                "./dev setup peers downloads them (into build/, nothing is installed)")

    def write_mark(self, folder, versions):
        with open(f"{folder}/made-of.json", "w", encoding="ascii") as f:
            json.dump({"asked": [self.release, *self.packages], "versions": versions}, f, indent=0)

    def version(self, package):
        """As people say it: without the packaging's own part."""
        with open(f"{self.folder}/made-of.json", encoding="ascii") as f:
            whole = json.load(f)["versions"][package]
        return whole.split(":")[-1].split("-")[0]

    def says(self):
        return ", ".join(f"{d} {self.version(d)}" for d in self.daemons)


# strongSwan cannot be unpacked beside libreswan by apt's leave (they conflict): it has trees of its own.
BOOKWORM = Root("debian-12", "bookworm", ("libreswan", "openiked"), ("libnss3-tools", *SHELL))
TRIXIE = Root("debian-13", "trixie", ("libreswan", "openiked"), ("libnss3-tools", *SHELL))
TRIXIE_STRONGSWAN = Root("debian-13-strongswan", "trixie", ("strongswan-charon",), (*STRONGSWAN[1:], *SHELL))
# The first with ML-KEM in its packages.
FORKY_STRONGSWAN = Root("debian-14-strongswan", "forky", ("strongswan-charon",), (*STRONGSWAN[1:], *SHELL))
# No IKE daemons, but who gets the name servers that a gateway gives. Installed, they would take this machine's own resolver over.
RESOLVED = Root("debian-12-resolved", "bookworm", ("systemd-resolved",), ("dbus", *SHELL))
RESOLVCONF = Root("debian-12-resolvconf", "bookworm", ("resolvconf",), ("bash", "util-linux", *SHELL))
ROOTS = (BOOKWORM, TRIXIE, TRIXIE_STRONGSWAN, FORKY_STRONGSWAN, RESOLVED, RESOLVCONF)
