// `certificate`, `private_key`, `ca`, `crl` and `peer_key`: what is taken from the files, and what is said of those
// that are wrong.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing/temporary_folder.hpp"
#include "config/config_test_support.hpp"
#include "config/diff.hpp"
#include "config/words.hpp"
#include "crypto/testing/issuer.hpp"
#include "model/certificate_identity.hpp"

namespace culvert::config {
namespace {

using crypto::testing::kDay;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using crypto::testing::Wish;
using ::testing::HasSubstr;
using testing::lines;

crypto::CalendarTime now() { return std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()); }

Wish today(Wish wish) {
  wish.from = now() - kDay;
  wish.until = now() + 100 * kDay;
  return wish;
}

class CredentialSettings : public ::testing::Test {
 protected:
  void SetUp() override {
    write("own.pem", own.pem() + middle.pem() + root.pem());
    write("own.key", own.key().pem());
    write("ca.pem", root.pem());
    write("ca.crl", root.revocation_list({}, now() - kDay, now() + kDay));
  }

  void write(const std::string& name, const std::string& text, unsigned mode = 0600) const {
    folder_.file(name, text, mode);
  }
  static std::string text(const std::string& extra = {}, const std::string& name = "office") {
    return "[tunnel." + name +
           "]\npeer = \"192.0.2.2\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n"
           "certificate = \"own.pem\"\nprivate_key = \"own.key\"\nca = [\"ca.pem\"]\n" +
           extra;
  }
  [[nodiscard]] Result<Config, Problems> loaded(const std::string& content) const {
    return load_texts({{(folder_ / "a.toml").string(), content}});
  }
  [[nodiscard]] std::string problems(const std::string& content) const {
    const auto result = loaded(content);
    std::string all = lines(result ? result->warnings : result.error());
    for (std::size_t at = 0; (at = all.find(folder_.string(), at)) != std::string::npos;)
      all.replace(at, folder_.string().size(), "DIR");
    return all;
  }

  TemporaryFolder folder_;
  const TestCertificate root = TestCertificate::make(TestKey::make("P-256"), today(crypto::testing::authority("root")));
  const TestCertificate middle =
      TestCertificate::make(TestKey::make("P-256"), today(crypto::testing::authority("middle")), &root);
  const TestCertificate own = TestCertificate::make(
      TestKey::make("P-256"), today(crypto::testing::peer("gw", "IP:192.0.2.1,DNS:gw.example.net")), &middle);
};

TEST_F(CredentialSettings, FilesAreReadAndShared) {
  std::string two = text("crl = \"ca.crl\"\n") + text("crl = \"ca.crl\"\nremote_id = \"b\"\n", "other");
  two.replace(two.rfind("10.2.0.0"), 8, "10.3.0.0");
  const auto config = loaded(two);
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_EQ(lines(config->warnings), "");
  const TunnelConfig& tunnel = config->tunnels[0];
  EXPECT_EQ(tunnel.connection.authentication, model::Authentication::certificate);
  EXPECT_EQ(tunnel.connection.local_id, model::Identity::parse("gw.example.net"));
  EXPECT_EQ(tunnel.connection.authorities, root.certificate().key_digest());
  EXPECT_TRUE(tunnel.secret.empty());
  ASSERT_TRUE(tunnel.credentials);
  // RFC 4945 4.1: the root is not sent.
  EXPECT_EQ(tunnel.credentials->certificates, (std::vector<Bytes>{own.der(), middle.der()}));
  EXPECT_TRUE(tunnel.credentials->key.public_key().same_key(own.certificate().public_key()));
  // The authority is believed, and its list counts; the one between has none.
  const auto verdict = std::get<crypto::TrustStore>(tunnel.credentials->peer)
                           .verify(own.certificate(), std::vector{middle.certificate()}, {.now = now()});
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().check, crypto::PathCheck::revocation_unknown);
  EXPECT_EQ(config->tunnels[1].credentials->trust_fingerprint, tunnel.credentials->trust_fingerprint);
}

