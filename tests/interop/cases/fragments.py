"""IKE messages larger than the path takes go in fragments of their own (RFC 7383), where those of IP are dropped."""

import collections
import re

from cases import certificates
from rig import wire
from rig.authority import Authority, Pki
from rig.case import case
from rig.lab import OUTER
from rig.rounds import Subject
from rig.shell import Failed, check, need_tool, run, wait_until

# Before the kernel puts fragments together.
FIREWALL = """table inet narrow {{
  counter dropped {{ }}
  chain in {{
    type filter hook prerouting priority -450; policy accept;
    ip frag-off & 0x3fff != 0 counter name dropped drop
    exthdr frag exists counter name dropped drop
    {more}
  }}
}}"""


def make(setup, most=None, outer=4, **options):
    """A pair with chains of three RSA certificates each, not started, over a path that drops fragments of IP; and what is longer than `most`."""
    need_tool("nft", "nftables")
    pair = setup.pair(launch=False, outer=outer, **options)
    pki = Pki(pair.lab, "rsa")
    for daemon, name in zip(pair.both, ("alice.example", "bob.example")):
        branch = Authority(pki.folder, "branch-" + name, "rsa", pki.middle)
        end = pki.end(name, f"DNS:{name}", issuer=branch)
        check(len(end.chain) == 3, f"a chain of {len(end.chain)}")
        daemon.tunnels = [t.but(credentials=end) for t in daemon.tunnels]
    rule = f"udp dport {{ 500, 4500 }} meta length > {most} counter name dropped drop" if most else ""
    for side in ("a", "b"):
        run("ip", "netns", "exec", pair.lab.prefix + side, "nft", "-f", "-", stdin=FIREWALL.format(more=rule))
    return pair


def chains(pair, kind, peer_takes_them):
    """Each end believes the root and is certified by another authority below it, which it has to send along."""
    pki = Pki(pair.lab, kind)
    for daemon, name in zip(pair.both, ("alice.example", "bob.example")):
        branch = Authority(pki.folder, "branch-" + name.split(".")[0], pki.kind, pki.root)
        daemon.tunnels = [t.but(credentials=pki.end(name, f"DNS:{name}", issuer=branch)) for t in daemon.tunnels]
    if not peer_takes_them:
        certificates.give(pair.peer, authorities=(pki.root.certificate, pair.sut.tunnels[0].credentials.chain[1]))


def dropped(pair):
    return sum(int(re.search(r"packets (\d+)", pair.lab.exec(side, "nft", "list", "counter", "inet", "narrow", "dropped"))[1])
               for side in ("a", "b"))


def initiate(pair, role):
    (pair.sut if role == "initiator" else pair.peer).up()
    pair.wait_up(12)
    pair.prove()


# ------------------------------------------------------------------------------------------------ with who is in a guest
IKE_AUTH, SKF = 35, 53


def seen(capture):
    """(fragments of IKE_AUTH by who sent them, fragments of IP), by octets on the wire: IPv4, and IKE on 500 or behind the marker on 4500."""
    capture.stop()
    of_ike, of_ip = collections.Counter(), 0
    for frame in wire.frames(capture.file):
        packet = frame[14:]
        if frame[12:14] != b"\x08\x00":
            continue
        of_ip += bool(int.from_bytes(packet[6:8], "big") & 0x3fff)
        if wire.classify(frame)[0] == wire.IKE:
            message = packet[(packet[0] & 15) * 4 + 8:]
            message = message[4:] if message[:4] == bytes(4) else message
            if (message[16], message[18]) == (SKF, IKE_AUTH):
                of_ike[".".join(str(octet) for octet in packet[12:16])] += 1
    return of_ike, of_ip


