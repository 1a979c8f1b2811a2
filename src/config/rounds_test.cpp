// `auth` and `peer_auth` of a tunnel as lists (RFC 4739).
#include <chrono>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"
#include "config/diff.hpp"
#include "crypto/testing/issuer.hpp"
#include "model/proof_wishes.hpp"

namespace culvert::config {
namespace {

using crypto::testing::kDay;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using model::Authentication;
using model::AuthRound;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::lines;

class AuthRounds : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "culvert-config-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    for (const auto& [file, text] : {std::pair("own.pem", own.pem()), std::pair("own.key", own.key().pem()),
                                     std::pair("ca.pem", root.pem()), std::pair("amy.pem", amy.pem()),
                                     std::pair("amy.key", amy.key().pem()), std::pair("users.pem", users.pem())}) {
      std::ofstream(folder_ / file, std::ios::binary) << text;
      ::chmod((folder_ / file).c_str(), 0600);
    }
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static std::string tunnel(const std::string& extra, std::string_view peer = "192.0.2.2") {
    return "[tunnel.office]\npeer = \"" + std::string(peer) +
           "\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\n" + extra;
  }
  static constexpr const char* kFiles = "certificate = \"own.pem\"\nprivate_key = \"own.key\"\nca = \"ca.pem\"\n";
  static constexpr const char* kSecret = "secret = \"0123456789abcdef0123456789abcdef\"\n";
  static constexpr const char* kUser = "eap = \"mschapv2\"\neap_identity = \"carol\"\neap_secret = \"a pass phrase\"\n";
  Result<Config, Problems> load(const std::string& text) { return load_texts({{(folder_ / "a.toml").string(), text}}); }
  std::string problems_of(const std::string& text) {
    auto result = load(text);
    return lines(result ? result->warnings : result.error());
  }

  std::filesystem::path folder_;
  TestCertificate root = TestCertificate::make(TestKey::make("P-256"), today(crypto::testing::authority("root")));
  TestCertificate own = TestCertificate::make(
      TestKey::make("P-256"), today(crypto::testing::peer("gw", "DNS:gw.example,DNS:pc.example")), &root);
  TestCertificate users = TestCertificate::make(TestKey::make("P-256"), today(crypto::testing::authority("users")));
  TestCertificate amy = TestCertificate::make(TestKey::make("P-256"),
                                              today(crypto::testing::peer("amy", "email:amy@example.net")), &users);
  static constexpr const char* kTwo =
      "certificate = [\"own.pem\", \"amy.pem\"]\nprivate_key = [\"own.key\", \"amy.key\"]\nca = \"ca.pem\"\n";
  static constexpr const char* kTwoRounds =
      "auth = [\"certificate\", { by = \"certificate\", id = \"amy@example.net\" }]\npeer_auth = \"certificate\"\n";
  static crypto::testing::Wish today(crypto::testing::Wish wish) {
    const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
    wish.from = now - kDay;
    wish.until = now + 100 * kDay;
    return wish;
  }
};

TEST_F(AuthRounds, CertificateThenEapAsClient) {
  const auto config =
      load(tunnel(std::string(kFiles) + kUser + "auth = [\"certificate\", \"eap\"]\npeer_auth = \"certificate\"\n"));
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_THAT(config->warnings, IsEmpty()) << lines(config->warnings);
  const TunnelConfig& one = config->tunnels[0];
  EXPECT_EQ(one.connection.authentication, Authentication::certificate);
  EXPECT_EQ(one.connection.expected(), Authentication::certificate);
  ASSERT_TRUE(one.connection.eap);
  EXPECT_TRUE(one.connection.eap->client);
  EXPECT_EQ(one.connection.local_id, model::Identity::parse("gw.example"));
  EXPECT_THAT(one.connection.own_rounds,
              ElementsAre(AuthRound{.by = std::nullopt, .id = model::Identity::parse("carol")}));
  EXPECT_THAT(one.connection.peer_rounds, IsEmpty());
  ASSERT_TRUE(one.credentials);
  EXPECT_EQ(one.credentials->certificates.size(), 1U);
  EXPECT_TRUE(one.secret.empty());
  EXPECT_FALSE(one.eap_secret.empty());
}

