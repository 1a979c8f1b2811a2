"""Additional key exchanges and ML-KEM (RFC 9370, RFC 9242) with who has them, and what our offer does to who has not.

Every round ends with pings both ways that the SAs of both ends have counted.
"""

import re
import time

from rig.rounds import Subject
from rig.shell import check, wait_until
from rig.traffic import Stream

HYBRID = "aes256gcm16-prfsha256-x25519-ke1_mlkem768"


def suites(pair):
    """Of IKE and of ESP, as we say them; and what the peer lists, in capitals."""
    sa = pair.sut.tunnel("net")["ike_sas"][0]
    return sa["suite"], sa["children"][0]["suite"], pair.peer._swanctl("--list-sas").upper()


def check_suites(pair, ike, esp=""):
    """`ike` and `esp` are the words of the additional key exchanges that both ends must name."""
    ours_ike, ours_esp, theirs = suites(pair)
    for word in ike.split():
        check(word in ours_ike.split("-"), f"our IKE SA is {ours_ike}, without {word}")
    for word in esp.split():
        check(word in ours_esp.split("-"), f"our Child SA is {ours_esp}, without {word}")
    names = {"mlkem512": "ML_KEM_512", "mlkem768": "ML_KEM_768", "mlkem1024": "ML_KEM_1024", "ecp384": "ECP_384", "ecp256": "ECP_256",
             "modp3072": "MODP_3072", "modp2048": "MODP_2048"}
    for word in (ike + " " + esp).split():
        number, method = word.split("_")
        check(re.search(f"{number.upper()}_{names[method]}\\b", theirs), f"the peer does not list {word}: {theirs}")


def exchanged(ike, words):
    """Set up with the suite at both ends."""
    def run(this):
        pair = this.pair(ike=ike)
        pair.start()
        this.initiate(pair)
        check_suites(pair, words)
    return run


def by_default(this):
    """Our configuration says nothing of IKE's suites."""
    pair = this.pair(sut={"ike": ""}, peer={"ike": HYBRID + ",aes256gcm16-prfsha256-x25519"})
    pair.start()
    this.initiate(pair)
    check_suites(pair, "ke1_mlkem768")


def without(this):
    """Our configuration says nothing of IKE's suites, and the peer has no ML-KEM."""
    pair = this.pair(sut={"ike": ""})
    pair.start()
    this.initiate(pair)
    suite = pair.sut.tunnel("net")["ike_sas"][0]["suite"]
    check("mlkem" not in suite, f"the peer took {suite}")


def rekeyed(what, ike, esp, ike_words, esp_words):
    """Thrice under traffic; who initiates the rekey is who initiated the set-up."""
    def run(this):
        pair = this.pair(ike=ike, esp=esp)
        pair.start()
        this.initiate(pair)
        mover = pair.sut if this.role == "initiator" else pair.peer
        stream = Stream(pair.lab, "a")
        for _ in range(3):
            before = [p.state() for p in pair.both]
            mover.rekey_child() if what == "child" else mover.rekey_ike()

            def changed(before=before):
                now = [p.state() for p in pair.both]
                if what == "child":
                    return all({c.spi_in for c in n.children} - {c.spi_in for c in b.children} for n, b in zip(now, before))
                return all(set(n.ike) - set(b.ike) for n, b in zip(now, before))
            wait_until(changed, 8, f"both ends have a new {what} SA", 0.2)
            this.one_each(pair)
            time.sleep(0.3)
        sent, lost = stream.finish()
        check(sent > 20 and lost == 0, f"the stream lost {lost} of {sent} packets, we dropped {pair.sut.status()['packet_drops']}")
        pair.prove()
        check_suites(pair, ike_words, esp_words if what == "child" else "")
    return run


def several(key, text, function):
    return Subject(key, text, function, needs=lambda driver: driver.key_exchanges != "one", absent="one key exchange only")


def ml_kem(key, text, function):
    return Subject(key, text, function, needs=lambda driver: driver.key_exchanges == "ML-KEM", absent="no ML-KEM in its packages")


CLASSIC = "aes256gcm16-prfsha256-x25519-ke1_ecp384-ke2_modp3072"
CLASSIC_ESP = "aes256gcm16-x25519-ke1_ecp256-ke2_modp2048"
ADDITIONAL = (
    several("additional", "X25519, then ECP-384 and MODP-3072", exchanged(CLASSIC, "ke1_ecp384 ke2_modp3072")),
    several("additional-rekey-child", "the Child SA is rekeyed thrice under traffic with X25519, ECP-256 and MODP-2048",
            rekeyed("child", CLASSIC, CLASSIC_ESP, "ke1_ecp384 ke2_modp3072", "ke1_ecp256 ke2_modp2048")),
    several("additional-rekey-ike", "the IKE SA is rekeyed thrice under traffic with X25519, ECP-384 and MODP-3072",
            rekeyed("ike", CLASSIC, "aes256gcm16", "ke1_ecp384 ke2_modp3072", "")))
ML_KEM = (
    ml_kem("default", "nothing configured at our end: X25519 and ML-KEM-768", by_default),
    ml_kem("mlkem768", "X25519 and ML-KEM-768", exchanged(HYBRID, "ke1_mlkem768")),
    ml_kem("mlkem1024", "ECP-384 and ML-KEM-1024", exchanged("aes256gcm16-prfsha384-ecp384-ke1_mlkem1024", "ke1_mlkem1024")),
    ml_kem("mlkem512-ecp", "X25519, then ML-KEM-512 and ECP-256",
            exchanged("aes128-sha256-x25519-ke1_mlkem512-ke2_ecp256", "ke1_mlkem512 ke2_ecp256")),
    ml_kem("mlkem-rekey-child", "the Child SA is rekeyed thrice under traffic with X25519 and ML-KEM-768",
            rekeyed("child", HYBRID, "aes256gcm16-x25519-ke1_mlkem768", "ke1_mlkem768", "ke1_mlkem768")),
    ml_kem("mlkem-rekey-ike", "the IKE SA is rekeyed thrice under traffic with X25519 and ML-KEM-768",
            rekeyed("ike", HYBRID, "aes256gcm16", "ke1_mlkem768", "")))
WITHOUT = (Subject("mlkem-none", "ML-KEM is offered by default and not taken", without),)
SUBJECTS = ADDITIONAL + ML_KEM + WITHOUT
