"""How IKE SAs begin, move, are proved anew and come back: childless (RFC 6023), redirection (RFC 5685), AUTH_LIFETIME (RFC 4478) and
crash tokens (RFC 6290)."""

import re
import signal
import time

from rig import traffic
from rig.case import case
from rig.rounds import Subject
from rig.shell import Failed, check, wait_until

CHILDLESS = re.compile(r"sent IKE_AUTH request .* without a Child SA|set up the IKE SA without a Child SA")


def initiator(pair, role):
    return pair.sut if role == "initiator" else pair.peer


def rekeys(pair, role):
    before = [p.state() for p in pair.both]
    initiator(pair, role).rekey_ike()
    wait_until(lambda: all(set(p.state().ike) - set(b.ike) for p, b in zip(pair.both, before)), 8, "a new IKE SA at both ends")
    pair.prove()
    initiator(pair, role).rekey_child()
    wait_until(lambda: all({c.spi_in for c in p.state().children} - {c.spi_in for c in b.children} for p, b in zip(pair.both, before)),
               8, "a new Child SA at both ends")
    pair.prove()


def none_lost(streams, most=0):
    for stream in streams:
        sent, lost = stream.finish()
        check(lost <= most, f"{lost} of {sent} packets were lost")


# ---------------------------------------------------------------- childless

for _role in ("initiator", "responder"):
    @case(f"childless-{_role}", f"we are the {_role}: the IKE SA begins without a Child SA, on which the initiator insists; rekeys of both")
    def _(setup, role=_role):
        words = {"sut": {"ours": 'childless = "force"'}} if role == "initiator" else {"peer": {"swanctl": "childless = force"}}
        pair = setup.pair(esp="aes256gcm16-x25519", **words)
        initiator(pair, role).up()
        pair.wait_up()
        check(CHILDLESS.search(pair.sut.log()), "our log has a Child SA in IKE_AUTH")
        pair.prove()
        rekeys(pair, role)

    @case(f"childless-{_role}-never", f"we are the {_role}: the responder does not take IKE SAs without a Child SA; who prefers them goes on "
          "with one, who insists does not come up")
    def _(setup, role=_role):
        words = {"sut": {"ours": 'childless = "prefer"'}, "peer": {"swanctl": "childless = never"}} if role == "initiator" else \
            {"sut": {"ours": 'childless = "never"'}, "peer": {"swanctl": "childless = allow"}}
        pair = setup.pair(**words)
        initiator(pair, role).up()
        pair.wait_up()
        check(not CHILDLESS.search(pair.sut.log()), "our log has no Child SA in IKE_AUTH")
        pair.prove()
        initiator(pair, role).down()
        pair.wait_down()
        if role == "initiator":
            pair.sut.tunnels = [t.but(ours='childless = "force"') for t in pair.sut.tunnels]
            pair.sut.reload()
        else:
            pair.peer.tunnels = [t.but(swanctl="childless = force") for t in pair.peer.tunnels]
            pair.peer.reload()
        try:
            initiator(pair, role).up()
        except Failed:
            pass
        check(not any(p.state().up for p in pair.both), "there is a tunnel in spite of it")


# pluto begins so for labelled traffic only (RFC 9478), and its kernel then asks for the Child SA: with the name that Linux has for
# everything while SELinux has no policy, as in a guest.
PLUTO_LABEL = (("policy-label", "system_u:object_r:ipsec_spd_t:s0"),)
KERNEL_LABEL = 'security_label = "0x' + b"kernel\0".hex() + '"'


def begun_childless(this):
    """The same with who is in a guest: its first Child SA comes by CREATE_CHILD_SA, with a key exchange of its own."""
    ours, by_label = this.role == "initiator", this.role == "responder" and "libreswan" in this.kind
    peer = {"pluto": PLUTO_LABEL} if by_label else {} if ours else {"swanctl": "childless = force"}
    pair = this.pair(esp="aes256gcm16-x25519", sut={"ours": 'childless = "force"' if ours else KERNEL_LABEL if by_label else ""}, peer=peer)
    pair.start()
    if by_label:
        pair.peer.up()
        check(not any(p.state().children for p in pair.both), "there is a Child SA before anybody has asked for one")
        wait_until(lambda: traffic.ping(this.lab, "b", 4, 1, wait=0.3), 10, "a ping through the tunnel that the peer's kernel has asked for", 0.1)
        pair.wait_up(8)
        pair.prove()
    else:
        this.initiate(pair)
    check(CHILDLESS.search(pair.sut.log()), "our log has a Child SA in IKE_AUTH")
    rekeys(pair, "initiator" if by_label and not this.driver.rekeys_labelled else this.role)


SUBJECTS = (Subject("childless", "the IKE SA begins without a Child SA, on which the initiator insists (RFC 6023), then rekeys of both",
                    begun_childless),)

# ---------------------------------------------------------------- crash tokens

@case("crash-token", "Culvert at both ends; one is killed and started again: the other is told by its token, and packets flow again "
      "within seconds", only=("culvert",))