TEST_F(CredentialSettings, WhatIsMissingOrTooMuchIsNamed) {
  EXPECT_EQ(problems("[tunnel.a]\npeer = \"192.0.2.2\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n"
                     "certificate = \"own.pem\"\n"),
            "DIR/a.toml:1:1: error: tunnel.a.private_key: the setting is missing\n"
            "  write private_key = \"PATH\": the key that the certificate is for\n"
            "DIR/a.toml:1:1: error: tunnel.a.ca: the setting is missing\n"
            "  write ca = [\"PATH\"]: the certificates of the authorities that may certify the peer; or peer_key: the "
            "peer's own public key\n");
  EXPECT_THAT(problems(text("secret = \"0123456789abcdef0123456789abcdef\"\n")),
              HasSubstr("a.toml:8:10: error: tunnel.office.secret: both a secret and a certificate or key are given"));
  EXPECT_THAT(problems(testing::tunnel("ca = \"ca.pem\"\n")),
              HasSubstr("tunnel.office.secret: both a secret and a certificate or key are given"));
}

// RFC 7670: no certificate on one side or on both.
TEST_F(CredentialSettings, KeysWithoutCertificates) {
  const std::string start = "[tunnel.a]\npeer = \"192.0.2.2\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n";
  const auto theirs = *crypto::PrivateKey::generate();
  const std::string inline_key = "peer_key = \"" + to_base64(theirs.public_key().spki()) + "\"\n";
  for (const std::string& peer : {inline_key, std::string("peer_key = \"peer.pub\"\n")}) {
    write("peer.pub",
          "-----BEGIN PUBLIC KEY-----\n" + to_base64(theirs.public_key().spki()) + "\n-----END PUBLIC KEY-----\n");
    const auto config = loaded(start + "private_key = \"own.key\"\n" + peer);
    ASSERT_TRUE(config) << lines(config.error());
    const TunnelConfig& tunnel = config->tunnels[0];
    EXPECT_TRUE(tunnel.connection.peer_by_key);
    EXPECT_TRUE(tunnel.connection.authorities.empty());
    ASSERT_TRUE(tunnel.credentials);
    EXPECT_TRUE(tunnel.credentials->certificates.empty());
    EXPECT_TRUE(std::get<crypto::PublicKey>(tunnel.credentials->peer).same_key(theirs.public_key()));
    EXPECT_EQ(tunnel.connection.local_id, std::nullopt) << "a key names nobody";
  }
  const auto mixed = loaded(start + "certificate = \"own.pem\"\nprivate_key = \"own.key\"\n" + inline_key);
  ASSERT_TRUE(mixed) << lines(mixed.error());
  EXPECT_EQ(mixed->tunnels[0].credentials->certificates.size(), 2U);
  EXPECT_EQ(mixed->tunnels[0].connection.local_id, model::Identity::parse("gw.example.net"));
  const auto other = loaded(start + "private_key = \"own.key\"\nca = \"ca.pem\"\n");
  ASSERT_TRUE(other) << lines(other.error());
  EXPECT_TRUE(std::holds_alternative<crypto::TrustStore>(other->tunnels[0].credentials->peer));

  EXPECT_THAT(problems(start + inline_key), HasSubstr("a.private_key: the setting is missing\n  write private_key = "
                                                      "\"PATH\"; culvert keygen --key -o PATH makes one"));
  EXPECT_THAT(problems(start + "private_key = \"own.key\"\nca = \"ca.pem\"\n" + inline_key),
              HasSubstr("a.ca: both an authority and the peer's own key are given"));
  EXPECT_THAT(problems(start + "private_key = \"own.key\"\npeer_key = \"" +
                       to_base64(own.key().private_key().public_key().spki()) + "\"\n"),
              HasSubstr("a.peer_key: this is our own key"));
  EXPECT_THAT(
      problems(start + "private_key = \"own.key\"\npeer_key = \"nowhere\"\n"),
      HasSubstr("\"DIR/nowhere\" does not exist\n  the path is relative to the configuration file's folder; or write "
                "the key itself"));
  EXPECT_THAT(problems(start + "private_key = \"own.key\"\npeer_key = \"own.key\"\n"),
              HasSubstr("holds no public key but a PRIVATE KEY"));
  EXPECT_THAT(problems(start + "private_key = \"own.key\"\npeer_key = \"own.pem\"\n"),
              HasSubstr("holds no public key but a CERTIFICATE"));
}

