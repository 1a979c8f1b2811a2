"""RADIUS behind our gateway: FreeRADIUS keeps the conversations of EAP, hears of the sessions, and may end them."""

import re
import sys
import time
from dataclasses import replace

from rig.authority import Authority, Pki
from rig.case import case
from rig.freeradius import SECRET, FreeRadius
from rig.lab import OUTER
from rig.shell import Failed, check, reason_of, wait_until
from rig.tunnel import Eap
from . import eap
from .remote_access import POOL, client as asks, gateway as gives, given_to, prove as prove_address

# A server that takes what comes, and never answers.
SILENT = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 1812))
while True:
    s.recv(5000)
    print("asked", flush=True)
"""
CAROL, PASSWORD = "carol", "a pass phrase for carol"


def section(servers=(), accounting=True, **more):
    """[radius.lab], as text."""
    servers = list(servers) or [OUTER["b"][4]]
    fields = {"servers": servers, "secret": SECRET, "nas_identifier": "gw.lab", "timeout": "1s", **more}
    if accounting:
        fields["accounting"] = [OUTER["b"][4]]
    lines = [f"{key} = {str(value).replace(chr(39), chr(34)) if isinstance(value, (list, int)) else chr(34) + value + chr(34)}" for key, value in fields.items()]
    return "\n[radius.lab]\n" + "\n".join(lines) + "\n"


def make(setup, methods=("mschapv2",), users=None, pool=False, tls=None, radius=None, beside=False, **options):
    """A gateway of ours at `a`; the client and FreeRADIUS at `b`, or FreeRADIUS beside the gateway. Nothing is started but FreeRADIUS."""
    if pool:
        options.update(sut=gives("a"), peer=asks())
    pair = setup.pair(launch=False, **options)
    ends = Pki(pair.lab).ends
    pair.sut.tunnels = [t.but(credentials=ends[0], eap=Eap(("radius",))) for t in pair.sut.tunnels]
    pair.peer.tunnels = [t.but(credentials=ends[1], eap=Eap(methods, CAROL, PASSWORD)) for t in pair.peer.tunnels]
    pair.sut.extra = radius or section()
    if pool:
        pair.sut.tunnels = [t.but(remote_id="*") for t in pair.sut.tunnels]
    server = FreeRadius(setup, pair.lab, "a" if beside else "b", "127.0.0.1" if beside else OUTER["a"][4], users or {CAROL: (PASSWORD, {})}, default=methods[0], tls=tls)
    server.start()
    return pair, server


def up(pair):
    pair.start()
    pair.peer.up()
    pair.wait_up()


for _method in ("mschapv2", "md5"):
    @case(f"radius-eap-{_method}", f"strongSwan as client proves itself to FreeRADIUS by {_method}; accounting hears of it", only=("culvert",), seconds=60)
    def _(setup, method=_method):
        pair, server = make(setup, (method,))
        up(pair)
        pair.prove()
        check(f"EAP of '{CAROL}' by {method.upper()} has gone well" in pair.sut.log(), "our log does not say who came")
        start = wait_until(lambda: server.of_status("Start"), 5, "accounting heard of the start")[-1]
        check(start["User-Name"] == CAROL and start["NAS-Identifier"] == "gw.lab", f"the start says {start}")
        pair.peer.down()
        pair.wait_down()
        stop = wait_until(lambda: server.of_status("Stop"), 5, "accounting heard of the end")[-1]
        check(stop["Acct-Session-Id"] == start["Acct-Session-Id"], "start and stop are of two sessions")
        check(stop["Acct-Terminate-Cause"] == "User-Request", f"the cause is {stop['Acct-Terminate-Cause']}")
        for side in ("Input", "Output"):
            check(int(stop[f"Acct-{side}-Packets"]) >= 10 and int(stop[f"Acct-{side}-Octets"]) >= 840, f"the traffic was not counted: {stop}")


@case("radius-by-name", "FreeRADIUS is named, not numbered: the gateway looks its name up", only=("culvert",), seconds=60)
def _(setup):
    pair, server = make(setup, beside=True, radius=section(["no-such-server.invalid", "localhost"], accounting=False) + 'accounting = ["localhost:1813"]\n')
    up(pair)
    pair.prove()
    wait_until(lambda: server.of_status("Start"), 5, "accounting heard of the start")
    # No name server is to be reached: the resolver takes its time, and nobody else waits for it.
    wait_until(lambda: "the name of the RADIUS server no-such-server.invalid cannot be resolved" in pair.sut.log(), 40,
               "our log says which name has no address")


@case("radius-culvert", "Culvert as client and as gateway, FreeRADIUS behind it", only=("culvert",), seconds=60)
def _(setup):
    pair, server = make(setup, peer_kind="culvert")
    up(pair)
    pair.prove()
    pair.sut.rekey_ike()
    pair.prove()
    check(len(server.of_status("Start")) == 1 and not server.of_status("Stop"), f"a rekey is no new session: {server.records()}")


@case("radius-eap-ttls", "a method with a tunnel passes through: many pieces, and who it is only the server knows", only=("culvert",), seconds=60)
def _(setup):
    lab_users = {CAROL: (PASSWORD, {"User-Name": f'"{CAROL}"'})}
    pair = None

    def tls_of(lab):
        authority = Authority(lab.path("radius-pki"), "radius")
        # strongSwan expects the gateway's identity of the server behind it.
        certificate, key = authority.issue("radius", "DNS:alice.example")
        return certificate, key, authority.certificate

    pair = setup.pair(launch=False)
    ends = Pki(pair.lab).ends
    tls = tls_of(pair.lab)
    pair.sut.tunnels = [t.but(credentials=ends[0], eap=Eap(("radius",))) for t in pair.sut.tunnels]
    pair.peer.tunnels = [t.but(credentials=replace(ends[1], authorities=(*ends[1].authorities, tls[2])), eap=Eap(("ttls",), CAROL, PASSWORD)) for t in pair.peer.tunnels]
    pair.sut.extra = section()
    server = FreeRadius(setup, pair.lab, "b", OUTER["a"][4], lab_users, default="ttls", tls=tls)
    server.start()
    up(pair)
    pair.prove()
    check(f"EAP of '{CAROL}' by TTLS has gone well" in pair.sut.log(), "our log does not say who came")


@case("radius-eap-tls", "EAP-TLS passes through: strongSwan shows its certificate to FreeRADIUS, which shows its own", only=("culvert",), seconds=60)
def _(setup):
    pair, _, pki = eap.make_tls(setup, "responder", "tls")
    certificate, key = pki.root.issue("radius", f"DNS:{pair.sut.tunnels[0].local_id}")
    # FreeRADIUS believes both authorities, whatever of the path the client sends along.
    authorities = pair.lab.path("radius-authorities.pem")
    with open(authorities, "w", encoding="ascii") as f:
        f.write(read(pki.root.certificate) + read(pki.middle.certificate))
    pair.sut.tunnels = [t.but(eap=Eap(("radius",))) for t in pair.sut.tunnels]
    pair.sut.extra = section()
    server = FreeRadius(setup, pair.lab, "b", OUTER["a"][4], {eap.CAROL: (PASSWORD, {})}, default="tls", tls=(certificate, key, authorities))
    server.start()
    up(pair)
    pair.prove()
    check(f"EAP of '{eap.CAROL}' by TLS has gone well" in pair.sut.log(), "our log does not say who came")
    start = wait_until(lambda: server.of_status("Start"), 5, "accounting heard of the start")[-1]
    check(start["User-Name"] == eap.CAROL, f"the start says {start}")


@case("radius-rounds", "strongSwan's certificate first, then its user by RADIUS (RFC 4739)", only=("culvert",), seconds=60)
def _(setup):
    pair, server = make(setup)
    for daemon, own, other in ((pair.sut, ("certificate",), ("certificate", "eap")), (pair.peer, ("certificate", "eap"), ("certificate",))):
        daemon.tunnels = [t.but(own_proof=own, peer_proof=other) for t in daemon.tunnels]
    up(pair)
    pair.prove()
    check("round 2 of 2 of the authentication" in pair.sut.log(), "there were no two rounds")
    start = wait_until(lambda: server.of_status("Start"), 5, "accounting heard of the start")[-1]
    check(start["User-Name"] == CAROL, f"the start says {start}")


GROUPS = """
[pool.sales]
addresses = ["10.8.0.0/24"]