def by_large_certificates(this):
    """Chains of RSA certificates either way: both halves of IKE_AUTH are larger than a packet."""
    pair = this.pair(fragmentation="yes")
    chains(pair, "rsa", this.driver.takes_chain)
    this.driver.tell_of_fragments(pair.peer)
    capture = wire.Capture(pair.lab, "a")
    pair.start()
    this.initiate(pair)
    of_ike, of_ip = seen(capture)
    check(of_ip == 0, f"{of_ip} fragments of IP")
    check(all(of_ike[OUTER[side][4]] >= 2 for side in "ab"), f"fragments of IKE_AUTH on the wire: {dict(of_ike)}")
    word = "request" if this.role == "initiator" else "response"
    check(re.search(rf"the IKE_AUTH {word} goes in \d fragments", pair.sut.log()), "our log has no fragments of ours")
    for what, said in zip(("taken", "sent"), this.driver.says_fragments):
        check(re.search(said, pair.peer.log()), f"the peer's log has no fragments that it has {what}: '{said}'")


SUBJECTS = (Subject("fragments", "IKE_AUTH with chains of RSA certificates, in fragments of its own both ways (RFC 7383)", by_large_certificates),)

for _role in ("initiator", "responder"):
    for _outer in (4, 6):
        @case(f"fragments-v{_outer}-{_role}", f"certificates that fill packets, over IPv{_outer} without fragments of IP; we are the {_role}")
        def _(setup, role=_role, outer=_outer):
            pair = make(setup, outer=outer)
            pair.start()
            initiate(pair, role)
            check(dropped(pair) == 0, "IKE went in fragments of IP")
            if pair.sut.kind == "culvert":
                check(re.search(r"IKE_AUTH \w+ goes in \d fragments", pair.sut.log()), "ours went in one piece")

    @case(f"fragments-forced-{_role}", f"both ends insist on fragmentation; we are the {_role}")
    def _(setup, role=_role):
        pair = make(setup, fragmentation="force")
        pair.start()
        initiate(pair, role)

    @case(f"fragments-refused-{_role}", f"the peer does not know it and we insist on it; we are the {_role}", only=("culvert",))
    def _(setup, role=_role):
        pair = setup.pair(sut={"fragmentation": "force"}, peer={"fragmentation": "no"})
        try:
            (pair.sut if role == "initiator" else pair.peer).up()
            raise AssertionError("the tunnel came up")
        except Failed:
            pass
        check("does not know IKE fragmentation" in pair.sut.log(), "our log does not say why")
        pair.sut.tunnels = [t.but(fragmentation="yes") for t in pair.sut.tunnels]
        pair.sut.reload()
        initiate(pair, role)

    @case(f"fragments-narrow-{_role}", f"a path of 700 octets: the size falls until something is heard; we are the {_role}", seconds=60,
          only=("culvert",))
    def _(setup, role=_role):
        pair = make(setup, most=700)
        pair.peer.settings = "fragment_size = 600"  # charon's own does not fall
        pair.start()
        initiate(pair, role)
        # As responder we take the size of what came.
        size = "576" if role == "initiator" else r"(5\d\d|600)"
        check(re.search(f"fragments of {size} octets", pair.sut.log()), "our messages had another size")


@case("fragments-both-narrow", "two of us on a path of 700 octets: requests and responses find their size", seconds=60, only=("culvert",))
def _(setup):
    pair = make(setup, most=700, peer_kind="culvert")
    pair.start()
    initiate(pair, "initiator")
    before = pair.sut.state().ike
    pair.sut.rekey_ike()
    wait_until(lambda: pair.sut.state().ike != before, 10, "the IKE SA was rekeyed")
    pair.prove()


@case("fragments-needed", "the same path without them: nothing comes up, and then it does", seconds=60, only=("culvert",))
def _(setup):
    pair = make(setup, sut={"fragmentation": "no"})
    pair.start()
    try:
        pair.peer.up()
        raise AssertionError("the tunnel came up")
    except Failed:
        pass
    check(dropped(pair) > 0, "nothing was dropped")
    pair.peer.down_quietly()
    pair.sut.tunnels = [t.but(fragmentation="yes") for t in pair.sut.tunnels]
    pair.sut.reload()
    initiate(pair, "responder")
