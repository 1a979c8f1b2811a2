"""Culvert against daemons that want a kernel with IPsec: strongSwan, libreswan and OpenIKED in a guest.

Every subject, in both roles, ends with pings both ways that the SAs of both ends have counted: theirs are the kernel's.
"""

import os
import time
from dataclasses import replace

from cases import certificates, eap, fragments, life, post_quantum, remote_access, resumption, tcp
from rig.authority import Authority, Pki, raw_ends
from rig.case import case
from rig.guest_lab import DEVICE, NAT_SECOND
from rig.lab import INNER, NAT_OUTSIDE, OUTER, SUBNET
from rig.rounds import Subject, play
from rig.shell import Failed, check, wait_until
from rig.traffic import Stream, ping, wait_for_traffic

BEHIND = 600  # seconds
PPK = "6f1d2c7a9be04453a1bb3e60d8c2f7740596aef1d3327c1f8e5b4a0d9c6e2713"


# ------------------------------------------------------------------------------------------------------- authentication
def by_secret(this, family=4):
    pair = this.pair(outer=family, inner=(family,))
    pair.start()
    this.initiate(pair, family)


def without_udp(this):
    pair = this.pair(sut={"encapsulation": "esp"})
    pair.start()
    this.initiate(pair)
    check("espinudp" not in pair.lab.guest.sh("ip xfrm state"), "the peer's kernel has ESP in UDP")


def around_the_kernel(this):
    """Culvert's ESP by AF_XDP at the interface towards the guest."""
    pair = this.pair(sut={"encapsulation": "esp"})
    pair.sut.daemon["xdp"] = ["wire"]
    pair.start()
    this.initiate(pair)
    found = pair.sut.status()["daemon"]["data_path"]["xdp"]
    check([(x["interface"], x["in_use"]) for x in found] == [("wire", True)], f"status says of AF_XDP: {found}")


def flat(pair, kind="p256"):
    """Certificates of both ends straight from the root."""
    pki = Pki(pair.lab, kind)
    for daemon, name in zip(pair.both, ("alice.example", "bob.example")):
        daemon.tunnels = [t.but(credentials=pki.end(name, f"DNS:{name}", issuer=pki.root)) for t in daemon.tunnels]
    return pki


def by_certificate(kind):
    def run(this):
        pair = this.pair()
        flat(pair, kind)
        pair.start()
        this.initiate(pair)
    return run


def by_pss(this):
    """RSA by PSS from end to end, where the peer has to be told so."""
    pair = this.pair()
    flat(pair, "rsa-pss")
    if "strongswan" in this.kind:
        pair.peer.settings = "rsa_pss = yes"
    pair.start()
    this.initiate(pair)
    if "strongswan" in this.kind:
        certificates.signed_by_pss(pair.peer)


def by(initiator, responder):
    """Ends that prove themselves in different ways, or not at all."""
    def run(this):
        pair = this.pair()
        flat(pair)
        own, other = (initiator, responder) if this.role == "initiator" else (responder, initiator)
        for daemon, first, second in ((pair.sut, own, other), (pair.peer, other, own)):
            daemon.tunnels = [t.but(own_proof=first, peer_proof=second, local_id="" if first == "none" else t.local_id,
                                    remote_id="" if second == "none" else t.remote_id) for t in daemon.tunnels]
        pair.start()
        this.initiate(pair)
    return run


OCSP_PORT = 8680


