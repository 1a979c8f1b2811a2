"""Private keys that are not in a plain file: encrypted, in PKCS#12, on a token; and which of several certificates is shown."""

import json
import os
import re

from rig.authority import Authority
from rig.case import case
from rig.shell import Skipped, check, need_tool, run, wait_until

from cases.certificates import give, initiate, make

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
TPM_PROVIDER = "/usr/lib/x86_64-linux-gnu/ossl-modules/tpm2.so"
HANDLE = "0x81000010"


def encrypt(pair, _pki):
    key = pair.sut.tunnels[0].credentials.key
    run("openssl", "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", key, "-out", key + ".encrypted", "-passout", "pass:open sesame")
    os.chmod(key + ".encrypted", 0o600)
    give(pair.sut, key=key + ".encrypted", password="open sesame")


def contain(pair, _pki):
    credentials = pair.sut.tunnels[0].credentials
    path = credentials.key + ".p12"
    others = [part for certificate in credentials.chain[1:] for part in ("-certfile", certificate)]
    run("openssl", "pkcs12", "-export", "-in", credentials.chain[0], "-inkey", credentials.key, *others, "-out", path,
        "-passout", "pass:open sesame")
    os.chmod(path, 0o600)
    give(pair.sut, container=path, password="open sesame")


def put_on_token(pair, _pki):
    """The key goes to a token of SoftHSM2, and its file is taken away."""
    if not os.path.exists(MODULE):
        raise Skipped(f"SoftHSM2 is not installed: no {MODULE} (Debian package softhsm2; ./dev setup)")
    folder = pair.lab.path("token")
    os.makedirs(folder + "/tokens")
    config = folder + "/softhsm2.conf"
    with open(config, "w", encoding="ascii") as f:
        f.write(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    key = pair.sut.tunnels[0].credentials.key
    for arguments in (("--init-token", "--free", "--label", "office", "--so-pin", "87654321"),
                      ("--import", key, "--token", "office", "--label", "gw", "--id", "01")):
        run("env", "SOFTHSM2_CONF=" + config, "softhsm2-util", *arguments, "--pin", "1234")
    os.remove(key)
    pair.sut.environment = ("SOFTHSM2_CONF=" + config,)
    give(pair.sut, key=f"pkcs11:token=office;object=gw;type=private?module-path={MODULE}", password="1234")


def put_in_tpm(pair, _pki):
    """The key goes into a TPM 2.0 (swtpm's), OpenSSL's provider for which culvertd loads; its file is taken away."""
    if not os.path.exists(TPM_PROVIDER):
        raise Skipped(f"OpenSSL has no provider for TPMs: no {TPM_PROVIDER} (Debian package tpm2-openssl; ./dev setup)")
    need_tool("swtpm", "swtpm")
    need_tool("tpm2_import", "tpm2-tools")
    folder = pair.lab.path("tpm")
    os.makedirs(folder + "/state")
    socket = folder + "/sock"
    pair.lab.spawn(pair.sut.side, "swtpm", "socket", "--tpm2", "--server", f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={socket}.ctrl",
                   "--tpmstate", f"dir={folder}/state", "--flags", "not-need-init,startup-clear", output=folder + "/log")
    wait_until(lambda: os.path.exists(socket) and os.path.exists(socket + ".ctrl"), 5, "the TPM is there")
    key = pair.sut.tunnels[0].credentials.key
    algorithm = "rsa" if "Modulus" in run("openssl", "pkey", "-in", key, "-noout", "-text_pub") else "ecc"
    for arguments in (("createprimary", "-Q", "-C", "o", "-c", folder + "/primary"),
                      ("import", "-Q", "-C", folder + "/primary", "-G", algorithm, "-i", key, "-u", folder + "/public", "-r", folder + "/private"),
                      ("load", "-Q", "-C", folder + "/primary", "-u", folder + "/public", "-r", folder + "/private", "-c", folder + "/key"),
                      ("evictcontrol", "-Q", "-C", "o", "-c", folder + "/key", HANDLE)):
        run("env", f"TPM2TOOLS_TCTI=swtpm:path={socket}", "tpm2", *arguments)
        # It has room for few objects, and nobody beside it that puts others away.
        run("env", f"TPM2TOOLS_TCTI=swtpm:path={socket}", "tpm2", "flushcontext", "-t")
    os.remove(key)
    pair.sut.environment = (f"TPM2OPENSSL_TCTI=swtpm:path={socket}",)
    give(pair.sut, key=f"handle:{HANDLE}?provider=tpm2")


def certificate_too(pair, pki):
    """The certificate is on the token as well; those above it stay in a file."""
    need_tool("pkcs11-tool", "opensc")
    own, *between = pair.sut.tunnels[0].credentials.chain
    put_on_token(pair, pki)
    run("openssl", "x509", "-in", own, "-outform", "DER", "-out", own + ".der")
    run("env", *pair.sut.environment, "pkcs11-tool", "--module", MODULE, "--token-label", "office", "--login", "--pin", "1234",
        "--write-object", own + ".der", "--type", "cert", "--id", "01", "--label", "gw")
    os.remove(own)
    give(pair.sut, container=f"pkcs11:token=office;object=gw;type=cert?module-path={MODULE}", chain=tuple(between))
    pair.sut.more = f'certificate_chain = {json.dumps(between)}\nprivate_key = "{pair.sut.tunnels[0].credentials.key}"\n'


for _role in ("initiator", "responder"):
    for _name, _about, _kind, _change in (("encrypted", "an encrypted private key", "p256", encrypt),
                                          ("pkcs12", "key and certificates in PKCS#12", "p256", contain),
                                          ("token-p256", "an ECDSA key on a PKCS#11 token", "p256", put_on_token),
                                          ("token-rsa", "an RSA key on a PKCS#11 token", "rsa", put_on_token),
                                          ("tpm-p256", "an ECDSA key in a TPM, by OpenSSL's provider for it", "p256", put_in_tpm),
                                          ("tpm-rsa", "an RSA key in a TPM, by OpenSSL's provider for it", "rsa", put_in_tpm),
                                          ("token-certificate", "key and certificate on a PKCS#11 token", "p256", certificate_too)):
        @case(f"key-{_name}-{_role}", f"{_about}, we are the {_role}", only=("culvert",))
        def _(setup, role=_role, kind=_kind, change=_change):
            pair, pki = make(setup, kind)
            change(pair, pki)
            pair.start()
            initiate(pair, role)


@case("key-token-wrong-pin", "a wrong PIN, and a token that is not there: culvertd does not start, and says why", only=("culvert",))
def _(setup):
    pair, pki = make(setup)
    put_on_token(pair, pki)
    good = pair.sut.tunnels[0].credentials
    for changes, reason in (({"password": "4321"}, "the PIN is wrong"),
                            ({"key": good.key.replace("office", "elsewhere")}, "cannot be loaded")):
        give(pair.sut, **{"password": good.password, "key": good.key, **changes})
        pair.sut.write_config()
        text = run("sh", "-c", '"$@" 2>&1', "sh", "env", *pair.sut.environment, f"{pair.sut.binaries}/culvert", "check",
                   pair.sut.config, ok=None)
        check(re.search(rf"culvert.toml:\d+:\d+: error: tunnel.net.private_key: .*{reason}", text), f"no such error in: {text}")
        check("pin-value" not in text and "4321" not in text, "the PIN is shown")
    give(pair.sut, password=good.password, key=good.key)
    pair.start()
    initiate(pair, "initiator")


for _role in ("initiator", "responder"):
    @case(f"certificate-asked-for-{_role}", f"we have two certificates, and show the one whose authority the peer names; we are the {_role}",
          only=("culvert",))
    def _(setup, role=_role):
        pair, pki = make(setup)
        # Of an authority that the peer does not know, and first in our list.
        stranger = Authority(pki.folder, "stranger")
        certificate, key = stranger.issue("alice.example", "DNS:alice.example")
        good = pair.sut.tunnels[0].credentials
        give(pair.sut, chain=(certificate,), key=key, others=((good.chain + (pki.root.certificate,), good.key),))
        pair.start()
        initiate(pair, role)
