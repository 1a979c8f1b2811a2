"""IKE and ESP in TCP (RFC 9329): from the beginning, when UDP is blocked, and back; connections that break."""

import time

from cases import mobike, workers
from rig import traffic, wire
from rig.case import case
from rig.lab import INNER
from rig.rounds import Subject
from rig.shell import check, wait_until

ONLY = ("culvert",)

BLOCK = """
table inet block {
    chain arriving { type filter hook prerouting priority -300
        iifname "wire" meta l4proto udp drop
    }
    chain leaving { type filter hook output priority -300
        oifname "wire" meta l4proto udp drop
    }
}
"""
BREAK = """
table inet break {
    chain arriving { type filter hook input priority -300
        tcp dport 4500 reject with tcp reset
    }
}
"""


def rules(lab, side, text):
    lab.exec(side, "nft", "-f", "-", stdin=text)


def ends(setup, policy, **options):
    pair = setup.pair(peer_kind="culvert", launch=False, **options)
    pair.sut.more = f'tcp = "{policy}"\n'
    pair.peer.daemon["listen_tcp"] = [4500]
    pair.start()
    return pair


def with_another(this):
    """All of IKE and ESP in one connection, which the initiator opens, with who is in a guest."""
    begins = this.role == "initiator"
    pair = this.pair(**({} if begins else {"peer": {"pluto": (("enable-tcp", "yes"), ("tcp-remoteport", "4500"))}}))
    if begins:
        pair.sut.more = 'tcp = "always"\n'
        pair.peer.setup["listen-tcp"] = "yes"
    else:
        pair.sut.daemon["listen_tcp"] = [4500]
    pair.start()
    this.initiate(pair)
    found = {child["encapsulation"] for sa in pair.sut.tunnel()["ike_sas"] for child in sa["children"]}
    check(found == {"tcp"}, f"ESP travels by {found}")


SUBJECTS = (Subject("tcp", "IKE and ESP in TCP (RFC 9329)", with_another),)


def transports(pair):
    """How the Child SAs of both ends travel."""
    return [sorted({child["encapsulation"] for sa in end.tunnel()["ike_sas"] for child in sa["children"]}) for end in pair.both]


def wait_for(pair, transport, seconds):
    begin = time.monotonic()
    wait_until(lambda: transports(pair) == [[transport], [transport]], seconds, f"both ends have the tunnel over {transport} only")
    return time.monotonic() - begin


def only_streams(classes, others):
    check(not others, f"in clear: {others}")
    check(classes[wire.STREAM] > 0 and not classes[wire.ESP] and not classes[wire.ESP_UDP], f"not all in TCP: {classes}")


def add_always(outer):
    @case(f"tcp-always-{outer}", f"tcp = \"always\" over IPv{outer} where no UDP gets through: set-up, rekeys, delete", only=ONLY)
    def _(setup):
        pair = ends(setup, "always", outer=outer)
        rules(pair.lab, "a", BLOCK)
        capture = wire.Capture(pair.lab, "a")
        pair.sut.up()
        pair.wait_up()
        pair.prove()
        for mover in pair.both:
            mover.rekey_child()
            time.sleep(0.5)
            mover.rekey_ike()
            time.sleep(0.5)
            pair.prove()
        only_streams(*capture.stop())
        check(transports(pair) == [["tcp"], ["tcp"]], f"status says {transports(pair)}")
        pair.sut.down()
        pair.wait_down()
        wait_until(lambda: "4500" not in pair.lab.exec("b", "ss", "-Htn", "state", "established"), 10, "the connection is closed")


add_always(4)
add_always(6)


@case("tcp-nat", "over TCP from behind a NAT, for want of UDP", only=ONLY)
def _(setup):
    pair = ends(setup, "fallback", layout="nat")
    rules(pair.lab, "a", BLOCK)
    pair.sut.up()
    pair.wait_up(8)
    pair.prove()
    wait_for(pair, "tcp", 1)


@case("tcp-fallback", "a new tunnel takes TCP when nothing comes back over UDP, within 5 s", only=ONLY)
def _(setup):
    pair = ends(setup, "fallback")
    rules(pair.lab, "a", BLOCK)
    capture = wire.Capture(pair.lab, "a")
    begin = time.monotonic()
    pair.sut.up()
    pair.wait_up(8)
    took = time.monotonic() - begin
    setup.note(f"up after {took:.1f} s")
    check(took < 5, f"it took {took:.1f} s")
    pair.prove()
    only_streams(*capture.stop())


