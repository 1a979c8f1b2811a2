"""Addresses from a pool: our end gives them, our end asks for them; with traffic that both ends counted."""

import os
import re
import signal
import sys

from rig import traffic
from rig.case import case
from rig.lab import INNER, SUBNET
from rig.shell import Failed, check, wait_until

POOL = ("10.9.0.0/24", "10.1.0.53")
FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >> @CALLS@
[ "$1" != -a ] || cat >> @CALLS@
"""


def gateway(side, **more):
    """The end that gives addresses: of any peer, and of one identity where the driver knows no patterns."""
    return {"pool": POOL, "anybody": True, "remote_ts": (), "local_ts": (SUBNET[side][4],), **more}


def client(**more):
    return {"request_address": True, "local_ts": (), **more}


def given_to(pair, who, side):
    """The address that `side` has of the pool."""
    found = re.findall(r"inet (10\.9\.0\.\d+)/32", pair.lab.ip(side, "-4", "addr", "show"))
    check(len(found) == 1, f"{who} should have one address of the pool, and has {found}")
    return found[0]


def prove(pair, client_side, address, count=5):
    """Pings between the client's address and the gateway's network, counted by the SAs of both ends."""
    inner = INNER[traffic.other(client_side)][6 if ":" in address else 4]
    before = [p.state() for p in pair.both]
    for side, source, target in ((client_side, address, inner), (traffic.other(client_side), inner, address)):
        got = int(pair.lab.exec(side, sys.executable, traffic.PINGER, source, target, count, 0.05, 56, 1, timeout=30))
        check(got == count, f"ping {source} -> {target}: {got} of {count} came back")
    wait_until(lambda: all(p.state().packets_since(old) >= 2 * count for old, p in zip(before, pair.both)), 3,
               "the SAs of both ends have counted the pings")


def patterned(daemon, spec):
    """Culvert takes many identities in one tunnel."""
    return spec.but(remote_id="*.example") if daemon.kind == "culvert" else spec


def make(setup, peer_kind, sut_is_gateway, **more):
    sides = ("a", "b")
    gateway_side = "a" if sut_is_gateway else "b"
    options = {"sut": gateway("a"), "peer": client()} if sut_is_gateway else {"sut": client(), "peer": gateway("b")}
    pair = setup.pair(peer_kind=peer_kind, launch=False, **options, **more)
    for daemon, side in zip(pair.both, sides):
        if daemon.kind == "culvert" and side == gateway_side:
            daemon.tunnels = [patterned(daemon, t) for t in daemon.tunnels]
    pair.giver, pair.asker = (pair.sut, pair.peer) if sut_is_gateway else (pair.peer, pair.sut)
    return pair


def life(setup, peer_kind, sut_is_gateway):
    pair = make(setup, peer_kind, sut_is_gateway)
    side = "b" if sut_is_gateway else "a"
    pair.start()
    pair.asker.up()
    pair.wait_up()
    address = given_to(pair, pair.asker.kind, side)
    prove(pair, side, address)
    # New keys change nothing of it, whoever makes them.
    for who in pair.both:
        who.rekey_child()
        who.rekey_ike()
    prove(pair, side, address)
    pair.asker.down()
    pair.wait_down()
    wait_until(lambda: address not in pair.lab.ip(side, "-4", "addr", "show"), 5, "the address is taken back")
    # The same identity comes back to the same address.
    pair.asker.up()
    pair.wait_up()
    check(given_to(pair, pair.asker.kind, side) == address, "the address changed")
    prove(pair, side, address)
    setup.note(f"address {address}")
    return pair


for _kind in ("strongswan", "culvert"):
    for _gateway in (True, False):
        if _kind == "culvert" and not _gateway:
            continue

        @case(f"remote-{'gives' if _gateway else 'asks'}-{_kind}",
              f"our end {'gives an address of a pool to' if _gateway else 'asks for an address'} {_kind}, through rekeys and a return",
              only=("culvert",), seconds=60)
        def _(setup, kind=_kind, is_gateway=_gateway):
            life(setup, kind, is_gateway)


BOTH = ("10.9.0.0/24", "fd00:9::/64", "")
FIXED = {"10.9.0.77", "fd00:9::77"}


def both_families(setup, peer_kind, sut_is_gateway):
    """An address of each family in one Child SA; where our end gives them, those that are kept for the identity."""
    pair = make(setup, peer_kind, sut_is_gateway)
    side = "b" if sut_is_gateway else "a"
    networks = tuple(SUBNET[traffic.other(side)][family] for family in (4, 6))
    pair.giver.tunnels = [t.but(pool=BOTH, local_ts=networks) for t in pair.giver.tunnels]
    pair.asker.tunnels = [t.but(remote_ts=networks) for t in pair.asker.tunnels]
    if sut_is_gateway:
        pair.giver.extra = 'fixed = { "bob.example" = ["10.9.0.77", "fd00:9::77"] }\n'  # behind the last section, which is the pool's

    def given():
        return set(re.findall(r"inet6? (10\.9\.0\.\d+|fd00:9:[0-9a-f:]+)/(?:32|128)", pair.lab.ip(side, "addr", "show")))

    pair.start()
    pair.asker.up()
    pair.wait_up()
    addresses = given()
    check({":" in one for one in addresses} == {True, False} and len(addresses) == 2, f"the client should have one of each family, and has {addresses}")
    check(not sut_is_gateway or addresses == FIXED, f"those kept for it are others than {addresses}")
    for one in sorted(addresses):
        prove(pair, side, one)
    for who in pair.both:
        who.rekey_child()
        who.rekey_ike()
    for one in sorted(addresses):
        prove(pair, side, one)
    pair.asker.down()
    pair.wait_down()
    wait_until(lambda: not given(), 5, "both are taken back")


for _kind, _gateway in (("strongswan", True), ("strongswan", False), ("culvert", True)):
    @case(f"remote-both-{'gives' if _gateway else 'asks'}-{_kind}",
          f"our end {'gives' if _gateway else 'asks'} {_kind}{'' if _gateway else ' for'} an IPv4 and an IPv6 address, through rekeys"
          + ("; they are kept for that identity" if _gateway else ""), only=("culvert",), seconds=60)
    def _(setup, kind=_kind, is_gateway=_gateway):
        both_families(setup, kind, is_gateway)


@case("remote-only-peer-subnets", "strongSwan takes everything and names one subnet: with only_peer_subnets that alone goes through the tunnel",
      only=("culvert",))
def _(setup):
    everything = ("0.0.0.0/0",)
    pair = make(setup, "strongswan", False)
    pair.peer.tunnels = [t.but(local_ts=everything, pool_subnets=SUBNET["b"][4]) for t in pair.peer.tunnels]
    pair.sut.tunnels = [t.but(remote_ts=everything) for t in pair.sut.tunnels]
    pair.sut.more = "only_peer_subnets = true\n"
    pair.start()

    def way(target):
        return re.search(r" dev (\S+)", pair.lab.ip("a", "route", "get", target))[1]

    inside, outside = INNER["b"][4], "198.51.100.9"
    check(way(inside) == way(outside) == "culvert0", "without an address all of it is the tunnel's")
    pair.sut.up()
    pair.wait_up()
    address = given_to(pair, "culvert", "a")
    check(way(inside) == "culvert0", f"what the peer named goes by {way(inside)}")
    check(way(outside) != "culvert0", "what the peer did not name goes through the tunnel")
    prove(pair, "a", address)
    # The same without the setting: all of it.
    pair.sut.more = ""
    pair.sut.reload()
    wait_until(lambda: way(outside) == "culvert0", 3, "all of `remote` is the tunnel's")
    prove(pair, "a", address)


@case("remote-leases-survive", "both ends get SIGKILL; who comes back has its address, and `culvert leases` knew it", only=("culvert",), seconds=60)
def _(setup):
    pair = make(setup, "culvert", True)
    pair.start()

    def come_as(name):
        pair.asker.tunnels = [t.but(local_id=name) for t in pair.asker.tunnels]
        pair.asker.reload()
        pair.asker.up()
        pair.wait_up()
        return given_to(pair, name, "b")

    first, second = come_as("amy.example"), come_as("bob.example")
    check(first != second, f"two identities have the same address {first}")
    for end in pair.both:
        end.kill(signal.SIGKILL)
    check(second not in pair.lab.ip("b", "-4", "addr", "show"), "the address outlived the client's process")
    pair.start()
    listed = pair.giver.command("leases")
    check(all(word in listed for word in (first, second, "amy.example", "bob.example")), f"culvert leases says: {listed}")
    check(come_as("bob.example") == second, "Bob's address was not kept for him")
    prove(pair, "b", second)
    check(come_as("amy.example") == first, "Amy's address was not kept for her")
    prove(pair, "b", first)


@case("remote-pool-exhausted", "the second client of a pool with one address is refused, and told why; it gets it when the first has left",
      only=("culvert",), seconds=60)
def _(setup):
    pair = make(setup, "culvert", True)
    pair.giver.tunnels = [t.but(pool=("10.9.0.7", "")) for t in pair.giver.tunnels]
    client_spec = pair.asker.tunnels[0]
    # Another network to ask for, so that the two tunnels of the client do not stand in each other's way.
    pair.asker.tunnels = [client_spec.but(local_id="amy.example"),
                          client_spec.but(name="second", local_id="bob.example", remote_ts=("10.77.0.0/16",))]
    pair.giver.tunnels = [t.but(local_ts=(*t.local_ts, "10.77.0.0/16")) for t in pair.giver.tunnels]
    pair.start()
    pair.asker.up()
    pair.wait_up()
    check(given_to(pair, "amy", "b") == "10.9.0.7", "the pool has one address")
    failed = pair.asker.command("up", "second", "--wait", "5", ok=None)
    check("INTERNAL_ADDRESS_FAILURE" in failed or "INTERNAL_ADDRESS_FAILURE" in pair.asker.log(), f"the client is not told: {failed}")
    check("no address is left in the pool" in pair.giver.command("log", "net"), "the gateway's log does not say why")
    pair.asker.down("second")
    pair.asker.down()
    pair.wait_down()
    pair.asker.up("second")
    check(given_to(pair, "bob", "b") == "10.9.0.7", "the address did not come back")
    pair.asker.down("second")
    pair.asker.up()
    pair.wait_up()
    prove(pair, "b", "10.9.0.7")


@case("remote-sessions", "one session for each identity: a second one is refused, or takes the place of the first; others are left alone", only=("culvert",),
      seconds=60)
def _(setup):
    pair = make(setup, "culvert", True)
    one = pair.asker.tunnels[0].but(local_id="amy.example")
    # Other networks to ask for, so that the tunnels of the client do not stand in each other's way.
    pair.asker.tunnels = [one, one.but(name="second", remote_ts=("10.77.0.0/16",)), one.but(name="bob", local_id="bob.example", remote_ts=("10.78.0.0/16",))]
    pair.giver.tunnels = [t.but(local_ts=(*t.local_ts, "10.77.0.0/16", "10.78.0.0/16")) for t in pair.giver.tunnels]
    pair.giver.more = 'sessions = 1\nmore_sessions = "refuse"\n'
    pair.start()
    pair.asker.up()
    pair.asker.up("bob")
    pair.asker.command("up", "second", "--wait", "5", ok=(1, 6))
    said = [one["message"] for one in pair.giver.why("amy.example")]
    check(said and "amy.example" in said[0] and "has 1 sessions already" in said[0], f"culvert why says {said}")
    check(pair.asker.state().up and not pair.asker.state("second").ike, "the second one is in, or the first one is not any more")
    pair.asker.down("second")
    prove(pair, "b", re.search(r"10\.9\.0\.\d+", "".join(pair.asker.tunnel()["given"]["addresses"]))[0])
    pair.giver.more = 'sessions = 1\nmore_sessions = "replace"\n'
    pair.giver.reload()
    pair.asker.up("second")
    wait_until(lambda: not pair.asker.state().ike, 5, "the second one takes the place of the first")
    check(pair.asker.state("second").up and pair.asker.state("bob").up, "the second one, or somebody else's, is not up")


@case("remote-name-servers", "the client's host asks the gateway's name server while the tunnel is up; taken back, also after SIGKILL",
      only=("culvert",), seconds=60)
def _(setup):
    pair = make(setup, "culvert", True)
    folder, calls = pair.lab.path("fake"), pair.lab.path("calls")
    os.makedirs(folder)
    for name in ("resolvectl", "resolvconf"):
        with open(f"{folder}/{name}", "w", encoding="ascii") as f:
            f.write(FAKE.replace("@CALLS@", calls))
        os.chmod(f"{folder}/{name}", 0o755)
    pair.asker.environment = (f"PATH={folder}:{os.environ['PATH']}",)

    def said():
        if not os.path.exists(calls):
            return ""
        with open(calls, encoding="ascii") as f:
            return f.read()

    # systemd-resolved is told of addresses, resolvconf reads lines.
    def is_set():
        return "dns culvert0 10.1.0.53" in said() or "nameserver 10.1.0.53" in said()

    def is_taken_back():
        return said().rstrip().endswith(("resolvectl revert culvert0", "resolvconf -d tun.culvert0"))

    pair.start()
    pair.asker.up()
    pair.wait_up()
    wait_until(is_set, 5, "the name server is set")
    pair.asker.down()
    wait_until(is_taken_back, 5, "the name server is taken back")
    os.remove(calls)
    pair.asker.up()
    pair.wait_up()
    wait_until(is_set, 5, "the name server is set again")
    with_resolvconf = "resolvconf" in said()
    pair.asker.kill(signal.SIGKILL)
    os.remove(calls)
    pair.asker.start()
    # What systemd-resolved knew of the interface went with it.
    if with_resolvconf:
        wait_until(is_taken_back, 5, "what the crash left is taken back")
    pair.asker.up()
    pair.wait_up()
    prove(pair, "b", given_to(pair, "client", "b"))


GROUPS = """
[pool.sales]
addresses = ["10.8.0.0/24"]

