"""Every transform with its name here, in Linux and in Scapy. A new transform is one line.

Keys are as RFC 4106 and its kin have them: the salt or nonce last. `linux` is the algorithm's name for `ip xfrm`, `scapy`
the one in scapy.layers.ipsec; an empty name means that this peer has none, and `without` says so in the table.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Encryption:
    word: str
    key: int  # octets, salt included
    icv: int  # octets; 0: needs an integrity transform
    linux: str
    scapy: str


@dataclass(frozen=True)
class Integrity:
    word: str
    key: int
    icv: int
    linux: str
    scapy: str


def _aes():
    for bits in (128, 192, 256):
        octets = bits // 8
        for icv in (8, 12, 16):
            # Scapy 2.5 makes full GCM ICVs only, whatever it is told.
            yield Encryption(f"aes{bits}gcm{icv}", octets + 4, icv, "rfc4106(gcm(aes))", "AES-GCM" if icv == 16 else "")
            yield Encryption(f"aes{bits}ccm{icv}", octets + 3, icv, "rfc4309(ccm(aes))", "AES-CCM")
        yield Encryption(f"aes{bits}gmac", octets + 4, 16, "rfc4543(gcm(aes))", "")
        yield Encryption(f"aes{bits}", octets, 0, "cbc(aes)", "AES-CBC")
        yield Encryption(f"aes{bits}ctr", octets + 4, 0, "rfc3686(ctr(aes))", "AES-CTR")
        yield Encryption(f"camellia{bits}", octets, 0, "cbc(camellia)", "")
        yield Encryption(f"camellia{bits}ctr", octets + 4, 0, "", "")
    for bits in (128, 192, 256):
        yield Encryption(f"aes{bits}gcm16iiv", bits // 8 + 4, 16, "", "")
        yield Encryption(f"aes{bits}ccm8iiv", bits // 8 + 3, 8, "", "")


ENCRYPTION = {e.word: e for e in (
    *_aes(),
    Encryption("chacha20poly1305", 36, 16, "rfc7539esp(chacha20,poly1305)", "CHACHA20-POLY1305"),
    Encryption("chacha20poly1305iiv", 36, 16, "", ""),
    Encryption("3des", 24, 0, "cbc(des3_ede)", "3DES"),
    Encryption("des", 8, 0, "cbc(des)", "DES"),
    Encryption("null", 0, 0, "ecb(cipher_null)", "NULL"),
)}

INTEGRITY = {i.word: i for i in (
    Integrity("sha256", 32, 16, "hmac(sha256)", "SHA2-256-128"),
    Integrity("sha384", 48, 24, "hmac(sha384)", "SHA2-384-192"),
    Integrity("sha512", 64, 32, "hmac(sha512)", "SHA2-512-256"),
    Integrity("sha1", 20, 12, "hmac(sha1)", "HMAC-SHA1-96"),
    Integrity("md5", 16, 12, "hmac(md5)", "HMAC-MD5-96"),
    Integrity("aesxcbc", 16, 12, "xcbc(aes)", ""),
    Integrity("aescmac", 16, 12, "cmac(aes)", "AES-CMAC-96"),
    # In AH (RFC 4543 9): key and salt; the ICV is preceded by an IV of 8 octets.
    Integrity("aes128gmac", 20, 16, "", ""),
    Integrity("aes192gmac", 28, 16, "", ""),
    Integrity("aes256gmac", 36, 16, "", ""),
)}

WITHOUT = {
    "linux": {"iiv": "Linux has no implicit IV (RFC 8750)", "camellia.*ctr": "Linux xfrm has no Camellia-CTR",
              "gmac": "Linux has no GMAC in AH"},
    "scapy": {"iiv": "Scapy has no implicit IV (RFC 8750)", "camellia": "Scapy has no Camellia", "gmac": "Scapy 2.5 has no GMAC",
              "gcm(8|12)": "Scapy 2.5 makes full GCM ICVs only", "aesxcbc": "Scapy has no AES-XCBC"},
}


@dataclass(frozen=True)
class Suite:
    """What one SA uses. `encryption` is None in AH, `integrity` None with an AEAD."""

    encryption: object
    integrity: object

    @property
    def word(self):
        return "-".join(t.word for t in (self.encryption, self.integrity) if t)


def esp_suites():
    """Each encryption transform once (with SHA-256 where it brings no integrity), each integrity one with AES-CBC and NULL."""
    for e in ENCRYPTION.values():
        yield Suite(e, None if e.icv else INTEGRITY["sha256"])
    for i in INTEGRITY.values():
        if "gmac" not in i.word:
            for e in ("aes128", "null"):
                if i.word != "sha256":
                    yield Suite(ENCRYPTION[e], i)
    yield Suite(ENCRYPTION["3des"], INTEGRITY["sha1"])
    yield Suite(ENCRYPTION["des"], INTEGRITY["md5"])


def ah_suites():
    for i in INTEGRITY.values():
        yield Suite(None, i)


def key(octets, *about):
    """`octets` octets that follow from what they are for; test keys, secret to no one."""
    made, n = b"", 0
    while len(made) < octets:
        made += hashlib.sha256(repr((n, *about)).encode()).digest()
        n += 1
    return made[:octets]