TEST_F(CredentialSettings, FilesThatAreWrongAreNamedWithThePlace) {
  std::filesystem::remove(folder_ / "ca.pem");
  EXPECT_THAT(problems(text()), HasSubstr("a.toml:7:7: error: tunnel.office.ca: \"DIR/ca.pem\" does not exist"));
  write("ca.pem", own.key().pem());
  EXPECT_THAT(problems(text()), HasSubstr("\"DIR/ca.pem\" holds no certificate but a PRIVATE KEY"));
  write("ca.pem", root.pem());
  write("own.key", own.key().pem("pass"));
  EXPECT_THAT(problems(text()),
              HasSubstr("a.toml:6:15: error: tunnel.office.private_key: \"DIR/own.key\" is encrypted"));
  write("own.key", root.key().pem());
  EXPECT_THAT(problems(text()), HasSubstr("the key in \"DIR/own.key\" (ECDSA P-256) is not the one of C=CH, O=Culvert, "
                                          "CN=gw (serial 1234) (ECDSA P-256)"));
  write("own.key", own.key().pem(), 0644);
  EXPECT_THAT(problems(text()),
              HasSubstr("error: tunnel.office.private_key: \"DIR/own.key\" holds a secret and has mode 644"));
  write("own.key", own.key().pem());
  write("own.pem", "nothing");
  EXPECT_THAT(problems(text()), HasSubstr("\"DIR/own.pem\" is no certificate in PEM or DER"));
  write("own.pem", std::string(2 << 20, 'x'));
  EXPECT_THAT(problems(text()), HasSubstr("\"DIR/own.pem\" has 2097152 octets, 1048576 are allowed"));
  EXPECT_THAT(problems(text("crl = [\"ca.pem\"]\n")),
              HasSubstr("\"DIR/ca.pem\" holds no revocation list but a CERTIFICATE"));
}

TEST_F(CredentialSettings, DatesAreWarnedOf) {
  Wish wish = crypto::testing::peer("gw", "DNS:gw.example.net");
  const auto with = [&](crypto::CalendarTime from, crypto::CalendarTime until) {
    wish.from = now() + from;
    wish.until = now() + until;
    write("own.pem", TestCertificate::make(own.key(), wish, &middle).pem());
    return problems(text());
  };
  EXPECT_THAT(with(-9 * kDay, -kDay),
              HasSubstr("warning: tunnel.office.certificate: C=CH, O=Culvert, CN=gw (serial 1234) ended on"));
  EXPECT_THAT(with(kDay, 50 * kDay), HasSubstr("begins only on"));
  EXPECT_THAT(with(-kDay, 3 * kDay), HasSubstr("ends on"));
  EXPECT_EQ(with(-kDay, 50 * kDay), "");
  write("ca.crl", root.revocation_list({}, now() - 9 * kDay, now() - kDay));
  EXPECT_THAT(problems(text("crl = \"ca.crl\"\n")),
              HasSubstr("warning: tunnel.office.crl: the list of C=CH, O=Culvert, CN=root was to be replaced by"));
  write("ca.pem", own.pem());
  EXPECT_THAT(problems(text()), HasSubstr("is no authority: only itself is believed"));
}