def stapled(this):
    """OCSP responses go along in IKE, both ways (RFC 4806): whom the certificates name is on each end's own loopback."""
    pair = this.pair()
    pki = Pki(pair.lab)
    names = f"authorityInfoAccess = OCSP;URI:http://127.0.0.1:{OCSP_PORT}/\n"
    for daemon, name in zip(pair.both, ("alice.example", "bob.example")):
        daemon.tunnels = [t.but(credentials=pki.end(name + "-2", f"DNS:{name}", issuer=pki.root, extensions=names)) for t in daemon.tunnels]
    responder = f"openssl ocsp -index {pki.root.dir}/index -CA {pki.root.certificate} -rsigner {pki.root.certificate} -rkey {pki.root.key} " \
        f"-port {OCSP_PORT} -nmin 60 -ignore_err"
    ours = pair.lab.spawn("a", *responder.split(), output=pair.lab.path("ocsp"))
    theirs = int(pair.peer.inside_sh(f"{responder} >/dev/null 2>&1 </dev/null & echo $!"))
    pair.peer.plugins += " curl"
    pair.peer.tunnels = [t.but(swanctl="ocsp = both") for t in pair.peer.tunnels]
    pair.sut.more = 'revocation = "strict"\n'
    wait_until(lambda: f":{OCSP_PORT} " in pair.lab.exec("a", "ss", "-ltn"), 5, "our responder listens")
    try:
        pair.start()
        this.initiate(pair)
    finally:
        # The next round has certificates of its own.
        ours.kill()
        ours.wait()
        pair.peer.inside_sh(f"kill {theirs}", ok=None)
    for said in ("sending OCSP status for certificate", "received OCSP response issued by"):
        check(said in pair.peer.log(), f"strongSwan's log has no '{said}'")


def with_ppk(this):
    pair = this.pair(ppk=("office", PPK, True))
    pair.start()
    this.initiate(pair)
    check("keys with the PPK 'office'" in pair.sut.log(), "our log does not have the PPK")


EARLY = "keys with the PPK 'office' from IKE_INTERMEDIATE on"


def with_early_ppk(this):
    """libreswan 5.2 has it by the numbers of the draft."""
    pair = this.pair(ppk=("office", PPK, True), ppk_exchange="draft")
    pair.start()
    this.initiate(pair)
    check(EARLY in pair.sut.log(), "our log does not have the PPK")
    check("PPK used in IKE_INTERMEDIATE as" in pair.peer.log(), "the peer's log does not have it")
    pair.prove()
    # What the PPK brought stays in the keys.
    for rekey, of in ((pair.sut.rekey_ike, lambda state: set(state.ike)),
                      (pair.sut.rekey_child, lambda state: {c.spi_in for c in state.children})):
        known = [of(p.state()) for p in pair.both]
        rekey()
        wait_until(lambda: all(of(p.state()) - k for p, k in zip(pair.both, known)), 8, "new SAs at both ends")
        pair.prove()


def with_other_early_ppk(this):
    """Neither insists, and the secrets under the one name differ."""
    pair = this.pair(ppk=("office", PPK, False), ppk_exchange="draft", peer={"ppk": ("office", PPK[::-1], False)})
    pair.start()
    this.initiate(pair)
    check("keys with the PPK" not in pair.sut.log(), "our log has the PPK of which the peer has another")


def by_raw_key(kind):
    def run(this):
        pair = this.pair()
        for daemon, credentials in zip(pair.both, raw_ends(pair.lab, kind)):
            daemon.tunnels = [t.but(credentials=credentials) for t in daemon.tunnels]
        pair.start()
        this.initiate(pair)
    return run


def by_chain(this):
    pair = this.pair()
    fragments.chains(pair, "p256", this.driver.takes_chain)
    pair.start()
    this.initiate(pair)


def by_password(method):
    def run(this):
        pair = this.pair()
        pki = Pki(pair.lab)
        client = pair.sut if this.role == "initiator" else pair.peer
        for daemon, name in zip(pair.both, ("alice.example", "bob.example")):
            mine = eap.Eap((method,), eap.CAROL, eap.PASSWORD) if daemon is client else eap.Eap((method,), users=((eap.CAROL, eap.PASSWORD),))
            daemon.tunnels = [t.but(credentials=pki.end(name, f"DNS:{name}", issuer=pki.root), eap=mine) for t in daemon.tunnels]
        pair.start()
        this.initiate(pair)
    return run