[group.sales]
members = ["nobody.example"]
pool = "sales"

[group.guests]
members = ["nobody.else.example"]
refuse = true
"""


@case("radius-class-group", "FreeRADIUS's Class names the client's group: its pool and what it may reach; or that it may not come", only=("culvert",), seconds=60)
def _(setup):
    pair, server = make(setup, users={CAROL: (PASSWORD, {"Class": '"OU=sales;"'})}, pool=True)
    pair.sut.more = 'groups = ["sales", "guests"]\n'
    pair.sut.extra += GROUPS
    up(pair)

    def addresses(network):
        return re.findall(rf"inet ({network}\.\d+)/32", pair.lab.ip("b", "-4", "addr", "show"))

    check(len(addresses("10.8.0")) == 1 and not addresses("10.9.0"), "the client's address is not of its group's pool")
    prove_address(pair, "b", addresses("10.8.0")[0])
    check(pair.sut.tunnel()["ike_sas"][0]["group"] == "sales", "our status does not say of which group it is")
    pair.peer.down()
    pair.wait_down()

    def now_of(name):
        server.stop()
        server.users = {CAROL: (PASSWORD, {"Class": f'"{name}"'})}
        server.start()

    now_of("guests")
    _try(pair.peer.up)
    wait_until(lambda: "belongs to group 'guests'" in pair.sut.log(), 8, "our log says why she is refused")
    check(not pair.sut.state().ike, "who is of a refused group is in")
    pair.peer.down_quietly()
    now_of("elsewhere")
    # A Class that is no group of ours means nothing: the tunnel's own pool.
    pair.peer.up()
    pair.wait_up()
    check(len(addresses("10.9.0")) == 1 and not addresses("10.8.0"), "the client's address is not of the tunnel's pool")
    prove_address(pair, "b", addresses("10.9.0")[0])


@case("radius-attributes", "FreeRADIUS gives the client its address and says how long it may stay", only=("culvert",), seconds=60)
def _(setup):
    reply = {"Framed-IP-Address": "10.9.0.77", "Class": '"staff"', "Session-Timeout": "6", "User-Name": '"Carol of Sales"'}
    pair, server = make(setup, users={CAROL: (PASSWORD, reply)}, pool=True)
    up(pair)
    check(given_to(pair, "the client", "b") == "10.9.0.77", "it is not the address that FreeRADIUS gave")
    prove_address(pair, "b", "10.9.0.77")
    start = wait_until(lambda: server.of_status("Start"), 5, "accounting heard of the start")[-1]
    check(start["Framed-IP-Address"] == "10.9.0.77" and start["User-Name"] == "Carol of Sales", f"the start says {start}")
    check(bytes.fromhex(start["Class"][2:]) == b"staff", f"the Class is {start['Class']}")
    stop = wait_until(lambda: server.of_status("Stop"), 12, "the session ends when its time is up")[-1]
    check(stop["Acct-Terminate-Cause"] == "Session-Timeout" and 5 <= int(stop["Acct-Session-Time"]) <= 8, f"the end says {stop}")
    check(not pair.sut.state().ike, "an IKE SA is left")


@case("radius-pool", "FreeRADIUS chooses the pool; one that is not there gives no address", only=("culvert",), seconds=60)
def _(setup):
    pair, server = make(setup, users={CAROL: (PASSWORD, {"Framed-Pool": '"elsewhere"'})}, pool=True)
    pair.start()
    _try(pair.peer.up)
    wait_until(lambda: "names the pool 'elsewhere'" in pair.sut.log(), 8, "our log says which pool was named")
    pair.peer.down_quietly()
    server.stop()
    server.users = {CAROL: (PASSWORD, {"Framed-Pool": '"pool-net"'})}
    server.start()
    pair.peer.up()
    pair.wait_up()
    prove_address(pair, "b", given_to(pair, "the client", "b"))


def read(path):
    with open(path, encoding="ascii") as f:
        return f.read()


def _try(function):
    try:
        function()
    except Failed:
        pass


@case("radius-reject", "a wrong password: FreeRADIUS refuses, our log has its words, the client hears that it failed and no more", only=("culvert",), seconds=60)
def _(setup):
    pair, server = make(setup)
    good = pair.peer.tunnels
    pair.peer.tunnels = [t.but(eap=replace(t.eap, secret="not the pass phrase")) for t in good]
    pair.start()
    _try(pair.peer.up)
    wait_until(lambda: "the RADIUS server refuses it" in pair.sut.log(), 8, "our log says who refused")
    wait_until(lambda: not any(d.state().ike for d in pair.both), 8, "nothing is left")
    failure = pair.sut.tunnel()["last_failure"]
    check(reason_of(failure) == "reject", f"the last failure is {failure}")
    check(SECRET not in pair.sut.log() and "phrase" not in pair.sut.log(), "a secret stands in the log")
    check(not server.of_status("Start"), "accounting heard of a session that never was")
    pair.peer.down_quietly()
    pair.peer.tunnels = good
    pair.peer.reload()
    pair.peer.up()
    pair.wait_up()
    pair.prove()


@case("radius-wrong-secret", "the server has another secret: it is not believed, and the log says what to look at", only=("culvert",), seconds=60)
def _(setup):
    pair, server = make(setup, radius=section(tries=1, timeout="1s").replace(SECRET, "another secret of sixteen"))
    pair.start()
    _try(pair.peer.up)
    wait_until(lambda: "no RADIUS server answers" in pair.sut.log(), 8, "our log says that nobody answers")
    wait_until(lambda: not any(d.state().ike for d in pair.both), 8, "nothing is left")
    failure = pair.sut.tunnel()["last_failure"]
    check(reason_of(failure) == "radius", f"the last failure is {failure}")
    pair.peer.down_quietly()
    pair.sut.extra = section()
    pair.sut.reload()
    pair.peer.up()
    pair.wait_up()
    pair.prove()


@case("radius-failover", "the first server is silent, the second answers; the next client does not wait for the first", only=("culvert",), seconds=60)
def _(setup):
    # 192.0.2.77 is nobody.
    pair, server = make(setup, radius=section(servers=["192.0.2.77", OUTER["b"][4]], tries=2, timeout="500ms"))
    pair.start()
    pair.peer.up()
    pair.wait_up()
    pair.prove()
    pair.peer.down()
    pair.wait_down()
    begun = time.monotonic()
    pair.peer.up()
    pair.wait_up()
    taken = time.monotonic() - begun
    check(taken < 0.9, f"the second set-up took {taken:.1f} s: it waited for the silent server")
    pair.prove()


@case("radius-nobody", "no RADIUS server answers: the client is refused, our log names the servers, the client hears no more than that it failed",
      only=("culvert",), seconds=60)
def _(setup):
    # 192.0.2.77 and 192.0.2.78 are nobody.
    pair, _ = make(setup, radius=section(servers=["192.0.2.77", "192.0.2.78"], tries=2, timeout="300ms", accounting=False))
    pair.start()
    try:
        pair.peer.up()
    except Failed:
        pass
    failure = wait_until(lambda: pair.sut.tunnel()["last_failure"], 10, "our end gives up")
    check(reason_of(failure) == "radius", f"the last failure is {failure}")
    check(re.search(r"no RADIUS server answers \(192\.0\.2\.77:1812, 192\.0\.2\.78:1812", pair.sut.log()), "our log does not name the servers")
    check(not pair.sut.state().ike, "a client came in although nobody vouched for it")
    check("192.0.2.7" not in pair.peer.log() and "radius" not in pair.peer.log().lower().replace("eap-radius", ""), "the client was told of our servers")


@case("radius-disconnect", "FreeRADIUS's radclient ends the session; others are refused; CoA shortens it", only=("culvert",), seconds=60)
def _(setup):
    pair, server = make(setup, radius=section(dynamic_clients=[OUTER["b"][4]]))
    up(pair)
    pair.prove()
    gateway = OUTER["a"][4]
    start = wait_until(lambda: server.of_status("Start"), 5, "accounting heard of the start")[-1]
    session = {"Acct-Session-Id": f'"{start["Acct-Session-Id"]}"'}
    said = server.send("disconnect", {"User-Name": '"dave"'}, gateway)
    check("Disconnect-NAK" in said and "Session-Context-Not-Found" in said, f"nobody is called dave: {said}")
    said = server.send("disconnect", session, gateway, secret="another secret of sixteen")
    check("NAK" not in said and "ACK" not in said, f"a stranger was answered: {said}")
    said = server.send("disconnect", {"NAS-Identifier": '"gw.lab"'}, gateway)
    check("Missing-Attribute" in said, f"all sessions at once are nobody's to end: {said}")
    said = server.send("coa", {**session, "Filter-Id": '"x"'}, gateway)
    check("CoA-NAK" in said and "Unsupported-Attribute" in said, f"a filter is nothing that we have: {said}")
    check(pair.sut.state().up, "the tunnel is gone already")
    pair.prove()
    said = server.send("disconnect", {"User-Name": f'"{CAROL}"', **session, "Message-Authenticator": "0x00"}, gateway)
    check("Disconnect-ACK" in said, f"the session was not ended: {said}")
    pair.wait_down()
    stop = wait_until(lambda: server.of_status("Stop"), 5, "accounting heard of the end")[-1]
    check(stop["Acct-Terminate-Cause"] == "Admin-Reset", f"the cause is {stop['Acct-Terminate-Cause']}")
    pair.peer.down_quietly()
    pair.peer.up()
    pair.wait_up()
    pair.prove()
    start = wait_until(lambda: server.of_status("Start")[1:], 5, "accounting heard of the second start")[-1]
    said = server.send("coa", {"Acct-Session-Id": f'"{start["Acct-Session-Id"]}"', "Session-Timeout": "2"}, gateway)
    check("CoA-ACK" in said, f"the session was not changed: {said}")
    wait_until(lambda: len(server.of_status("Stop")) == 2, 8, "the shortened session ends")
    check(server.of_status("Stop")[-1]["Acct-Terminate-Cause"] == "Session-Timeout", "the cause is another")


@case("radius-silent", "ten clients wait for a silent RADIUS server: a peer with a shared secret connects as fast as ever", only=("culvert",), seconds=90)
def _(setup):
    pair, server = make(setup, peer_kind="culvert", pool=True, radius=section(accounting=False, timeout="10s", tries=2))
    server.stop()
    heard = pair.lab.path("heard")
    pair.lab.spawn("b", sys.executable, "-c", SILENT, output=heard)
    secret_name = "plain"
    base = pair.peer.tunnels[0]
    clients = [base.but(name=f"worker{i}", local_id=f"worker{i}.example", remote_ts=(f"10.{100 + i}.0.0/16",)) for i in range(10)]
    plain = dict(name=secret_name, credentials=None, eap=None, pool=(), anybody=False, request_address=False, mobike=False)
    near, far = "10.77.0.0/16", "10.78.0.0/16"
    pair.sut.tunnels = [t.but(local_ts=tuple(f"10.{100 + i}.0.0/16" for i in range(10))) for t in pair.sut.tunnels]
    gateway_spec, client_spec = pair.sut.tunnels[0], base
    pair.sut.tunnels.append(gateway_spec.but(**plain, remote_id="plain.example", local_id="gate.example", local_ts=(near,), remote_ts=(far,)))
    pair.peer.tunnels = [*clients, client_spec.but(**plain, local_id="plain.example", remote_id="gate.example", local_ts=(far,), remote_ts=(near,))]
    pair.start()

    def connect():
        begun = time.monotonic()
        pair.peer.up(secret_name)
        taken = time.monotonic() - begun
        pair.peer.down(secret_name)
        wait_until(lambda: not pair.sut.state(secret_name).ike, 5, "it is down again")
        return taken

    alone = sorted(connect() for _ in range(5))[2]
    for one in clients:
        pair.peer.command("up", one.name, "--wait", "0", ok=None)
    wait_until(lambda: read(heard).count("asked") >= 10, 8, "all ten conversations have come to the silent server")
    beside = sorted(connect() for _ in range(5))[2]
    setup.note(f"alone {alone * 1000:.0f} ms, beside ten that wait {beside * 1000:.0f} ms")
    check(beside < 3 * alone + 0.2, f"ten clients of a silent server delay another peer: {beside:.2f} s, {alone:.2f} s without them")
    check(not pair.sut.state("net").ike, "a client came in although nobody vouched for it")