TEST_F(CredentialSettings, IdentitiesAreThoseOfTheCertificate) {
  EXPECT_EQ(problems(text("local_id = \"192.0.2.1\"\n")), "");
  EXPECT_EQ(problems(text("local_id = \"GW.example.net\"\n")), "");
  const auto subject = loaded(text("local_id = \"c=ch, o=culvert, cn=gw\"\nremote_id = \"C=CH, CN=b\"\n"));
  ASSERT_TRUE(subject);
  EXPECT_EQ(subject->tunnels[0].connection.local_id->data, own.certificate().subject_der());
  EXPECT_EQ(subject->tunnels[0].connection.remote_id->to_string(), "C=CH, CN=b");
  EXPECT_THAT(
      problems(text("local_id = \"other.example\"\n")),
      HasSubstr("a.toml:8:12: error: tunnel.office.local_id: the certificate C=CH, O=Culvert, CN=gw (serial 1234) is "
                "not for other.example, but for C=CH, O=Culvert, CN=gw; 192.0.2.1; gw.example.net"));
  EXPECT_THAT(problems(text("remote_id = \"keyid:x\"\n")), HasSubstr("can stand in no certificate"));
  EXPECT_THAT(problems(text("remote_id = \"XX=x\"\n")), HasSubstr("is no distinguished name"));
  EXPECT_THAT(problems(testing::tunnel("remote_id = \"CN=x\"\n")), HasSubstr("which needs a certificate"));
}

TEST_F(CredentialSettings, Sha1IsForCompatibilityOnly) {
  EXPECT_FALSE(loaded(text())->tunnels[0].connection.sha1_signatures);
  EXPECT_TRUE(loaded(text("compat = \"sha1\"\n"))->tunnels[0].connection.sha1_signatures);
  EXPECT_THAT(problems(text("compat = \"sha1\"\n")), HasSubstr("allows RSA signatures over SHA-1"));
}

TEST_F(CredentialSettings, NewFilesAreTakenWithoutRestart) {
  const auto before = loaded(text());
  write("ca.pem", middle.pem() + root.pem());
  const auto after = loaded(text());
  ASSERT_TRUE(before && after);
  const Diff change = diff(*before, *after);
  ASSERT_EQ(change.changed.size(), 1u);
  EXPECT_FALSE(change.changed[0].restarts);
  EXPECT_EQ(change.changed[0].changes, std::vector<std::string>{"ca, crl: changed"});
  const auto secret = loaded(testing::tunnel());
  ASSERT_TRUE(secret);
  const Diff other = diff(*after, *secret);
  ASSERT_EQ(other.changed.size(), 1u);
  EXPECT_TRUE(other.changed[0].restarts);
}

TEST_F(CredentialSettings, TunnelsThatCannotBeToldApartNeedOneCertificate) {
  write("other.pem", TestCertificate::make(TestKey::make("P-256"), today(crypto::testing::authority("other"))).pem());
  std::string second = text({}, "b");
  second.replace(second.find("10.2.0.0"), 8, "10.3.0.0");
  EXPECT_EQ(problems(text() + second), "");
  second.replace(second.find("ca.pem"), 6, "other.pem");
  EXPECT_THAT(problems(text() + second),
              HasSubstr("has the same peer and identities, but another certificate or authority"));
}

TEST_F(CredentialSettings, EncryptedKeys) {
  write("own.key", own.key().pem("a password"));
  EXPECT_THAT(problems(text()),
              HasSubstr("a.toml:6:15: error: tunnel.office.private_key: \"DIR/own.key\" is encrypted, "
                        "and no password is given for it\n"));
  EXPECT_THAT(problems(text()), HasSubstr("write private_key_password = \"...\""));
  const auto config = loaded(text("private_key_password = \"a password\"\n"));
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_TRUE(config->tunnels[0].credentials->key.public_key().same_key(own.certificate().public_key()));
  write("password", "a password\n");
  EXPECT_TRUE(loaded(text("private_key_password_file = \"password\"\n")));
  EXPECT_THAT(
      problems(text("private_key_password = \"another\"\n")),
      HasSubstr("a.toml:6:15: error: tunnel.office.private_key: \"DIR/own.key\" cannot be decrypted: the password "
                "is wrong\n"));
  // One file, two passwords: each is judged by itself.
  std::string two = text("private_key_password = \"a password\"\n") +
                    text("remote_id = \"b\"\nprivate_key_password = \"another\"\n", "other");
  two.replace(two.rfind("10.2.0.0"), 8, "10.3.0.0");
  EXPECT_THAT(problems(two), HasSubstr("tunnel.other.private_key: \"DIR/own.key\" cannot be decrypted"));
}