def by_tls(method, version=None, only=False):
    """EAP with a method built on TLS: the client and the server have certificates, and names in them."""
    def run(this):
        pair = this.pair()
        pki = Pki(pair.lab)
        client, server = (pair.sut, pair.peer) if this.role == "initiator" else (pair.peer, pair.sut)
        inner = () if method == "tls" else ("mschapv2",)
        for daemon, proof, wish in (
                (client, pki.end("carol", "email:" + eap.CAROL, issuer=pki.root), eap.Eap((method,), eap.CAROL, eap.PASSWORD, inner=inner, only=only)),
                (server, pki.end("gateway", f"DNS:{server.tunnels[0].local_id}", issuer=pki.root),
                 eap.Eap((method,), users=((eap.CAROL, eap.PASSWORD),), inner=inner, only=only))):
            ids = {"local_id" if daemon is client else "remote_id": eap.CAROL}
            daemon.tunnels = [t.but(credentials=proof, eap=wish, **ids) for t in daemon.tunnels]
        if version:
            pair.peer.settings = f"tls {{\n version_min = {version}\n version_max = {version}\n }}\n" \
                "plugins {\n eap-ttls {\n phase2_method = mschapv2\n }\n }\n"
        pair.start()
        this.initiate(pair)
        check(f"by {method.upper()} has gone well" in pair.sut.log(), "our log does not say who came")
        if version:
            check(f"TLS {version}" in pair.peer.log(), f"the peer's log has no TLS {version}")
    return run


def wrong_password(this):
    pair = this.pair()
    pki = Pki(pair.lab)
    client = pair.sut if this.role == "initiator" else pair.peer
    for daemon, name in zip(pair.both, ("alice.example", "bob.example")):
        mine = eap.Eap(("mschapv2",), eap.CAROL, "not the pass phrase") if daemon is client else \
            eap.Eap(("mschapv2",), users=((eap.CAROL, eap.PASSWORD),))
        daemon.tunnels = [t.but(credentials=pki.end(name, f"DNS:{name}", issuer=pki.root), eap=mine) for t in daemon.tunnels]
    pair.start()
    eap.refused(pair, client, eap.CAROL + ".*MSCHAPV2", "password")


# -------------------------------------------------------------------------------------------------------------- refusals
def then_accepted(this, pair, tunnels):
    """What was refused was refused for that one reason: with the good certificate it works."""
    pair.sut.down_quietly()
    pair.peer.tunnels = tunnels
    pair.peer.reload()
    this.initiate(pair)


def expired(this):
    pair = this.pair()
    pki = flat(pair)
    good = list(pair.peer.tunnels)
    end = pki.end("late", "DNS:bob.example", issuer=pki.root, begin=-3600, end=-60)
    certificates.give(pair.peer, chain=end.chain, key=end.key)
    # A daemon that knows its own certificate to be over would not use it: its clock is slow.
    pair.lab.guest.sh(f"date -s @{int(time.time()) - BEHIND} >/dev/null")
    try:
        pair.start()
        certificates.refused(pair, this.role, r"expired: it ended on", ("expired",))
        then_accepted(this, pair, good)
    finally:
        pair.lab.guest.sh(f"date -s @{int(time.time())} >/dev/null")


def revoked(this):
    pair = this.pair()
    pki = flat(pair)
    renewed = [t.but(credentials=pki.end("bob2", "DNS:bob.example", issuer=pki.root)) for t in pair.peer.tunnels]
    pki.root.revoke(pair.peer.tunnels[0].credentials.chain[0])
    certificates.give(pair.sut, lists=(pki.root.revocation_list(),))
    pair.start()
    certificates.refused(pair, this.role, r"revoked", ("revoked",))
    then_accepted(this, pair, renewed)


