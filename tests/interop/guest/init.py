"""First process of the guest: file systems, modules, the serial line that requests come over.

The guest's root is the host's own file tree, read-only, so that it has the same programs; nothing is written back.
Arguments: the folder of tests/interop; the number of interfaces vec0, vec1, ...; the host's folder with the requests.

The serial line loses its way with more than some kilobytes at once towards the guest: what comes over it is the number
of a request, which lies in a file of that name in the folder.
"""

import os
import subprocess
import sys
import termios
import tty

TMPFS = ("/run", "/var/lib", "/var/log")  # not /tmp: the checkout may be there
MODULES = (
    "af_packet", "af_key", "overlay", "tun", "ipv6", "esp4", "esp6", "ah4", "ah6", "ipcomp", "ipcomp6", "xfrm_user", "tunnel4", "tunnel6",
    "xfrm4_tunnel", "xfrm6_tunnel", "ip_gre", "ip6_gre", "ipip", "ip6_tunnel", "gcm", "ccm", "ghash-generic",
    "chacha20poly1305", "ctr", "cbc", "ecb", "seqiv", "echainiv", "authenc", "authencesn", "hmac", "cmac", "xcbc",
    "sha512_generic", "des_generic", "camellia_generic", "deflate", "crypto_null", "md5", "sha1_generic",
    "sha256_generic", "jitterentropy_rng", "drbg", "nf_tables", "nft_fib_ipv4", "nft_fib_ipv6", "nft_fib_inet",
    "chacha_generic", "poly1305_generic")
FILES = "/usr/lib/uml/modules"
REQUESTS = "/run/requests"


def mount(kind, where, options=None):
    if os.path.isdir(where):
        subprocess.run(["mount", "-t", kind, *(["-o", options] if options else []), kind, where], check=False,
                       stderr=subprocess.DEVNULL)


def load_modules():
    """With what they depend on. A name that this kernel has built in, or does not have, is passed over."""
    folder = f"{FILES}/{os.uname().release}"
    wanted = {}
    with open(f"{folder}/modules.dep", encoding="ascii") as f:
        for line in f:
            path, needs = line.split(":")
            wanted[os.path.basename(path)[:-3].replace("-", "_")] = [path] + needs.split()
    loaded = set()
    for name in MODULES:
        for path in reversed(wanted.get(name.replace("-", "_"), ())):
            if path not in loaded:
                loaded.add(path)
                done = subprocess.run(["busybox", "insmod", f"{folder}/{path}"], check=False, capture_output=True, text=True)
                if done.returncode:
                    print(f"{path}: {done.stderr.strip()}", flush=True)


def from_files(line):
    for name in line:
        with open(f"{REQUESTS}/{int(name)}", "rb") as f:
            yield f.read()


def main():
    sys.path.insert(0, sys.argv[1])
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root", LANG="C.UTF-8")
    mount("proc", "/proc")
    mount("sysfs", "/sys")
    mount("devtmpfs", "/dev")
    for where in TMPFS:
        mount("tmpfs", where)
    os.mkdir(REQUESTS)
    subprocess.run(["mount", "-t", "hostfs", "-o", f"ro,{sys.argv[3]}", "none", REQUESTS], check=True)
    load_modules()
    for name, value in (("net/ipv6/conf/all/accept_dad", 0), ("net/ipv6/conf/default/accept_dad", 0),
                        ("net/ipv4/conf/all/send_redirects", 0)):
        with open("/proc/sys/" + name, "w", encoding="ascii") as f:
            f.write(str(value))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for number in range(int(sys.argv[2])):
        subprocess.run(["ip", "link", "set", f"vec{number}", "up"], check=True)

    from rig import agent
    line = os.open("/dev/ttyS0", os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line, termios.TCSANOW)
    with os.fdopen(line, "rb", buffering=65536, closefd=False) as requests, os.fdopen(line, "wb") as answers:
        answers.write(b"ready\n")
        answers.flush()
        agent.serve(from_files(requests), answers, vars(agent))
    while True:  # the host has closed the line: wait to be ended
        os.wait()


main()