TEST_F(CredentialSettings, KeysByUri) {
  std::string content = text("private_key_password = \"1234\"\n");
  content.replace(content.find("own.key"), 7, "no-such-scheme:a?pin-value=1234");
  EXPECT_THAT(problems(content), HasSubstr("a.toml:6:15: error: tunnel.office.private_key: \"no-such-scheme:a\" has a "
                                           "scheme that no provider of OpenSSL knows"));
}

// What OpenSSL has a URI for; the way is the same for a token.
TEST_F(CredentialSettings, CertificatesByUri) {
  write("own.pem", own.pem());
  std::string content = text("certificate_chain = [\"middle.pem\"]\n");
  write("middle.pem", root.pem() + middle.pem());
  content.replace(content.find("own.pem"), 7, "file:" + (folder_ / "own.pem").string());
  const auto config = loaded(content);
  ASSERT_TRUE(config) << lines(config.error());
  // What issued itself is not sent.
  EXPECT_EQ(config->tunnels[0].credentials->certificates, (std::vector<Bytes>{own.der(), middle.der()}));
  content.replace(content.find("own.pem"), 7, "own.key");
  EXPECT_THAT(problems(content),
              HasSubstr("a.toml:5:15: error: tunnel.office.certificate: \"file:DIR/own.key\" holds no "
                        "certificate"));
  content = text();
  content.replace(content.find("own.pem"), 7, "no-such-scheme:a?pin-value=1234");
  EXPECT_THAT(problems(content), HasSubstr("a.toml:5:15: error: tunnel.office.certificate: \"no-such-scheme:a\" has a "
                                           "scheme that no provider of OpenSSL knows"));
  // A key does not come with it.
  content = text();
  content.replace(content.find("own.pem"), 7, "file:" + (folder_ / "own.pem").string());
  content.erase(content.find("private_key"), sizeof("private_key = \"own.key\""));
  EXPECT_THAT(problems(content), HasSubstr("private_key: the setting is missing"));
}

TEST_F(CredentialSettings, CertificatesBetweenInAFileOfTheirOwn) {
  write("own.pem", own.pem());
  write("middle.pem", middle.pem());
  EXPECT_EQ(loaded(text())->tunnels[0].credentials->certificates.size(), 1U);
  const auto config = loaded(text("certificate_chain = \"middle.pem\"\n"));
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_EQ(config->tunnels[0].credentials->certificates, (std::vector<Bytes>{own.der(), middle.der()}));
  // Asked for by either of them.
  EXPECT_EQ(lines(config->warnings), "");
  write("other.pem", TestCertificate::make(TestKey::make("P-256"), today(crypto::testing::authority("other"))).pem());
  const auto more = loaded(text("certificate_chain = [\"middle.pem\", \"other.pem\"]\n"));
  ASSERT_TRUE(more);
  EXPECT_THAT(lines(more->warnings),
              HasSubstr("tunnel.office.certificate_chain: C=CH, O=Culvert, CN=other (serial 1234) "
                        "has issued none of ours, nor what is above them"));
  EXPECT_THAT(problems(text("certificate_chain = \"nothing.pem\"\n")),
              HasSubstr("error: tunnel.office.certificate_chain: \"DIR/nothing.pem\" does not exist"));
  std::string without = text("certificate_chain = \"middle.pem\"\n");
  without.erase(without.find("certificate ="), sizeof("certificate = \"own.pem\""));
  EXPECT_THAT(problems(without), HasSubstr("certificate_chain: there is no certificate that these could stand behind"));
}

// ---------------------------------------------------------------- how each side proves itself

constexpr const char* kEnds =
    "[tunnel.a]\npeer = \"192.0.2.2\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n";
constexpr const char* kSecret = "secret = \"0123456789abcdef0123456789abcdef\"\n";