TEST_F(AuthRounds, TheSameAsServer) {
  const auto config =
      load(tunnel(std::string(kFiles) + "remote_id = \"pc.example\"\neap = \"mschapv2\"\nauth = \"certificate\"\n"
                                        "peer_auth = [\"certificate\", { by = \"eap\", id = \"*@example.org\" }]\n",
                  "any") +
           "[user.carol]\nsecret = \"a pass phrase\"\n");
  ASSERT_TRUE(config) << lines(config.error());
  const model::ConnectionConfig& one = config->tunnels[0].connection;
  ASSERT_EQ(one.peer_rounds.size(), 1U);
  EXPECT_FALSE(one.peer_rounds[0].by);
  ASSERT_TRUE(one.peer_rounds[0].pattern);
  EXPECT_EQ(one.peer_rounds[0].pattern->to_string(), "*@example.org");
  EXPECT_THAT(one.own_rounds, IsEmpty());
  EXPECT_EQ(one.start, model::StartMode::manual);
}

TEST_F(AuthRounds, SecretThenCertificateUnderAnotherName) {
  const auto config =
      load(tunnel(std::string(kFiles) + kSecret +
                  "local_id = \"amy@example.net\"\nauth = [\"secret\", { by = \"certificate\", id = \"pc.example\" }]\n"
                  "peer_auth = [\"certificate\", \"secret\"]\n"));
  ASSERT_TRUE(config) << lines(config.error());
  const TunnelConfig& one = config->tunnels[0];
  EXPECT_EQ(one.connection.authentication, Authentication::shared_key);
  EXPECT_EQ(one.connection.expected(), Authentication::certificate);
  EXPECT_EQ(one.connection.local_id, model::Identity::parse("amy@example.net"));
  EXPECT_THAT(one.connection.own_rounds,
              ElementsAre(AuthRound{.by = Authentication::certificate, .id = model::Identity::parse("pc.example")}));
  EXPECT_THAT(one.connection.peer_rounds, ElementsAre(AuthRound{.by = Authentication::shared_key}));
  EXPECT_FALSE(one.secret.empty());
  EXPECT_TRUE(one.credentials);
}

TEST_F(AuthRounds, SecretAndEapWantNoFiles) {
  const auto config =
      load(tunnel(std::string(kSecret) + kUser + "auth = [\"secret\", \"eap\"]\npeer_auth = \"secret\"\n"));
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_FALSE(config->tunnels[0].credentials);
}

TEST_F(AuthRounds, EapFirstHasTheNameOfTheUser) {
  const auto config =
      load(tunnel(std::string(kSecret) + kUser + "auth = [\"eap\", \"secret\"]\npeer_auth = \"secret\"\n"));
  ASSERT_TRUE(config) << lines(config.error());
  const model::ConnectionConfig& one = config->tunnels[0].connection;
  EXPECT_EQ(one.local_id, model::Identity::parse("carol"));
  EXPECT_THAT(one.own_rounds, ElementsAre(AuthRound{.by = Authentication::shared_key}));
}

// RFC 4739: such as the machine's certificate, then its user's.
TEST_F(AuthRounds, ACertificateForEachRound) {
  const auto config = load(tunnel(std::string(kTwo) + kTwoRounds));
  ASSERT_TRUE(config) << lines(config.error());
  const TunnelConfig& one = config->tunnels[0];
  EXPECT_EQ(one.connection.local_id, model::Identity::parse("gw.example"));
  EXPECT_THAT(one.connection.own_rounds, ElementsAre(AuthRound{.by = Authentication::certificate,
                                                               .id = model::Identity::parse("amy@example.net")}));
  ASSERT_TRUE(one.credentials);
  EXPECT_EQ(one.credentials->first.identity, model::Identity::parse("gw.example"));
  ASSERT_EQ(one.credentials->others.size(), 1U);
  EXPECT_EQ(one.credentials->others[0].identity, model::Identity::parse("amy@example.net"));
  // In whatever order they stand there, and with the first name written.
  const auto turned = load(
      tunnel("certificate = [\"amy.pem\", \"own.pem\"]\nprivate_key = [\"amy.key\", \"own.key\"]\nca = \"ca.pem\"\n"
             "local_id = \"pc.example\"\n" +
             std::string(kTwoRounds)));
  ASSERT_TRUE(turned) << lines(turned.error());
  EXPECT_EQ(turned->tunnels[0].credentials->first.identity, model::Identity::parse("amy@example.net"));
  EXPECT_EQ(turned->tunnels[0].credentials->others[0].identity, model::Identity::parse("pc.example"));
}

