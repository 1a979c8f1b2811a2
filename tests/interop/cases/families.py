"""Culvert at both ends: every mix of families, every suite, both ways to carry ESP."""

from rig import wire
from rig.case import case
from rig.shell import check

ONLY = ("culvert",)


def add(outer, inner, esp, encapsulation):
    form = "protocol 50" if encapsulation == "esp" else "UDP"

    @case(f"culvert-v{inner}-in-v{outer}-{esp}-{encapsulation}", f"IPv{inner} inside, IPv{outer} outside, {esp}, ESP in {form}",
          only=ONLY)
    def _(setup):
        pair = setup.pair(outer=outer, inner=(inner,), esp=esp, encapsulation=encapsulation, peer_kind="culvert")
        capture = wire.Capture(pair.lab, "a")
        pair.sut.up()
        pair.wait_up()
        pair.prove(inner)
        pair.peer.rekey_child()
        pair.sut.rekey_ike()
        pair.prove(inner)
        classes, others = capture.stop()
        want, other = (wire.ESP, wire.ESP_UDP) if encapsulation == "esp" else (wire.ESP_UDP, wire.ESP)
        check(classes[want] >= 20 and not classes[other], f"ESP should travel in {form}: {dict(classes)}")
        check(not classes[wire.OTHER], f"on the wire: {others}")


for _outer in (4, 6):
    for _inner in (4, 6):
        add(_outer, _inner, "aes128gcm16-esn", "udp")
        add(_outer, _inner, "aes256-sha256", "esp")
for _esp in ("aes256gcm16", "chacha20poly1305", "aes128-sha256-esn", "aes256-sha512", "null-sha256"):
    add(4, 4, _esp, "udp")
for _esp in ("aes256gcm16-esn", "chacha20poly1305-esn", "null-sha512-esn"):
    add(4, 4, _esp, "esp")