TEST_F(CredentialSettings, EachSideInItsOwnWay) {
  const auto first = loaded(kEnds + std::string("auth = \"secret\"\npeer_auth = \"certificate\"\nca = \"ca.pem\"\n") +
                            kSecret + "remote_id = \"C=CH, O=Culvert, CN=gw\"\n");
  ASSERT_TRUE(first) << lines(first.error());
  const TunnelConfig& tunnel = first->tunnels[0];
  EXPECT_EQ(tunnel.connection.authentication, model::Authentication::shared_key);
  EXPECT_EQ(tunnel.connection.expected(), model::Authentication::certificate);
  EXPECT_FALSE(tunnel.secret.empty());
  ASSERT_TRUE(tunnel.credentials);
  EXPECT_FALSE(tunnel.credentials->key.present());
  const auto second = loaded(kEnds + std::string("auth = \"certificate\"\npeer_auth = \"secret\"\n") + kSecret +
                             "certificate = \"own.pem\"\nprivate_key = \"own.key\"\n");
  ASSERT_TRUE(second) << lines(second.error());
  EXPECT_EQ(second->tunnels[0].connection.expected(), model::Authentication::shared_key);
  EXPECT_TRUE(second->tunnels[0].credentials->key.present());
  EXPECT_TRUE(second->tunnels[0].connection.authorities.empty());
  // What nothing needs is an error, not passed over.
  EXPECT_THAT(
      problems(kEnds + std::string("auth = \"secret\"\nca = \"ca.pem\"\ncertificate = \"own.pem\"\n") + kSecret),
      HasSubstr("a.certificate: nothing needs it, for auth says that this end does not prove itself by "
                "certificate"));
  EXPECT_THAT(problems(kEnds +
                       std::string("peer_auth = \"secret\"\nca = \"ca.pem\"\ncertificate = \"own.pem\"\n"
                                   "private_key = \"own.key\"\n") +
                       kSecret),
              HasSubstr("a.ca: nothing needs it"));
  EXPECT_THAT(problems(text("auth = \"certificate\"\npeer_auth = \"secret\"\n")),
              HasSubstr("secret: the setting is missing"));
}

// RFC 7619: only where it is written, and for one host.
TEST_F(CredentialSettings, NoProofAtAll) {
  const auto client = loaded(kEnds + std::string("auth = \"none\"\nca = \"ca.pem\"\n"));
  ASSERT_TRUE(client) << lines(client.error());
  EXPECT_EQ(client->tunnels[0].connection.local_id, model::Identity::none());
  EXPECT_EQ(client->tunnels[0].connection.expected(), model::Authentication::certificate);
  const auto server = loaded(text("peer_auth = \"none\"\n").replace(text().find("ca ="), 16, ""));
  ASSERT_TRUE(server) << lines(server.error());
  EXPECT_EQ(server->tunnels[0].connection.remote_id, model::Identity::none());
  EXPECT_THAT(lines(server->warnings),
              HasSubstr("warning: tunnel.office.peer_auth: whoever answers at the peer's address"));
  const std::string both = "auth = \"none\"\npeer_auth = \"none\"\n";
  EXPECT_TRUE(loaded(kEnds + both));
  EXPECT_THAT(problems(kEnds + both + kSecret), HasSubstr("a.secret: nothing needs it, for neither side"));
  EXPECT_THAT(problems(kEnds + both + "remote_id = \"x.example\"\n"),
              HasSubstr("a.remote_id: with peer_auth = \"none\""));
  EXPECT_THAT(problems(kEnds + both + "local_id = \"x.example\"\n"), HasSubstr("a.local_id: with auth = \"none\""));
  std::string any = kEnds + both;
  any.replace(any.find("192.0.2.2"), 9, "any");
  EXPECT_THAT(problems(any), HasSubstr("a.peer_auth: anybody from anywhere would be let into this tunnel"));
}