TEST_F(AuthRounds, AuthoritiesForEachRoundOfThePeers) {
  const std::string text = std::string(kFiles) +
                           "remote_id = \"pc.example\"\nauth = \"certificate\"\npeer_auth = [\"certificate\", "
                           "{ by = \"certificate\", id = \"*@example.net\", ca = \"users.pem\" }]\n";
  const auto config = load(tunnel(text));
  ASSERT_TRUE(config) << lines(config.error());
  const TunnelConfig& one = config->tunnels[0];
  ASSERT_TRUE(one.credentials);
  ASSERT_EQ(one.credentials->round_peers.size(), 1U);
  EXPECT_TRUE(one.credentials->round_peers.contains(1));
  EXPECT_EQ(one.connection.authorities.size(), 2 * model::kAuthorityDigest) << "one request is for all rounds";
  const auto without = load(tunnel(text.substr(0, text.find(", ca =")) + " }]\n"));
  ASSERT_TRUE(without) << lines(without.error());
  EXPECT_TRUE(without->tunnels[0].credentials->round_peers.empty());
  const Diff found = diff(*config, *without);
  ASSERT_EQ(found.changed.size(), 1U);
  EXPECT_THAT(found.changed[0].changes, ElementsAre("ca, crl: changed")) << "who comes next is judged by them";
}

TEST_F(AuthRounds, CertificatesThatAreForNoRound) {
  const std::string two = kTwo;
  const auto with = [&](const std::string& lines) { return problems_of(tunnel(lines)); };
  EXPECT_THAT(with(two + "auth = [\"certificate\", \"certificate\"]\npeer_auth = \"certificate\"\n"),
              HasSubstr("whose certificate it is in this round is not said"));
  EXPECT_THAT(with(two + "auth = [\"certificate\", { by = \"certificate\", id = \"eve@example.net\" }]\n"
                         "peer_auth = \"certificate\"\n"),
              HasSubstr("is not for gw.example or eve@example.net, but for"));
  EXPECT_THAT(with(std::string(kFiles) + kTwoRounds), HasSubstr("no certificate is left for the round of amy@"));
  EXPECT_THAT(with(two + "auth = [\"certificate\", { by = \"certificate\", id = \"amy@example.net\" }, "
                         "{ by = \"certificate\", id = \"amy@example.net\" }]\npeer_auth = \"certificate\"\n"),
              HasSubstr("the same name stands there twice"));
  EXPECT_THAT(with(std::string(kFiles) + kSecret +
                   "auth = \"certificate\"\npeer_auth = [\"certificate\", { by = \"secret\", ca = \"ca.pem\" }]\n"),
              HasSubstr("ca is for rounds in which the peer shows a certificate"));
  EXPECT_THAT(with(std::string(kFiles) + "auth = \"certificate\"\npeer_auth = [\"certificate\", "
                                         "{ by = \"certificate\", id = \"x.example\", ca = \"none.pem\" }]\n"),
              HasSubstr("none.pem"));
}