def _(setup):
    pair = setup.pair(peer_kind="culvert", sut={"start": "auto"})
    pair.wait_up(8)
    pair.prove()
    pair.peer.kill(signal.SIGKILL)
    begin = time.monotonic()
    pair.peer.start()
    traffic.wait_for_traffic(pair.lab, "a", seconds=15)
    took = time.monotonic() - begin
    setup.note(f"traffic back {took:.2f} s after the start")
    check("has proved that it knows nothing of this IKE SA" in pair.sut.log(), "no token has ended the old IKE SA")
    check(took < 5, f"traffic came back only {took:.1f} s after the start")
    pair.wait_up()
    pair.prove()
    secret = pair.peer.daemon["state"] + "/crash-secret"
    mode = pair.lab.exec("b", "stat", "-c", "%a %s", secret).strip()
    check(mode == "600 32", f"the secret has mode and size {mode}")


# ---------------------------------------------------------------- redirection

def second_address(pair, side):
    """Where another gateway seems to be: a further outer address of that end, with the same daemon."""
    interface = pair.lab.exec(side, "sh", "-c", f"ip -o -4 addr | grep -F '{pair.lab.outer(side, 4)}/' | awk '{{print $2}}'").split()[0]
    prefix = pair.lab.outer(side, 4).rsplit(".", 1)[0]
    address = f"{prefix}.2{'01' if side == 'a' else '02'}"
    pair.lab.exec(side, "ip", "addr", "add", f"{address}/24", "dev", interface)
    return address


def at(pair, address):
    """Our end has its IKE SA with, or at, that address."""
    return any(address in str(sa) for sa in pair.sut.tunnel()["ike_sas"])


for _kind in ("strongswan", "culvert"):
    _both = "-culvert" if _kind == "culvert" else ""

    @case(f"redirect-init{_both}", f"we are the gateway and send the client ({_kind}) elsewhere in IKE_SA_INIT; it follows",
          only=("culvert",))
    def _(setup, kind=_kind):
        pair = setup.pair(peer_kind=kind, launch=False, **({"peer": {"ours": "follow_redirect = true"}} if kind == "culvert" else {}))
        second = second_address(pair, "a")
        pair.sut.tunnels = [t.but(local="", ours=f'redirect_to = "{second}"') for t in pair.sut.tunnels]
        pair.start()
        pair.peer.up()
        pair.wait_up()
        check(at(pair, second), "the IKE SA is not at the second gateway")
        pair.prove()

    @case(f"redirect-active{_both}", f"we are the gateway and send the client ({_kind}) elsewhere while the tunnel is up, by command; it follows",
          only=("culvert",))
    def _(setup, kind=_kind):
        pair = setup.pair(peer_kind=kind, sut={"local": ""}, **({"peer": {"ours": "follow_redirect = true"}} if kind == "culvert" else {}))
        second = second_address(pair, "a")
        pair.peer.up()
        pair.wait_up()
        pair.prove()
        streams = [traffic.Stream(pair.lab, side) for side in ("a", "b")] if kind == "culvert" else []
        pair.sut.command("redirect", "net", second)
        wait_until(lambda: at(pair, second) and len(pair.sut.tunnel()["ike_sas"]) == 1, 12, "the IKE SA is at the second gateway alone")
        none_lost(streams)
        pair.wait_up()
        pair.prove()


# ---------------------------------------------------------------- authentication that runs out

@case("reauth-initiator", "strongSwan says that its authentication is good for 20 s: we prove ourselves anew in time, and the traffic goes on")
def _(setup):
    pair = setup.pair(peer={"swanctl": "reauth_time = 20s\n    over_time = 20s\n    rand_time = 0s\n    rekey_time = 0s"})
    pair.sut.up()
    pair.wait_up()
    pair.prove()
    first = pair.sut.state().ike
    streams = [traffic.Stream(pair.lab, side) for side in ("a", "b")]
    wait_until(lambda: pair.sut.state().up and set(pair.sut.state().ike) - set(first), 25, "another IKE SA")
    wait_until(lambda: len(pair.sut.state().ike) == 1 and len(pair.peer.state().ike) == 1, 8, "one IKE SA at both ends")
    none_lost(streams, 3)  # one at a time goes where strongSwan changes its policies; between two of ours none does
    pair.prove()


@case("reauth-responder", "we say that our authentication is good for 20 s: strongSwan proves itself anew in time")
def _(setup):
    pair = setup.pair(sut={"ours": "reauthentication = 20"}, peer={"swanctl": "over_time = 5s\n    rand_time = 0s"})
    pair.peer.up()
    pair.wait_up()
    pair.prove()
    first = pair.sut.state().ike
    wait_until(lambda: pair.sut.state().up and not set(pair.sut.state().ike) & set(first), 40, "another IKE SA in its place")
    pair.wait_up()
    pair.prove()


@case("reauth-culvert", "Culvert at both ends, the authentication is good for 10 s: several new proofs, and no packet is lost", only=("culvert",))
def _(setup):
    pair = setup.pair(peer_kind="culvert", peer={"ours": "reauthentication = 10"})
    pair.sut.up()
    pair.wait_up()
    seen = set(pair.sut.state().ike)
    streams = [traffic.Stream(pair.lab, side) for side in ("a", "b")]

    def enough():
        seen.update(pair.sut.state().ike)
        return len(seen) >= 4
    wait_until(enough, 45, "three more IKE SAs, one after the other")
    none_lost(streams)
    pair.wait_up()
    pair.prove()