def stranger(this):
    pair = this.pair()
    pki = flat(pair)
    good = list(pair.peer.tunnels)
    other = Authority(pki.folder, "stranger")
    certificate, key = other.issue("bob.example", "DNS:bob.example")
    certificates.give(pair.peer, chain=(certificate,), key=key)
    pair.start()
    certificates.refused(pair, this.role, r"neither believed", ("issuer",))
    then_accepted(this, pair, good)


# ------------------------------------------------------------------------------------------------------------- addresses
def address(this):
    """The initiator asks for its inner address, the responder has a pool of them."""
    gives = this.role == "responder"
    pair = remote_access.make(this.setup, sut_is_gateway=gives, **this.options)
    pki = Pki(pair.lab)
    for daemon, name in zip(pair.both, ("alice.example", "bob.example")):
        daemon.tunnels = [t.but(credentials=pki.end(name, f"DNS:{name}", issuer=pki.root)) for t in daemon.tunnels]
    pair.start()
    pair.asker.up()
    pair.wait_up(8)
    side = "b" if gives else "a"
    remote_access.prove(pair, side, remote_access.given_to(pair, pair.asker.kind, side))


# ---------------------------------------------------------------------------------------------------------------- rekeys
def rekeyed(what):
    """The role is that within the rekey: the initiator is who begins it."""
    def run(this):
        ours = this.role == "initiator"
        by_lifetime = not ours and this.driver.rekeys_by_lifetime
        pair = this.pair(peer={f"{what}_lifetime": this.driver.rekeys_by_lifetime} if by_lifetime else {})
        pair.start()
        pair.sut.up()
        pair.wait_up(8)
        pair.prove()
        before = [p.state() for p in pair.both]
        stream = Stream(pair.lab, "a")
        if not by_lifetime:
            mover = pair.sut if ours else pair.peer
            mover.rekey_child() if what == "child" else mover.rekey_ike()

        def changed():
            now = [p.state() for p in pair.both]
            if what == "child":
                return all({c.spi_in for c in n.children} - {c.spi_in for c in b.children} for n, b in zip(now, before))
            return all(set(n.ike) - set(b.ike) for n, b in zip(now, before))
        wait_until(changed, 40 if by_lifetime else 8, f"both ends have a new {what} SA", 0.2)
        this.one_each(pair)
        time.sleep(1)  # over the new one as well
        sent, lost = stream.finish()
        allowed = this.driver.rekeys_lose if what == "child" else 0
        check(sent > 20 and lost <= allowed, f"the stream lost {lost} of {sent} packets, we dropped {pair.sut.status()['packet_drops']}")
        pair.prove()
    return run


# -------------------------------------------------------------------------------------------------------------- mobility
SECOND = "192.0.2.77"


def moved(this):
    """Our address goes, and there is another: the same SAs go on from there, and back again when it comes home (RFC 4555)."""
    pair = this.pair(peer={"roams": True, "anybody": this.role == "initiator"}, sut={"roams": this.role == "initiator"}, liveness=2)
    near = "a" if this.role == "initiator" else "b"
    device, home = ("wire", OUTER["a"][4]) if near == "a" else (DEVICE, OUTER["b"][4])
    # The one that stays takes the place of the one that goes, with its route.
    pair.lab.exec(near, "sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=1")
    pair.lab.ip(near, "addr", "add", f"{SECOND}/24", "dev", device)
    try:
        pair.start()
        this.initiate(pair)
        check(pair.sut.tunnel()["ike_sas"][0]["mobike"], "no MOBIKE was agreed on")
        before = [{c.spi_in for c in p.state().children} for p in pair.both]
        for gone, there in ((home, SECOND), (SECOND, home)):
            if there == home:
                pair.lab.ip(near, "addr", "add", f"{home}/24", "dev", device)
            moves = pair.sut.log().count("moved from ")
            pair.lab.ip(near, "addr", "del", f"{gone}/24", "dev", device)
            pair.lab.ip(near, "route", "replace", "default", "via", OUTER["b" if near == "a" else "a"][4])
            wait_until(lambda: pair.sut.log().count("moved from ") > moves, 25, f"we know that the path is from {there} now", 0.2)
            wait_until(lambda: ping(pair.lab, "a", 4, 1, wait=0.3), 10, "a ping through the tunnel", 0.1)
            pair.prove()
        after = [{c.spi_in for c in p.state().children} for p in pair.both]
        check(before == after, f"other SAs: {before}, {after}")
    finally:
        for one, word in ((home, "replace"), (SECOND, "del")):
            pair.lab.exec(near, "ip", "addr", word, f"{one}/24", "dev", device, ok=None)