TEST_F(AuthRounds, Complaints) {
  const std::string secret = kSecret;
  const std::string files = kFiles;
  const auto with = [&](const std::string& lines) { return problems_of(tunnel(lines)); };
  EXPECT_THAT(with(secret + files + "auth = [\"certificate\", \"secret\"]\n"), HasSubstr("peer_auth = [\"certificate"));
  EXPECT_THAT(with(secret + "auth = []\npeer_auth = \"secret\"\n"), HasSubstr("there are 0 rounds"));
  EXPECT_THAT(with(secret + "auth = [\"secret\", \"secret\"]\npeer_auth = \"secret\"\n"),
              HasSubstr("the same way stands there twice"));
  EXPECT_THAT(with(secret + "auth = [\"secret\", \"none\"]\npeer_auth = \"secret\"\n"),
              HasSubstr("\"none\" proves nothing"));
  EXPECT_THAT(with(secret + "auth = [\"secret\", \"eap-mschapv2\"]\npeer_auth = \"secret\"\n"),
              HasSubstr("write \"eap\", and beside it eap = \"mschapv2\""));
  EXPECT_THAT(with(secret + "auth = [\"secret\", 7]\npeer_auth = \"secret\"\n"), HasSubstr("a round is a word"));
  EXPECT_THAT(with(secret + "auth = [\"secret\", { by = \"eap\", who = \"x\" }]\npeer_auth = \"secret\"\n"),
              HasSubstr("a round has no setting \"who\""));
  EXPECT_THAT(with(secret + "auth = [{ by = \"secret\", id = \"x\" }]\npeer_auth = \"secret\"\n"),
              HasSubstr("write it as local_id"));
  EXPECT_THAT(with(secret + kUser + "auth = [\"secret\"]\npeer_auth = [\"secret\", \"eap\"]\n"),
              HasSubstr("this end is the client of EAP"));
  EXPECT_THAT(with(secret + "eap = \"mschapv2\"\nauth = [\"secret\", \"eap\"]\npeer_auth = \"secret\"\n"),
              HasSubstr("eap_identity is missing"));
  EXPECT_THAT(with(secret + kUser + "auth = [\"secret\"]\npeer_auth = [\"secret\"]\n"),
              HasSubstr("auth has no round for it"));
  EXPECT_THAT(with(secret + "auth = [\"secret\"]\npeer_auth = [\"secret\", \"eap\"]\n"),
              HasSubstr("what the round \"eap\" is"));
  EXPECT_THAT(with(secret + files + "auth = [\"secret\"]\npeer_auth = [\"secret\"]\n"), HasSubstr("no round needs it"));
  EXPECT_THAT(with(secret + files + "auth = [\"certificate\"]\npeer_auth = [\"certificate\"]\n"),
              HasSubstr("no round needs it"));
  EXPECT_THAT(with("auth = [\"certificate\", \"secret\"]\npeer_auth = [\"certificate\"]\n"), HasSubstr("secret"));
  EXPECT_THAT(with(secret + files + "auth = [\"secret\", { by = \"certificate\", id = \"x.example\" }]\n" +
                   "peer_auth = [\"secret\"]\n"),
              HasSubstr("is not for x.example, but for"));
  EXPECT_THAT(
      with(secret + files + kUser + "eap_only = true\nauth = [\"secret\", \"eap\"]\npeer_auth = \"certificate\"\n"),
      HasSubstr("EAP is never alone"));
  EXPECT_THAT(problems_of(tunnel(files + "eap = \"mschapv2\"\nauth = \"certificate\"\n"
                                         "peer_auth = [\"certificate\", \"eap\"]\n",
                                 "any") +
                          "[user.carol]\nsecret = \"x\"\n"),
              HasSubstr("told by its identity"));
}

// A secret that would not be mixed into all of them must not seem to be.
TEST_F(AuthRounds, NoPpkBesideRounds) {
  EXPECT_THAT(problems_of(tunnel(std::string(kSecret) + kFiles +
                                 "auth = [\"certificate\", \"secret\"]\npeer_auth = \"certificate\"\n" +
                                 "ppk = \"0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"\n")),
              HasSubstr("RFC 8784 mixes a PPK into one AUTH"));
  // RFC 9867 mixes it in before the first of them.
  EXPECT_TRUE(load(tunnel(std::string(kSecret) + kFiles +
                          "auth = [\"certificate\", \"secret\"]\npeer_auth = \"certificate\"\n" +
                          "ppk = \"0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"\n" +
                          "ppk_id = \"office\"\nppk_exchange = \"intermediate\"\n")));
}

TEST_F(AuthRounds, OneMistakeIsOneComplaint) {
  for (const char* auth : {"auth = [\"certificate\", \"eap-mschapv2\"]\npeer_auth = \"certificate\"\n",
                           "auth = [\"certificate\", \"eap\"]\n"}) {
    const auto config = load(tunnel(std::string(kFiles) + kUser + auth));
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().size(), 1U) << lines(config.error());
  }
  const auto config = load(tunnel(std::string(kSecret) + kUser + "auth = [\"secret\", 7]\npeer_auth = \"secret\"\n"));
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().size(), 1U) << lines(config.error());
}

TEST_F(AuthRounds, AChangeOfRoundsStartsTheTunnelAnew) {
  const auto before = load(tunnel(std::string(kSecret) + kFiles +
                                  "auth = [\"certificate\", \"secret\"]\n"
                                  "peer_auth = \"certificate\"\n"));
  const auto after = load(tunnel(std::string(kSecret) + kFiles +
                                 "auth = [\"certificate\", { by = \"secret\", id = \"amy@example.net\" }]\n"
                                 "peer_auth = \"certificate\"\n"));
  ASSERT_TRUE(before && after);
  const Diff found = diff(*before, *after);
  ASSERT_EQ(found.changed.size(), 1U);
  EXPECT_TRUE(found.changed[0].restarts);
  EXPECT_THAT(found.changed[0].changes, ElementsAre("further rounds of auth: secret -> secret as amy@example.net"));
}

}  // namespace
}  // namespace culvert::config
