"""The name servers that a gateway gives its client, asked by the client's real resolver: split DNS, DNS over TLS, and how it is taken back."""

import os
import signal
import sys

from rig.authority import Authority
from rig.case import case
from rig.dns import REPLY
from rig.lab import OUTER
from rig.resolver import Resolver
from rig.shell import check, wait_until

from cases import remote_access

INSIDE, OVER_TLS, OUTSIDE = "10.1.0.53", "10.1.0.54", OUTER["a"][4]
ANSWERS = {INSIDE: "10.1.0.99", OVER_TLS: "10.1.0.98", OUTSIDE: "198.51.100.9"}
OURS, THEIRS = "files.example.org", "www.example.net"

# Answers every question of an A record with the address that it was started for, and writes down what it was asked.
SERVER = REPLY + """
import ssl
address, answer, heard, certificate, key = sys.argv[1:]
def datagrams():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, 53))
    while True:
        query, peer = s.recvfrom(4096)
        s.sendto(reply(query, answer, heard, 1), peer)
def whole(stream, size):
    data = b""
    while len(data) < size:
        more = stream.recv(size - len(data))
        if not more:
            raise OSError("the end")
        data += more
    return data
def over_tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    s = socket.create_server((address, 853))
    while True:
        try:
            with context.wrap_socket(s.accept()[0], server_side=True) as stream:
                stream.settimeout(5)
                while True:
                    said = reply(whole(stream, struct.unpack("!H", whole(stream, 2))[0]), answer, heard, 1)
                    stream.sendall(struct.pack("!H", len(said)) + said)
        except OSError as problem:
            print(problem, flush=True)
over_tls() if certificate else datagrams()
"""


class Servers:
    """Three name servers at the gateway: of its network, of its network over TLS, and of the network outside."""

    def __init__(self, lab, certificate_for):
        self.lab = lab
        self.authority = Authority(lab.path("dns-pki"), "dns")
        certificate, key = self.authority.issue("resolver", f"DNS:{certificate_for}")
        for address in (INSIDE, OVER_TLS):
            lab.ip("a", "addr", "add", f"{address}/32", "dev", "lo")
        for address, answer in ANSWERS.items():
            tls = (certificate, key) if address == OVER_TLS else ("", "")
            lab.spawn("a", sys.executable, "-c", SERVER, address, answer, self._heard(address), *tls, output=lab.path(f"server-{address}"))
        wait_until(lambda: all(f"{a}:{853 if a == OVER_TLS else 53} " in lab.exec("a", "ss", "-Hlnut") for a in ANSWERS), 5, "the name servers listen")

    def _heard(self, address):
        return self.lab.path("heard-" + address)

    def heard(self, address, name):
        if not os.path.exists(self._heard(address)):
            return False
        with open(self._heard(address), encoding="ascii") as f:
            return name in f.read().split()


def make(setup, kind, pool, settings=""):
    """Our gateway at `a`, which gives what `pool` says; our client at `b`, with a resolver of that kind; up and proved."""
    pair = remote_access.make(setup, "culvert", True)
    servers = Servers(pair.lab, "dns.example.org")
    resolver = Resolver(pair.lab, "b", kind, OUTSIDE, servers.authority.certificate, settings)
    pair.giver.tunnels = [t.but(pool=(t.pool[0], "")) for t in pair.giver.tunnels]
    pair.giver.extra = pool  # behind the last section, which is the pool's
    resolver.holds(pair.asker)
    pair.start()
    return pair, servers, resolver


def up(pair):
    pair.asker.up()
    pair.wait_up()
    remote_access.prove(pair, "b", remote_access.given_to(pair, "client", "b"))


def knows(resolver, name, address):
    wait_until(lambda: resolver.look_up(name) == address, 8, f"{name} is {address}", 0.1)


def back_again(pair, resolver):
    """`down` takes back what `up` has told, and the next one tells it again."""
    pair.asker.down()
    knows(resolver, OURS, ANSWERS[OUTSIDE])
    up(pair)


SPLIT = f'dns = "{INSIDE}"\ndomains = ["example.org"]\n'


@case("name-servers-resolved", "systemd-resolved asks the gateway's name server for its domains alone; taken back by `down`, and when culvertd is killed",
      only=("culvert",), seconds=60)