def moved_families(this):
    """Our network has only IPv6 all of a sudden, and then only IPv4 again: the same SAs go on over the other family (RFC 4555)."""
    pair = this.pair(peer={"roams": True, "anybody": this.role == "initiator"}, sut={"roams": True}, liveness=2)
    near, far = ("a", "b") if this.role == "initiator" else ("b", "a")
    device = "wire" if near == "a" else DEVICE

    def set_address(family, word):
        pair.lab.exec(near, "ip", "addr", word, f"{OUTER[near][family]}/{24 if family == 4 else 64}", "dev", device, *(["nodad"] if family == 6 and word != "del" else []), ok=None)
        pair.lab.exec(near, "ip", f"-{family}", "route", "del" if word == "del" else "replace", "default", "via", OUTER[far][family], ok=None)
        if word == "del" and near == "b":
            # The kernel's policies see only what has a route, and IPv4's have all gone with the address.
            pair.lab.exec(near, "ip", f"-{family}", "route", "replace", SUBNET[far][family], "dev", device, "src", INNER[near][family], ok=None)
    try:
        pair.start()
        this.initiate(pair)
        check(pair.sut.tunnel()["ike_sas"][0]["mobike"], "no MOBIKE was agreed on")
        before = [{c.spi_in for c in p.state().children} for p in pair.both]
        for there, gone in ((6, 4), (4, 6)):
            set_address(there, "replace")
            moves = pair.sut.log().count("moved from ")
            set_address(gone, "del")
            wait_until(lambda: pair.sut.log().count("moved from ") > moves, 25, f"we know that the path is of IPv{there} now", 0.2)
            wait_until(lambda: ping(pair.lab, "a", 4, 1, wait=0.3), 10, "a ping through the tunnel", 0.1)
            path = str(pair.sut.tunnel()["ike_sas"][0]["remote"])
            check((":" in path.rsplit(":", 1)[0]) == (there == 6), f"the path should be of IPv{there}: {path}")
            pair.prove()
        after = [{c.spi_in for c in p.state().children} for p in pair.both]
        check(before == after, f"other SAs: {before}, {after}")
    finally:
        for family in (4, 6):
            set_address(family, "replace")


# ------------------------------------------------------------------------------------------------------------------ NAT
def remapped(address=NAT_OUTSIDE, **options):
    """The initiator's NAT forgets its mapping: the first packet from inside has another port, or address, and both ends go on with the
    SAs that they have (RFC 7296 2.23). What the kernel has counted, inward and outward, is the same as what we have."""
    def run(this):
        inside = "a" if this.role == "initiator" else "b"
        this.lab.put_nat(inside)
        pair = this.pair(peer={"anybody": inside == "a"}, sut={"anybody": inside == "b"}, liveness=2, **options)
        pair.start()
        this.initiate(pair)
        before = [{c.spi_in for c in p.state().children} for p in pair.both]
        known = pair.sut.tunnel()["ike_sas"][0]["remote"]
        taken = []
        for turn in (1, 2):
            pair.lab.new_mapping(address if turn == 1 else NAT_OUTSIDE)
            taken.append(wait_for_traffic(pair.lab, inside, seconds=20))
            pair.prove()
        this.setup.note(f"{'ours' if inside == 'a' else 'theirs'} after {taken[0]:.1f} and {taken[1]:.1f} s")
        after = [{c.spi_in for c in p.state().children} for p in pair.both]
        check(before == after, f"other SAs: {before}, {after}")
        if inside == "b":
            wait_until(lambda: pair.sut.tunnel()["ike_sas"][0]["remote"] != known, 10, "IKE is where ESP is now")
        # IKE, too, from outside to inside.
        outer = pair.peer if inside == "a" else pair.sut
        if outer is pair.sut or not this.driver.rekeys_by_lifetime:
            outer.rekey_child()
            wait_until(lambda: all({c.spi_in for c in p.state().children} - old for p, old in zip(pair.both, after)), 10, "new SAs at both ends")
            this.one_each(pair)
            pair.prove()
    return run


