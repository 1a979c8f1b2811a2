// `eap` of a tunnel and [user.NAME].
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"
#include "config/diff.hpp"

namespace culvert::config {
namespace {

using model::EapType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::load_text;
using testing::problems_of;
using testing::tunnel;

constexpr std::string_view kClient =
    "eap = [\"mschapv2\", \"gtc\"]\neap_identity = \"carol@example.net\"\neap_secret = \"a pass phrase\"\n";
constexpr std::string_view kUsers =
    "[user.carol]\nsecret = \"short\"\n[user.\"dave@example.net\"]\nsecret = \"0x00ff\"\n";

std::string server(const std::string& extra = {}) {
  std::string text = tunnel("eap = \"mschapv2\"\n" + extra);
  return text.replace(text.find("192.0.2.2"), 9, "any");
}

TEST(EapSettings, Client) {
  const auto config = load_text(tunnel(kClient));
  ASSERT_TRUE(config) << testing::lines(config.error());
  const TunnelConfig& one = config->tunnels[0];
  ASSERT_TRUE(one.connection.eap);
  EXPECT_TRUE(one.connection.eap->client);
  EXPECT_THAT(one.connection.eap->methods, ElementsAre(EapType::mschapv2, EapType::gtc));
  EXPECT_EQ(one.connection.eap->identity, "carol@example.net");
  EXPECT_TRUE(equal(one.eap_secret.view(), as_bytes("a pass phrase")));
  EXPECT_EQ(one.connection.local_id, model::Identity::parse("carol@example.net"));
  EXPECT_TRUE(config->warnings.empty()) << testing::lines(config->warnings);
}

TEST(EapSettings, ServerNeedsNoIdentityAndOnlyWaits) {
  const auto config = load_text(server() + std::string(kUsers));
  ASSERT_TRUE(config) << testing::lines(config.error());
  const model::ConnectionConfig& one = config->tunnels[0].connection;
  ASSERT_TRUE(one.eap);
  EXPECT_FALSE(one.eap->client);
  EXPECT_FALSE(one.remote_id);
  EXPECT_EQ(one.start, model::StartMode::manual);
  ASSERT_EQ(config->users.size(), 2u);
  EXPECT_EQ(config->users[0].name, "carol");
  EXPECT_EQ(config->users[1].name, "dave@example.net");
  EXPECT_TRUE(equal(config->users[1].secret.view(), Bytes{0x00, 0xff}));
}

TEST(EapSettings, Complaints) {
  EXPECT_THAT(problems_of(tunnel("eap = \"mschap\"\n")), HasSubstr("no method of EAP that is known here"));
  EXPECT_THAT(problems_of(tunnel("eap = [\"md5\", \"md5\"]\n")), HasSubstr("stands there twice"));
  EXPECT_THAT(problems_of(tunnel("eap_identity = \"carol\"\neap_secret = \"x\"\n")), HasSubstr("goes with eap, which"));
  EXPECT_THAT(problems_of(tunnel("eap = \"md5\"\neap_secret = \"x\"\n")), HasSubstr("goes with eap_identity, which"));
  EXPECT_THAT(problems_of(tunnel("eap = \"md5\"\neap_identity = \"carol\"\n")), HasSubstr("eap_secret_file = "));
  EXPECT_THAT(problems_of(tunnel("eap = \"md5\"\neap_identity = \"\"\neap_secret = \"x\"\n")),
              HasSubstr("the text is empty"));
  EXPECT_THAT(
      problems_of(tunnel("eap = \"md5\"\neap_identity = \"" + std::string(254, 'x') + "\"\neap_secret = \"x\"\n")),
      HasSubstr("has 254 octets"));
  EXPECT_THAT(problems_of(tunnel("eap = \"md5\"\nstart = \"auto\"\n")), HasSubstr("is begun by the peer"));
  EXPECT_THAT(problems_of(server("eap_identity = \"carol\"\neap_secret = \"x\"\n")),
              HasSubstr("must know whom to ask"));
  EXPECT_THAT(problems_of(server() + "[user.carol]\n"), HasSubstr("user.carol.secret"));
  EXPECT_THAT(problems_of(server() + "[user.carol]\nsecret = \"x\"\npassword = \"y\"\n"), HasSubstr("no such setting"));
  EXPECT_THAT(problems_of(server() + "[user.\"\"]\nsecret = \"x\"\n"), HasSubstr("cannot name a user"));
}

TEST(EapSettings, AUserOfTwoFiles) {
  const auto config =
      load_texts({{"a.toml", "[user.carol]\nsecret = \"x\"\n"}, {"b.toml", "[user.carol]\nsecret = \"y\"\n"}});
  ASSERT_FALSE(config);
  EXPECT_THAT(testing::lines(config.error()), HasSubstr("the name is taken by the user at a.toml:1"));
}

// Secrets are in no message, of whatever kind.
TEST(EapSettings, ChangesAreToldWithoutSecrets) {
  const auto one = load_text(server() + "[user.carol]\nsecret = \"hush-one\"\n");
  const auto two = load_text(server() + "[user.carol]\nsecret = \"hush-two\"\n");
  ASSERT_TRUE(one && two);
  const Diff found = diff(*one, *two);
  ASSERT_EQ(found.changed.size(), 1u);
  EXPECT_THAT(found.changed[0].changes, ElementsAre("user: changed"));
  EXPECT_FALSE(found.changed[0].restarts);
  const auto client = load_text(tunnel(kClient));
  const auto other = load_text(tunnel("eap = \"gtc\"\neap_identity = \"dave\"\neap_secret = \"hush\"\n"));
  ASSERT_TRUE(client && other);
  const Diff changes = diff(*client, *other);
  ASSERT_EQ(changes.changed.size(), 1u);
  EXPECT_TRUE(changes.changed[0].restarts);
  EXPECT_THAT(changes.changed[0].changes,
              ElementsAre(HasSubstr("local_id"), "eap: as \"carol@example.net\": MSCHAPV2 GTC -> as \"dave\": GTC",
                          "eap_secret: changed"));
}

}  // namespace
}  // namespace culvert::config
