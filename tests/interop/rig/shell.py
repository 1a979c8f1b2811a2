"""Running commands, waiting for conditions, and the two ways a case can end early."""

import ctypes
import os
import shutil
import signal
import subprocess
import time

os.environ["PATH"] += ":/usr/sbin:/sbin"


class Failed(Exception):
    """What the case checks does not hold."""


class Skipped(Exception):
    """The machine lacks something that the case needs; the text says what."""


def reason_of(failure):
    """The check that the structured reason of a tunnel's last failure names; "" when there is none."""
    return ((failure or {}).get("refusal") or {}).get("check", "")


def check(condition, message):
    if not condition:
        raise Failed(message)


def which(name):
    return shutil.which(name)


def need_tool(name, package):
    if not which(name):
        raise Skipped(f"{name} is not installed (Debian package {package}; ./dev setup)")


def _ends_of(text):
    return text if len(text) <= 1000 else f"{text[:400]} ... {text[-600:]}"


def run(*argv, ok=(0,), timeout=30, stdin=None):
    """Runs a command and returns its standard output; any other exit status than `ok` is a failure."""
    p = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    if ok is not None and p.returncode not in ok:
        raise Failed(f"{' '.join(str(a) for a in argv)}: exit {p.returncode}: {_ends_of((p.stderr or p.stdout).strip())}")
    return p.stdout


def wait_until(condition, seconds, what, interval=0.05):
    """Polls until the condition is true; returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failed(f"after {seconds} s still not: {what}")
        time.sleep(interval)


_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def die_with_parent():
    # A runner that is killed outright must not leave daemons behind.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(argv, output, stdout=None):
    """Starts a process that ends with this one; what it prints goes to the file `output`."""
    with open(output, "ab") as f:
        return subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=stdout or f, stderr=f,
                                preexec_fn=die_with_parent)


def end(process, sig=signal.SIGTERM, seconds=5):
    """Ends a process we started; SIGKILL when it does not go. Returns whether it went by itself."""
    if process.poll() is not None:
        return True
    process.send_signal(sig)
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
