"""Setting up, in both roles, over both families, with every suite that the two have in common."""

from rig import traffic
from rig.case import case
from rig.shell import check

ESP = ("aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes128-sha256", "aes256-sha256", "aes256-sha512", "null-sha256")
IKE = ("aes256gcm16-prfsha256-x25519", "aes128-sha256-modp2048", "aes256-sha512-modp3072", "chacha20poly1305-prfsha384-ecp384",
       "aes128gcm16-prfsha512-ecp256", "aes128-aesxcbc-prfaesxcbc-x25519", "aes256-aescmac-prfaescmac-x25519",
       "aes256gcm16-prfsha512-ecp521", "aes256gcm16-prfsha512-curve448", "aes256gcm16-prfsha256-ecp256bp", "aes256gcm16-prfsha384-ecp384bp",
       "aes256gcm16-prfsha512-ecp512bp", "aes256-sha256-modp4096", "aes256-sha384-modp6144", "aes256-sha512-modp8192")
OLD_GROUPS = ("modp1024", "modp1536")  # with compat only


def initiate(pair, role):
    (pair.sut if role == "initiator" else pair.peer).up()
    pair.wait_up()
    pair.prove()


def add(role, outer, esp):
    @case(f"{role}-v{outer}-{esp}", f"we are the {role}, IPv{outer} outside, {esp} for ESP")
    def _(setup):
        initiate(setup.pair(outer=outer, esp=esp), role)


def add_ike(role, ike):
    @case(f"{role}-ike-{ike}", f"we are the {role}, {ike} for IKE")
    def _(setup):
        initiate(setup.pair(ike=ike), role)


def add_old_group(role, group):
    @case(f"{role}-ike-{group}", f"we are the {role}, {group} for IKE, as compat allows", only=("culvert",))
    def _(setup):
        pair = setup.pair(ike=f"aes128-sha256-{group}", launch=False)
        pair.sut.more = f'compat = ["{group}"]\n'
        pair.start()
        initiate(pair, role)


for _role in ("initiator", "responder"):
    for _esp in ESP:
        add(_role, 4, _esp)
    for _esp in ("aes128gcm16", "aes256-sha256"):
        add(_role, 6, _esp)
    for _ike in IKE[1:]:
        add_ike(_role, _ike)
    for _group in OLD_GROUPS:
        add_old_group(_role, _group)


@case("defaults", "neither suites nor identities named on our side: what we offer by default is something strongSwan takes")
def defaults(setup):
    pair = setup.pair(launch=False, sut={"ike": "", "esp": "", "local_id": "", "remote_id": ""},
                      peer={"ike": "default", "esp": "default", "local_id": "192.0.2.2", "remote_id": "192.0.2.1"})
    pair.start()
    initiate(pair, "initiator")


@case("initiator-invalid-ke", "the peer wants another key exchange method than our first: INVALID_KE_PAYLOAD, then a second try")
def initiator_invalid_ke(setup):
    initiate(setup.pair(sut={"ike": "aes128-sha256-x25519-ecp384"}, peer={"ike": "aes128-sha256-ecp384"}), "initiator")


@case("responder-invalid-ke", "we want another key exchange method than the peer's first: it gets INVALID_KE_PAYLOAD and tries again")
def responder_invalid_ke(setup):
    initiate(setup.pair(sut={"ike": "aes128-sha256-ecp384"}, peer={"ike": "aes128-sha256-x25519-ecp384"}), "responder")


@case("initiator-narrowed", "the peer takes less than we offer: traffic selectors are narrowed")
def initiator_narrowed(setup):
    initiate(setup.pair(peer={"local_ts": ("10.2.0.0/24",), "remote_ts": ("10.1.0.0/24",)}), "initiator")


@case("responder-narrows", "we take less than the peer offers: traffic selectors are narrowed")
def responder_narrows(setup):
    initiate(setup.pair(sut={"local_ts": ("10.1.0.0/24",), "remote_ts": ("10.2.0.0/24",)}), "responder")


@case("on-demand", "nothing is up until the first packet asks for it", only=("culvert",))
def on_demand(setup):
    pair = setup.pair(sut={"start": "on-demand"})
    check(not pair.sut.state().ike, "an IKE SA before there was a reason for one")
    traffic.wait_for_traffic(pair.lab, "a")
    pair.prove()


@case("both-families-inside", "IPv4 and IPv6 networks in one child SA")
def both_families(setup):
    pair = setup.pair(inner=(4, 6))
    pair.sut.up()
    pair.wait_up()
    pair.prove(4)
    pair.prove(6)


@case("v4-in-v6", "IPv4 inside, IPv6 outside")
def v4_in_v6(setup):
    initiate(setup.pair(outer=6), "initiator")


@case("large-packets", "packets of every size up to and past the tunnel's MTU, both ways")
def large_packets(setup):
    pair = setup.pair(esp="aes256-sha256")
    pair.sut.up()
    pair.wait_up()
    for size in (0, 1, 15, 16, 17, 512, 1200, 1372, 1400, 1472, 3000):
        for side in ("a", "b"):
            got = traffic.ping(pair.lab, side, 4, 2, size=size)
            check(got == 2, f"ping of {size} bytes from {side}: {got} of 2 came back")
    pair.prove()
