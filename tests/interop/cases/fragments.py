"""IKE messages larger than the path takes go in fragments of their own (RFC 7383), where those of IP are dropped."""

import re

from rig.authority import Authority, Pki
from rig.case import case
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


def dropped(pair):
    return sum(int(re.search(r"packets (\d+)", pair.lab.exec(side, "nft", "list", "counter", "inet", "narrow", "dropped"))[1])
               for side in ("a", "b"))


def initiate(pair, role):
    (pair.sut if role == "initiator" else pair.peer).up()
    pair.wait_up(12)
    pair.prove()


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