AUTHENTICATION = (
    Subject("psk", "shared secret", by_secret),
    Subject("ipv6", "shared secret, IPv6 inside and outside", lambda this: by_secret(this, 6)),
    Subject("rsa", "RSA certificates", by_certificate("rsa")),
    Subject("p256", "ECDSA certificates, P-256", by_certificate("p256")),
    Subject("p384", "ECDSA certificates, P-384", by_certificate("p384")),
    Subject("p521", "ECDSA certificates, P-521", by_certificate("p521")),
    Subject("ed25519", "Ed25519 certificates", by_certificate("ed25519")),
    Subject("ed448", "Ed448 certificates", by_certificate("ed448")),
    Subject("rsa-pss", "RSA certificates that their authority has signed by PSS, and our AUTH by PSS", by_pss),
    Subject("raw-rsa", "RSA keys without certificates", by_raw_key("rsa")),
    Subject("raw-p256", "ECDSA keys without certificates", by_raw_key("p256")),
    Subject("chain", "an authority between, sent along by either end", by_chain),
    Subject("stapled", "OCSP responses about either end within IKE, which nobody else could be asked (RFC 4806)", stapled),
    Subject("mixed", "the initiator by shared secret, the responder by certificate", by("secret", "certificate")),
    Subject("null-client", "the initiator is nobody, the responder has a certificate (RFC 7619)", by("none", "certificate")),
    Subject("null", "neither end proves anything (RFC 7619)", by("none", "none")),
    Subject("ppk", "shared secret and a PPK (RFC 8784)", with_ppk),
    Subject("ppk-early", "shared secret and a PPK in IKE_INTERMEDIATE (RFC 9867, by the draft's numbers), then rekeys", with_early_ppk),
    Subject("ppk-early-other", "another PPK of the same name in IKE_INTERMEDIATE, on which neither insists", with_other_early_ppk))
PLAIN = (
    Subject("plain", "ESP as protocol 50", without_udp),
    Subject("xdp", "ESP as protocol 50, on our side by AF_XDP", around_the_kernel))
PASSWORDS = (
    Subject("eap-mschapv2", "the initiator by EAP-MSCHAPv2", by_password("mschapv2")),
    Subject("eap-md5", "the initiator by EAP-MD5", by_password("md5")),
    Subject("eap-wrong", "a wrong password in EAP-MSCHAPv2 is refused", wrong_password))
BY_TLS = (
    Subject("eap-tls-1.2", "the initiator by EAP-TLS, TLS 1.2", by_tls("tls", "1.2")),
    Subject("eap-tls-1.3", "the initiator by EAP-TLS, TLS 1.3 (RFC 9190)", by_tls("tls", "1.3")),
    Subject("eap-ttls-1.3", "the initiator by EAP-TTLS, TLS 1.3 (RFC 9427)", by_tls("ttls", "1.3")),
    Subject("eap-tls-only", "both by EAP-TLS alone (RFC 5998)", by_tls("tls", only=True)))
