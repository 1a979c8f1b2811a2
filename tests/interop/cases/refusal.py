"""What the two cannot agree on: refused with the reason, nothing half-made left, and well once it is mended."""

import re

from rig.case import case
from rig.shell import Failed, check


def called_in_vain(pair):
    """Both begin, and the peer calls; what our end makes of it is for the case to look at."""
    pair.start()
    try:
        pair.peer.up()
    except Failed:
        pass


def mended(pair, good):
    """With the right configuration the same daemon takes the same peer."""
    pair.sut.tunnels = good
    pair.sut.reload()
    pair.peer.up()
    pair.wait_up()
    pair.prove()


def refuse(setup, role, reason, wrong):
    pair = setup.pair(launch=False)
    good = pair.sut.tunnels
    pair.sut.tunnels = [t.but(**wrong) for t in good]
    pair.start()
    text = None
    try:
        (pair.sut if role == "initiator" else pair.peer).up()
    except Failed as refusal:
        text = str(refusal)
    check(text is not None, "the tunnel came up although it must not")
    check(re.search(reason, text + pair.sut.log(), re.I), f"our end does not say why (looked for '{reason}')")
    # A child that cannot be agreed on leaves the IKE SA that carried the talk; nothing else may stay.
    check(not pair.sut.state().children, "our end has a child SA")
    check(not pair.peer.state().children, "the peer has a child SA")
    pair.sut.down_quietly()
    pair.peer.down_quietly()
    pair.sut.tunnels = good
    pair.sut.reload()
    (pair.sut if role == "initiator" else pair.peer).up()
    pair.wait_up()
    pair.prove()


def add(name, about, reason, wrong, only=None):
    for role in ("initiator", "responder"):
        @case(f"{name}-{role}", f"{about}, we are the {role}", **({"only": only} if only else {}))
        def _(setup, role=role):
            refuse(setup, role, reason, wrong)


add("wrong-psk", "the secrets differ", r"AUTHENTICATION_FAILED|MAC mismatched", {"secret": "not the same secret"})
add("no-common-ike", "no IKE proposal in common", r"NO_PROPOSAL_CHOSEN|proposals? unacceptable|no acceptable proposal", {"ike": "aes128-sha256-ecp384"})
add("no-common-esp", "no ESP proposal in common", r"NO_PROPOSAL_CHOSEN|proposals? unacceptable|no acceptable proposal", {"esp": "aes128-sha512"})
add("no-common-selectors", "the protected networks do not overlap", r"TS_UNACCEPTABLE|traffic selectors .*(unacceptable|nothing in common)",
    {"local_ts": ("10.8.0.0/16",)})
add("aggfrag-declined", "we want AGGFRAG payloads and the peer does not know them", r"AGGFRAG", {"aggfrag": "{ }"}, only=("culvert",))


@case("unknown-identity", "the peer says it is somebody else than we expect: it hears that it failed and no more, the tunnel's status says who it was",
      only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False)
    good = pair.sut.tunnels
    pair.sut.tunnels = [t.but(remote_id="carol.example") for t in good]
    called_in_vain(pair)
    check(not pair.sut.state().ike, "it was let in")
    failure = pair.sut.tunnel()["last_failure"]
    check(failure and failure["kind"] == "unknown_peer", f"the tunnel's last failure is {failure}")
    refusal = failure.get("refusal")
    check(refusal and refusal["check"] == "identity" and "bob.example" in refusal["found"], f"the structured reason is {refusal}")
    check([one["identity"] for one in pair.sut.why()] == ["bob.example"], f"culvert why says {pair.sut.why()}")
    check("AUTH_FAILED" in pair.peer.log() and "carol" not in pair.peer.log(), "the peer was told nothing, or too much")
    mended(pair, good)


@case("unknown-identity-of-several", "two tunnels are for the peer's address and it says it is neither: no tunnel is blamed, `culvert why` names it",
      only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False)
    good = pair.sut.tunnels
    pair.sut.tunnels = [t.but(remote_id="carol.example") for t in good]
    pair.sut.tunnels += [t.but(name="other", remote_id="dave.example", local_ts=("10.8.0.0/16",), remote_ts=("10.9.0.0/16",)) for t in good]
    called_in_vain(pair)
    check(not pair.sut.state().ike, "it was let in")
    check(not any(pair.sut.tunnel(name).get("last_failure") for name in ("net", "other")), "a tunnel is blamed")
    why = pair.sut.why("bob.example")
    check(len(why) == 1 and why[0]["kind"] == "unknown_peer" and why[0]["tunnel"] == "", f"culvert why says {why}")
    check(all(word in why[0]["message"] for word in ("bob.example", "carol.example", "dave.example")), f"it says {why[0]['message']}")
    mended(pair, good)


@case("unknown-address", "the peer calls from an address that no tunnel is for: `culvert why` names it", only=("culvert",))
def _(setup):
    pair = setup.pair(launch=False)
    good = pair.sut.tunnels
    pair.sut.tunnels = [t.but(remote="192.0.2.77") for t in good]
    called_in_vain(pair)
    why = pair.sut.why(good[0].remote)
    check(len(why) == 1 and why[0]["kind"] == "unknown_peer" and why[0]["began"] == "peer", f"culvert why says {why}")
    mended(pair, good)