def _(setup):
    pair, servers, resolver = make(setup, "resolved", SPLIT)
    knows(resolver, OURS, ANSWERS[OUTSIDE])
    up(pair)
    knows(resolver, OURS, ANSWERS[INSIDE])
    knows(resolver, THEIRS, ANSWERS[OUTSIDE])
    check(not servers.heard(INSIDE, THEIRS), "the gateway's server was asked for what is not of its domains")
    back_again(pair, resolver)
    knows(resolver, OURS, ANSWERS[INSIDE])
    pair.asker.kill(signal.SIGKILL)
    knows(resolver, OURS, ANSWERS[OUTSIDE])
    pair.asker.start()
    up(pair)
    knows(resolver, OURS, ANSWERS[INSIDE])
    pair.asker.stop()
    knows(resolver, OURS, ANSWERS[OUTSIDE])


@case("name-servers-all", "without domains the gateway's name server is asked for all names, through systemd-resolved", only=("culvert",), seconds=60)
def _(setup):
    pair, servers, resolver = make(setup, "resolved", f'dns = "{INSIDE}"\n')
    up(pair)
    for name in (OURS, THEIRS):
        knows(resolver, name, ANSWERS[INSIDE])
        check(not servers.heard(OUTSIDE, name), f"the server outside was asked for {name}")


OVER_TLS_POOL = f'dns = "{INSIDE}"\ndns_over_tls = ["{OVER_TLS}#dns.example.org"]\ndomains = ["example.org"]\n'


@case("name-servers-tls", "systemd-resolved asks the gateway's resolver over TLS (RFC 9464), and not in clear", only=("culvert",), seconds=60)
def _(setup):
    pair, servers, resolver = make(setup, "resolved", OVER_TLS_POOL)
    up(pair)
    knows(resolver, OURS, ANSWERS[OVER_TLS])
    check(not servers.heard(INSIDE, OURS), "it was asked in clear")
    knows(resolver, THEIRS, ANSWERS[OUTSIDE])
    given = pair.asker.tunnel()["given"]["encrypted_dns"]
    check(given == [f"{OVER_TLS}#dns.example.org dot"], f"culvert status says {given}")


@case("name-servers-tls-name", "the name that the gateway gives is the one that its resolver's certificate is judged by: no answer from another",
      only=("culvert",), seconds=60)
def _(setup):
    # Of a single link systemd-resolved (252) believes any certificate, until it is told for all of them.
    pair, servers, resolver = make(setup, "resolved", OVER_TLS_POOL, "DNSOverTLS=yes")
    up(pair)
    knows(resolver, OURS, ANSWERS[OVER_TLS])
    pair.asker.down()
    pair.wait_down()
    pair.giver.extra = OVER_TLS_POOL.replace("#dns.", "#another.")
    pair.giver.reload()
    up(pair)
    wait_until(lambda: "#another.example.org" in resolver.run("resolvectl", "dns"), 5, "systemd-resolved knows the other name")
    other = "more." + OURS
    found = resolver.look_up(other)
    check(found is None, f"a server of another name than the gateway gave was believed: {found}")
    check(not any(servers.heard(a, other) for a in ANSWERS), "somebody was asked all the same")


@case("name-servers-resolvconf", "the gateway's name server by way of resolvconf, which has no split DNS; taken back by `down`, and of a killed culvertd by the next",
      only=("culvert",), seconds=60)
def _(setup):
    pair, _, resolver = make(setup, "resolvconf", SPLIT)
    knows(resolver, OURS, ANSWERS[OUTSIDE])
    up(pair)
    knows(resolver, OURS, ANSWERS[INSIDE])
    check("search example.org" in resolver.run("cat", "/etc/resolv.conf"), "the domain is not searched")
    check("resolvconf knows no servers for some domains only" in pair.asker.log(), "our log does not say what is not split")
    back_again(pair, resolver)
    pair.asker.kill(signal.SIGKILL)
    check(INSIDE in resolver.run("cat", "/etc/resolv.conf"), "nobody has taken it back yet")
    pair.asker.start()
    knows(resolver, OURS, ANSWERS[OUTSIDE])
    up(pair)
    knows(resolver, OURS, ANSWERS[INSIDE])
