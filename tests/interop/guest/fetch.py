#!/usr/bin/env python3
"""Fetches the IKE daemons that only a guest runs, each with all it needs, into a file tree of its own.

  fetch.py [--quiet] [ROOT...]     all of rig/roots.py by default; those that are there already are left alone

Nothing is installed: apt resolves and downloads in a state of its own (sources are this machine's, with the name of the
Debian release changed), the archives are unpacked below build/interop-guest, and no maintainer script is run. The guest
enters such a tree by chroot.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True

from rig import roots  # noqa: E402

# What no daemon reads. (The trees are seen over hostfs: fewer files cost less.)
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian", "usr/share/bug",
            "usr/share/perl", "usr/share/bash-completion", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/gconv")
MOUNT_POINTS = ("proc", "sys", "dev", "run", "tmp", "root", "var/log", "var/empty", "etc")
ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\n_iked:x:101:101::/var/empty:/bin/false\nnobody:x:65534:65534::/:/bin/false\n"
GROUPS = "root:x:0:\n_iked:x:101:\nnogroup:x:65534:\n"


def own_release():
    with open("/etc/os-release", encoding="utf-8") as f:
        return dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', f.read(), re.M)).get("VERSION_CODENAME", "")


def sources(release):
    """Lines of a sources.list: this machine's sources of its own Debian release, for another one."""
    own, lines = own_release(), []

    def add(options, uri, suite, parts):
        if suite == own or suite.startswith(own + "-"):
            lines.append(" ".join(w for w in ("deb", options, uri, release + suite[len(own):], parts) if w))

    for path in sorted(["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]):
        if not os.path.isfile(path):
            continue
        with open(path, encoding="utf-8") as f:
            text = "".join(line for line in f if not line.startswith("#"))
        if path.endswith(".sources"):
            for stanza in re.split(r"\n\s*\n", text):
                field = {k.lower(): v for k, v in re.findall(r"^([\w-]+):[ \t]*(.*)$", stanza, re.M)}
                if "deb" not in field.get("types", "").split() or field.get("enabled", "yes") == "no":
                    continue
                key = f"[signed-by={field['signed-by']}]" if field.get("signed-by") else ""
                for uri in field.get("uris", "").split():
                    for suite in field.get("suites", "").split():
                        add(key, uri, suite, field.get("components", ""))
        elif path.endswith(".list"):
            for options, uri, suite, parts in re.findall(r"^deb[ \t]+(\[[^\]]*\])?[ \t]*(\S+)[ \t]+(\S+)[ \t]+(.*)$", text, re.M):
                add(options, uri, suite, parts)
    return lines


class Apt:
    """apt with an index, a cache and a (bare) list of installed packages of its own."""

    def __init__(self, folder, release):
        self.folder = folder
        for name in ("lists/partial", "archives/partial", "preferences.d", "empty"):
            os.makedirs(f"{folder}/{name}", exist_ok=True)
        with open(f"{folder}/sources.list", "w", encoding="utf-8") as f:
            f.write("\n".join(sources(release)) + "\n")
        with open(f"{folder}/status", "w", encoding="utf-8"):
            pass
        self.options = [f"-oDir::Etc::sourcelist={folder}/sources.list", f"-oDir::Etc::sourceparts={folder}/empty",
                        f"-oDir::State={folder}", f"-oDir::State::status={folder}/status", f"-oDir::Cache={folder}",
                        f"-oDir::Etc::preferencesparts={folder}/empty", "-oAPT::Sandbox::User=root", "-oAcquire::Retries=2", "-oAcquire::http::Timeout=20",
                        "-oAPT::Install-Recommends=false", "-oDebug::NoLocking=true"]

    def run(self, *words):
        done = subprocess.run(["apt-get", "-qq", *self.options, *words], capture_output=True, text=True, check=False)
        # A source that cannot be reached is a warning to apt, and an empty index.
        if done.returncode or "\nE:" in "\n" + done.stderr or "Failed to fetch" in done.stderr:
            raise RuntimeError(f"apt-get {words[0]}: {(done.stderr or done.stdout).strip()[-600:]}")

    def archives(self, packages):
        """Downloads the packages and what they depend on; the files."""
        self.run("update")
        self.run("-y", "--download-only", "install", *packages)
        return sorted(glob.glob(f"{self.folder}/archives/*.deb"))


def unpack(archives, root):
    for name in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(f"{root}/usr/{name}")
        os.symlink(f"usr/{name}", f"{root}/{name}")
    os.makedirs(f"{root}/var")
    os.symlink("/run", f"{root}/var/run")
    excluded = [f"--exclude=./{name}/*" for name in LEFT_OUT]
    for archive in archives:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as source:
            subprocess.run(["tar", "-x", "--keep-directory-symlink", *excluded, "-C", root], stdin=source.stdout, check=True)
        if source.returncode:
            raise RuntimeError(f"{archive} cannot be unpacked")
    for name in MOUNT_POINTS:
        os.makedirs(f"{root}/{name}", exist_ok=True)
    for name, target in (("sh", "dash"), ("awk", "mawk")):
        if not os.path.lexists(f"{root}/usr/bin/{name}"):
            os.symlink(target, f"{root}/usr/bin/{name}")
    for name, text in (("passwd", ACCOUNTS), ("group", GROUPS), ("hosts", "127.0.0.1 localhost\n"), ("resolv.conf", ""),
                       ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")):
        with open(f"{root}/etc/{name}", "w", encoding="ascii") as f:
            f.write(text)


def versions(archives):
    """{package: version} by the archives' names."""
    return {name: version.replace("%3a", ":") for name, version in
            (os.path.basename(a).split("_")[:2] for a in archives)}


def fetch(one):
    part = f"{one.folder}.{os.getpid()}"
    apt = f"{one.folder}-apt"
    try:
        archives = Apt(apt, one.release).archives(one.packages)
        unpack(archives, part)
        one.write_mark(part, versions(archives))
        shutil.rmtree(one.folder, ignore_errors=True)
        os.rename(part, one.folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(apt, ignore_errors=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quiet", action="store_true", help="say nothing of what is there already")
    p.add_argument("roots", nargs="*", metavar="ROOT")
    options = p.parse_args()
    unknown = set(options.roots) - {r.name for r in roots.ROOTS}
    if unknown:
        p.error(f"no such tree: {' '.join(sorted(unknown))} (there are: {' '.join(r.name for r in roots.ROOTS)})")
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        print("   the peers for guests come as Debian packages: no apt-get here")
        return 1
    failed = 0
    for one in roots.ROOTS:
        if options.roots and one.name not in options.roots:
            continue
        if not one.why_not():
            if not options.quiet:
                print(f"   {one.name}: {one.says()}, already there")
            continue
        print(f"   {one.name}: fetching {' '.join(one.daemons)} and what they need", flush=True)
        try:
            fetch(one)
            print(f"   {one.name}: {one.says()}")
        except (RuntimeError, OSError, subprocess.CalledProcessError) as problem:
            failed += 1
            print(f"   {one.name}: {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
