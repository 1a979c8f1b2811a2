"""tshark reads our IKE and our ESP with the keys we export; and gets none unless asked to."""

import os

from rig import shell, wire
from rig.case import case
from rig.shell import check, need_tool

ONLY = ("culvert",)


def decode(keys, pcap, *args):
    """tshark with our key tables; one line per frame."""
    return shell.run("env", f"WIRESHARK_CONFIG_DIR={keys}", "tshark", "-n", "-r", pcap,
                     "-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE", *args, timeout=60)


def add(ike, esp, encapsulation, peer_kind):
    @case(f"tshark-{ike.split('-')[0]}-{esp}-{encapsulation}", f"tshark decrypts IKE ({ike}) and ESP ({esp}) with exported keys", only=ONLY,
          seconds=90)
    def _(setup):
        need_tool("tshark", "tshark")
        pair = setup.pair(launch=False, ike=ike, esp=esp, encapsulation=encapsulation, peer_kind=peer_kind)
        keys = pair.lab.path("keys")
        os.makedirs(keys)
        pair.sut.daemon["export_keys"] = keys
        capture = wire.Capture(pair.lab, "a")
        pair.start()
        pair.sut.up()
        pair.wait_up()
        pair.prove()
        pair.sut.rekey_child()
        pair.sut.rekey_ike()
        pair.prove()
        pair.sut.rekey_child()
        pair.prove()
        pair.sut.down()
        pair.wait_down()
        classes, _ = capture.stop()

        esp_frames = classes[wire.ESP] + classes[wire.ESP_UDP]
        pings = decode(keys, capture.file, "-Y", "esp && icmp", "-T", "fields", "-e", "icmp.type").split()
        check(len(pings) == esp_frames >= 60, f"{esp_frames} ESP packets, but tshark sees a ping in {len(pings)}")
        encrypted = decode(keys, capture.file, "-Y", "isakmp.exchangetype != 34 && isakmp.flags != 0", "-T", "fields",
                           "-e", "isakmp.enc.decrypted").split("\n")[:-1]
        opened = sum(1 for line in encrypted if line)
        check(encrypted and opened == len(encrypted), f"{len(encrypted)} encrypted IKE messages, tshark opened {opened}")
        setup.note(f"{len(pings)} ESP packets and {opened} IKE messages decrypted")
        pair.sut.up()
        pair.wait_up()
        pair.prove()


add("aes256gcm16-prfsha256-x25519", "aes128gcm16", "udp", "strongswan")
add("aes256-sha256-modp2048", "aes256-sha256", "udp", "strongswan")
add("aes128gcm16-prfsha384-ecp256", "aes256gcm16-esn", "esp", "culvert")


@case("keys-stay-inside", "without export_keys no key is written anywhere and none is logged", only=ONLY)
def no_keys(setup):
    pair = setup.pair()
    pair.sut.up()
    pair.wait_up()
    files = sorted(name for _, _, names in os.walk(pair.sut.dir) for name in names)
    # crash-secret is no IKE SA's: what crash tokens are made from (RFC 6290).
    check(set(files) <= {"culvert.toml", "log", "sock", "sock.lock", "crash-secret"}, f"culvertd wrote files: {files}")
    check(pair.sut.tunnels[0].secret not in pair.sut.log(), "the secret is in the log")
    check(pair.sut.status()["daemon"]["export_keys"] == "", "status says that keys are exported")
    pair.prove()