TEST_F(CredentialSettings, SeveralCertificates) {
  const TestCertificate stranger =
      TestCertificate::make(TestKey::make("P-256"), today(crypto::testing::authority("s")));
  const TestCertificate second = TestCertificate::make(
      TestKey::make("P-256"), today(crypto::testing::peer("gw", "DNS:gw.example.net")), &stranger);
  write("second.pem", second.pem());
  write("second.key", second.key().pem());
  write("both.pem", root.pem() + stranger.pem());
  std::string content = text();
  const auto replace = [&](const std::string& what, const std::string& with) {
    content.replace(content.find(what), what.size(), with);
  };
  replace("\"own.pem\"", "[\"own.pem\", \"second.pem\"]");
  replace("\"ca.pem\"", "\"both.pem\"");
  EXPECT_THAT(problems(content), HasSubstr("private_key: there are 1 keys for 2 certificates"));
  replace("\"own.key\"", "[\"own.key\", \"second.key\"]");
  const auto config = loaded(content);
  ASSERT_TRUE(config) << lines(config.error());
  const Credentials& held = *config->tunnels[0].credentials;
  ASSERT_EQ(held.others.size(), 1U);
  EXPECT_EQ(held.certificates.front(), own.der());
  EXPECT_EQ(held.others[0].certificates, std::vector<Bytes>{second.der()});
  // By whom a peer may ask for it: also by one that is no more than believed here.
  const Bytes digest = stranger.certificate().key_digest();
  EXPECT_NE(std::ranges::search(held.others[0].authorities, digest).begin(), held.others[0].authorities.end());
  EXPECT_EQ(held.others[0].issuer, stranger.der());
  EXPECT_EQ(held.first.issuer, middle.der());
  EXPECT_THAT(problems(content + "local_id = \"192.0.2.1\"\n"), HasSubstr("the certificate C=CH, O=Culvert, CN=gw"))
      << "each must have it";
  EXPECT_THAT(problems(content + "certificate_url = \"http://a.example/x\"\n"), HasSubstr("give one certificate"));
}

TEST_F(CredentialSettings, RevocationAndPlacesToFetchFrom) {
  const auto config =
      loaded(text("crl = \"ca.crl\"\nrevocation = \"strict\"\nocsp_url = \"http://ocsp.example/\"\n"
                  "crl_url = [\"http://crl.example/a\"]\nfetch_certificates = \"http://pki.example/\"\n"
                  "certificate_url = [\"http://pki.example/a\", \"http://pki.example/b\"]\n"));
  ASSERT_TRUE(config) << lines(config.error());
  const TunnelConfig& tunnel = config->tunnels[0];
  ASSERT_TRUE(tunnel.credentials->revocation);
  EXPECT_EQ(text_of(*tunnel.credentials->revocation),
            "strict ocsp_url=http://ocsp.example/ crl_url=http://crl.example/a");
  EXPECT_EQ(tunnel.credentials->revocation->known.size(), 1U);
  EXPECT_TRUE(tunnel.connection.ask_ocsp && tunnel.connection.certificates_by_url);
  EXPECT_EQ(tunnel.credentials->first.urls.size(), 2U);
  // The lists do not count on their own then: who has none is asked about.
  EXPECT_TRUE(std::get<crypto::TrustStore>(tunnel.credentials->peer)
                  .verify(own.certificate(), std::vector{middle.certificate()}, {.now = now()}));
  const auto diff_of = [&](const std::string& extra) {
    const auto changed = loaded(text("crl = \"ca.crl\"\n" + extra));
    EXPECT_TRUE(changed) << lines(changed.error());
    const Diff difference = diff(*config, *changed);
    return difference.changed.empty() ? TunnelChange{} : difference.changed[0];
  };
  const TunnelChange change = diff_of("revocation = \"ifavailable\"\n");
  EXPECT_FALSE(change.restarts);
  EXPECT_THAT(::testing::PrintToString(change.changes), HasSubstr("revocation"));
  EXPECT_THAT(problems(text("ocsp_url = \"http://a/\"\n")),
              HasSubstr("ocsp_url: nobody asks there, for revocation is off"));
  EXPECT_THAT(problems(text("revocation = \"off\"\ncrl = \"ca.crl\"\n")), HasSubstr("there is a list in crl"));
  EXPECT_THAT(problems(text("fetch_certificates = \"http://pki.example\"\n")),
              HasSubstr("does not say where its host ends"));
  for (const char* url : {"https://a.example/", "http://", "http:///x", "ftp://a/", "any"})
    EXPECT_THAT(problems(text("fetch_certificates = \"" + std::string(url) + "\"\n")),
                HasSubstr("is no URL that can be fetched"))
        << url;
}

}  // namespace
}  // namespace culvert::config
