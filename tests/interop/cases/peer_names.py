"""A peer by DNS name: the name server's answer changes while the tunnel is up, and while it is tried again, and the tunnel follows."""

import os
import signal
import sys

from rig import traffic
from rig.case import case
from rig.dns import REPLY
from rig.lab import OUTER
from rig.shell import check, wait_until

NAME, SERVER, OTHER = "gw.example.net", "127.0.0.53", "192.0.2.66"

# Answers every question of an A record with the address that stands in a file, and writes down what it was asked. Nobody may keep it.
SERVE = REPLY + """
address, answer, heard = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((address, 53))
while True:
    query, peer = s.recvfrom(4096)
    with open(answer) as f:
        said = f.read().strip()
    s.sendto(reply(query, said, heard, 0), peer)
"""


class Named:
    """A pair whose peer is known to us by name only; a name server on our loopback says where it is."""

    def __init__(self, setup, **options):
        self.pair = setup.pair(launch=False, liveness=2, sut={"remote": NAME}, peer={"roams": True, "anybody": True}, **options)
        self.lab = self.pair.lab
        self.lab.ip("b", "addr", "add", f"{OTHER}/24", "dev", "wire")
        self.lab.exec("b", "sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=1")
        self.say(OUTER["b"][4])
        self.lab.spawn("a", sys.executable, "-c", SERVE, SERVER, self.lab.path("answer"), self.lab.path("heard"), output=self.lab.path("server"))
        wait_until(lambda: f"{SERVER}:53 " in self.lab.exec("a", "ss", "-Hlnu"), 5, "the name server listens")
        with open(self.lab.path("resolv.conf"), "w", encoding="ascii") as f:
            f.write(f"nameserver {SERVER}\noptions timeout:1 attempts:2\n")
        # Only what is started in this namespace, and nothing else on this machine, has it.
        self.pair.sut.wrapper = ("sh", "-c", f"mount --bind {self.lab.path('resolv.conf')} /etc/resolv.conf && exec \"$@\"", "--")

    def say(self, address):
        part = self.lab.path("answer.part")
        with open(part, "w", encoding="ascii") as f:
            f.write(address)
        os.replace(part, self.lab.path("answer"))

    def asked(self):
        if not os.path.exists(self.lab.path("heard")):
            return 0  # nobody has asked yet
        with open(self.lab.path("heard"), encoding="ascii") as f:
            return f.read().split().count(NAME)

    def leave(self, gone):
        """The peer's host has this address no more."""
        self.lab.ip("b", "addr", "del", f"{gone}/24", "dev", "wire")
        self.lab.ip("b", "route", "replace", "default", "via", OUTER["a"][4])

    def up(self):
        self.pair.start()
        self.pair.sut.up()
        self.pair.wait_up()
        self.pair.prove()
        check(self.where() == OUTER["b"][4], f"the tunnel goes to {self.where()}")

    def where(self):
        return self.pair.sut.tunnel()["ike_sas"][0]["remote"].rsplit(":", 1)[0]


@case("peer-name-up", "the peer is a DNS name, and the name server's answer and the peer's address change while the tunnel is up, with MOBIKE "
      "and without: the tunnel follows", seconds=90, only=("culvert",))
def _(setup):
    for mobike in (True, False):
        named = Named(setup, mobike=mobike)
        named.up()
        before = named.asked()
        named.say(OTHER)
        if not mobike:
            # Nothing tells us, and what we send goes nowhere.
            named.pair.peer.kill(signal.SIGKILL)
        named.leave(OUTER["b"][4])
        if not mobike:
            named.pair.peer.start()
        taken = traffic.wait_for_traffic(named.lab, "a", seconds=40)
        named.pair.prove()
        check(named.where() == OTHER, f"the tunnel goes to {named.where()} instead of {OTHER}")
        check(mobike or named.asked() > before, "the name was not looked up again")
        setup.note(f"{'with' if mobike else 'without'} MOBIKE after {taken:.1f} s")
        for daemon in named.pair.both:
            daemon.stop()


@case("peer-name-retrying", "the peer is a DNS name that leads nowhere for a while: each attempt looks it up, and the one that finds the "
      "peer's new address succeeds", seconds=120, only=("culvert",))
def _(setup):
    named = Named(setup, start="auto")
    pair = named.pair
    # The name leads to where nobody is.
    named.say("192.0.2.99")
    pair.start()
    wait_until(lambda: named.asked() > 0, 10, "the name is looked up")
    wait_until(lambda: pair.sut.tunnel()["state"] in ("connecting", "retrying"), 10, "an attempt is under way")
    check(not pair.sut.state().up, "the tunnel is up although nobody is there")
    before = named.asked()
    named.say(OTHER)
    pair.sut.down()
    pair.sut.up()
    pair.wait_up(15)
    pair.prove()
    check(named.asked() > before, "the name was not looked up again")
    check(named.where() == OTHER, f"the tunnel goes to {named.where()} instead of {OTHER}")
    # And by itself: the peer is gone, and what looks for it finds it where it is next.
    pair.peer.kill(signal.SIGKILL)
    named.leave(OTHER)
    named.say(OUTER["b"][4])
    pair.peer.start()
    taken = traffic.wait_for_traffic(pair.lab, "a", seconds=75)
    pair.prove()
    check(named.where() == OUTER["b"][4], f"the tunnel goes to {named.where()}")
    setup.note(f"by itself after {taken:.1f} s")