REFUSALS = (
    Subject("expired", "the peer's certificate has ended: refused, and let in with another", expired),
    Subject("revoked", "the peer's certificate is revoked: refused, and let in with another", revoked),
    Subject("stranger", "the peer's authority is not ours: refused, and let in with another", stranger))
ADDRESSES = (Subject("address", "the initiator gets its inner address of the responder's pool", address),)
REKEYS = (Subject("rekey-child", "the Child SA is rekeyed under traffic, begun by the initiator", rekeyed("child")),
          Subject("rekey-ike", "the IKE SA is rekeyed under traffic, begun by the initiator", rekeyed("ike")))
MOBILITY = (Subject("mobike", "the initiator's address changes, and changes back: the same SAs go on (RFC 4555)", moved),
            Subject("mobike-families", "the initiator has IPv6 alone all of a sudden, then IPv4 again: the same SAs go on (RFC 4555)", moved_families))
def healed(**options):
    """The initiator's NAT forgets its mapping, and the peer's kernel may stay with the old one: traffic comes back all the same, by other SAs."""
    def run(this):
        this.lab.put_nat("a")
        pair = this.pair(peer={"anybody": True}, liveness=2, **options)
        pair.start()
        this.initiate(pair)
        pair.lab.new_mapping(NAT_OUTSIDE)
        this.setup.note(f"ours is back after {wait_for_traffic(pair.lab, 'a', seconds=30):.1f} s")
        pair.wait_up(8)
        pair.prove()
    return run


NATS = (Subject("nat-port", "the NAT before the initiator forgets its mapping: the same SAs go on from another port (RFC 7296 2.23)", remapped(mobike=False)),
        Subject("nat-address", "the same, and from another address as well", remapped(NAT_SECOND, mobike=False)),
        Subject("nat-mobike", "the same from another address, with MOBIKE (RFC 4555 3.8)", remapped(NAT_SECOND, roams=True)),
        Subject("nat-healed", "the NAT before us forgets its mapping: traffic is back, with peers that stay at the old one by new SAs", healed(mobike=False), roles=("initiator",)))
MESSAGES = life.SUBJECTS + tcp.SUBJECTS
GROUPS = (("plain", "ESP as protocol 50", PLAIN),
          ("auth", "every authentication it has", AUTHENTICATION),
          ("refusals", "EAP, and whom we refuse and why", PASSWORDS + BY_TLS + REFUSALS),
          ("life", "inner addresses from a pool, rekeys under traffic, resumption", ADDRESSES + REKEYS + resumption.SUBJECTS),
          ("mobike", "addresses that change (RFC 4555)", MOBILITY),
          ("nat", "a NAT that forgets its mapping", NATS),
          ("messages", "IKE SAs that begin without a Child SA, and IKE in TCP", MESSAGES),
          ("fragments", "IKE messages in fragments of their own (RFC 7383)", fragments.SUBJECTS),
          ("quantum", "additional key exchanges and ML-KEM, where it has them", post_quantum.SUBJECTS))
SUBJECTS = tuple(subject for _, _, subjects in GROUPS for subject in subjects)
PEERS = {"strongswan-kernel": "strongSwan of Debian 12", "strongswan-next": "strongSwan of Debian 13",
         "libreswan-12": "libreswan of Debian 12", "libreswan-13": "libreswan of Debian 13",
         "iked-12": "OpenIKED of Debian 12", "iked-13": "OpenIKED of Debian 13",
         "strongswan-newest": "strongSwan of Debian 14"}

# For a closer look at some rounds: CULVERT_ROUNDS='raw|psk' tests/interop/run guest-libreswan
for _kind, _name in PEERS.items():
    for _group, _about, _subjects in GROUPS:
        @case(f"guest-{_kind}-{_group}", f"{_name} in a guest, in both roles: {_about}", seconds=700, only=("culvert",))
        def _(setup, kind=_kind, group=_group, subjects=_subjects):
            play(setup, f"guest-{kind}-{group}", kind, subjects, "guest-nat" if group == "nat" else "guest")