def add_back(moves):
    name, how = ("", "the same IKE SA, by MOBIKE") if moves else ("-anew", "without MOBIKE a new IKE SA")

    @case(f"tcp-fallback-and-back{name}", f"a standing tunnel falls back to TCP when UDP dies, and returns when it lives ({how}); nothing in clear",
          seconds=120, only=ONLY)
    def _(setup):
        pair = ends(setup, "fallback", mobike=moves)
        capture = wire.Capture(pair.lab, "a")
        pair.sut.up()
        pair.wait_up()
        pair.prove()
        check(transports(pair) == [["udp"], ["udp"]], f"status says {transports(pair)}")
        before = pair.sut.state().ike
        stream = traffic.Stream(pair.lab, "a")
        time.sleep(1)
        rules(pair.lab, "a", BLOCK)
        time.sleep(0.2)
        silence = 0.2 + traffic.wait_for_traffic(pair.lab, "a", seconds=10)
        setup.note(f"TCP after {silence:.1f} s")
        check(silence < 5, f"traffic came back only after {silence:.1f} s")
        # The peer may keep the old IKE SA until it notices that nobody is there any more.
        wait_until(lambda: transports(pair)[0] == ["tcp"] and "tcp" in transports(pair)[1], 10, "the tunnel goes over TCP")
        pair.prove()
        pair.sut.rekey_ike()
        pair.peer.rekey_child()
        time.sleep(1)
        pair.prove()
        pair.lab.exec("a", "nft", "delete", "table", "inet", "block")
        back = wait_for(pair, "udp", 60)
        setup.note(f"UDP after {back:.1f} s")
        pair.prove()
        sent, lost = stream.finish()
        setup.note(f"{lost} of {sent} pings lost")
        check(lost < 500, f"{lost} of {sent} pings lost: more than the time without UDP explains")
        check(pair.sut.state().ike != before, "the IKE SA was not rekeyed")
        set_up = pair.sut.log().count(": IKE SA established with ")
        check(set_up == 1 if moves else set_up > 1, f"{set_up} IKE SAs were set up")
        classes, others = capture.stop()
        check(not others, f"in clear: {others}")
        check(classes[wire.STREAM] and classes[wire.ESP_UDP], f"not both ways were used: {classes}")
        wait_until(lambda: "4500" not in pair.lab.exec("a", "ss", "-Htn", "state", "established"), 15, "the connection is closed")


add_back(True)
add_back(False)


@case("tcp-workers", "several workers at both ends and one connection: flows of many packets stay in their order", only=ONLY)
def _(setup):
    pair = setup.pair(peer_kind="culvert", launch=False)
    pair.sut.more = 'tcp = "always"\n'
    pair.sut.daemon["workers"] = 3
    pair.peer.daemon.update(workers=2, listen_tcp=[4500])
    pair.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    pair.lab.spawn("b", "python3", "-c", workers.ECHO % INNER["b"][4], output=pair.lab.path("echo"))
    workers.ask(pair)
    pair.sut.rekey_child()
    workers.ask(pair)
    check(transports(pair) == [["tcp"], ["tcp"]], f"status says {transports(pair)}")


@case("tcp-reset", "the connection is reset in the middle: it is opened again and the same SAs go on", seconds=60, only=ONLY)
def _(setup):
    pair = ends(setup, "always")
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    before = [{c.spi_in for c in end.state().children} for end in pair.both]
    for _ in range(2):
        stream = traffic.Stream(pair.lab, "a")  # so that something is under way when it breaks
        time.sleep(0.3)
        rules(pair.lab, "b", BREAK)
        time.sleep(0.5)
        pair.lab.exec("b", "nft", "delete", "table", "inet", "break")
        silence = traffic.wait_for_traffic(pair.lab, "b", seconds=10)
        setup.note(f"again after {silence:.1f} s")
        check(silence < 5, f"traffic came back only after {silence:.1f} s")
        time.sleep(0.5)  # the stream has answers again, too: what was sent after its last answer counts as under way
        sent, lost = stream.finish()
        check(lost > 0, f"none of {sent} pings lost: nothing was broken")
        pair.prove()
    after = [{c.spi_in for c in end.state().children} for end in pair.both]
    check(before == after, f"other SAs: {before}, {after}")
    check("stands again" in pair.sut.log(), "no word of the new connection")


@case("tcp-roams", "tcp = \"always\" and our address goes: the same SAs go on over a connection from another one; UDP is dropped everywhere", seconds=60,
      only=ONLY)
def _(setup):
    pair = setup.pair(peer_kind="culvert", launch=False, roams=True, liveness=2)
    mobike.second_link(pair.lab)
    for side in "ab":
        rules(pair.lab, side, BLOCK.replace('"wire"', '{ "wire", "wire2" }'))
    pair.sut.more = 'tcp = "always"\n'
    pair.peer.daemon["listen_tcp"] = [4500]
    pair.start()
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    taken = mobike.move(pair, lambda: pair.lab.ip("a", "link", "set", "wire", "down"), seconds=30)
    setup.note(f"moved within {taken:.1f} s")
    check(transports(pair) == [["tcp"], ["tcp"]], f"status says {transports(pair)}")


@case("tcp-strangers", "connections that are not for us, or lie about lengths, are closed; the tunnel does not mind", only=ONLY)
def _(setup):
    pair = ends(setup, "always")
    pair.sut.up()
    pair.wait_up()
    for words in ('b"GET / HTTP/1.1\\r\\n\\r\\n"', 'b"IKETCP\\0\\1xx"', 'b"IKETCP\\0\\0"'):
        said = pair.lab.exec("a", "python3", "-c", f"""
import socket
s = socket.create_connection(("{pair.lab.outer("b")}", 4500)); s.settimeout(5); s.sendall({words})
try: print(len(s.recv(100)))
except ConnectionResetError: print(0)
""")
        check(said.strip() == "0", f"after {words}: {said}")
    drops = pair.peer.status()["packet_drops"]
    check(drops.get("stream_corrupt") == 3, f"counted: {drops}")
    pair.prove()