[group.sales]
members = ["amy.example", "*.sales.example"]
pool = "sales"
local = ["{inner}/32"]

[group.guests]
members = ["eve.example"]
refuse = true
"""


for _kind in ("strongswan", "culvert"):
    @case(f"remote-groups-{_kind}", f"who of {_kind}'s identities is of a group gets its pool and reaches what it may, one is refused",
          only=("culvert",), seconds=60)
    def _(setup, kind=_kind):
        pair = make(setup, kind, True)
        pair.giver.more = 'groups = ["sales", "guests"]\n'
        pair.giver.extra = GROUPS.format(inner=INNER["a"][4])
        pair.start()

        def come_as(name):
            pair.asker.down_quietly()
            pair.asker.tunnels = [t.but(local_id=name) for t in pair.asker.tunnels]
            pair.asker.reload()
            pair.asker.up()

        def address(network):
            return re.findall(rf"inet ({network}\.\d+)/32", pair.lab.ip("b", "-4", "addr", "show"))

        come_as("amy.example")
        pair.wait_up()
        check(len(address("10.8.0")) == 1 and not address("10.9.0"), "amy's address is not of her group's pool")
        prove(pair, "b", address("10.8.0")[0])
        reach = [c["local"] for sa in pair.giver.tunnel()["ike_sas"] for c in sa["children"]]
        check(reach == [[INNER["a"][4]]], f"amy's Child SA should reach {INNER['a'][4]} alone, and has {reach}")
        come_as("carol.example")
        wait_until(lambda: address("10.9.0") and not address("10.8.0"), 10, "carol, who is of no group, gets the tunnel's own pool")
        pair.wait_up()
        prove(pair, "b", address("10.9.0")[0])
        try:
            come_as("eve.example")
        except Failed:
            pass  # some clients wait for the verdict
        wait_until(lambda: "belongs to group 'guests'" in pair.giver.log(), 10, "the log says why eve is refused")
        check(not pair.giver.state().up, "eve is in")
