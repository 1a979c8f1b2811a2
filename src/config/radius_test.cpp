// [radius.NAME], and `eap = "radius"` of a tunnel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"
#include "config/diff.hpp"

namespace culvert::config {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::load_text;
using ::testing::Not;
using testing::problems_of;
using testing::tunnel;

std::string gateway(const std::string& extra = "eap = \"radius\"\nradius = \"office\"\n") {
  std::string text = tunnel(extra);
  return text.replace(text.find("192.0.2.2"), 9, "any");
}
std::string servers(const std::string& extra = {}) {
  return "[radius.office]\nservers = [\"192.0.2.9\", \"[2001:db8::9]:1645\"]\n"
         "secret = \"sixteen octets or more\"\n" +
         extra;
}

TEST(Radius, Everything) {
  const auto config = load_text(gateway() + servers("accounting = \"192.0.2.9\"\nnas_identifier = \"gw\"\n"
                                                    "timeout = \"500ms\"\ntries = 5\ninterim = \"10m\"\n"
                                                    "dynamic_clients = [\"192.0.2.9\"]\ndynamic_port = 1700\n"));
  ASSERT_TRUE(config) << testing::lines(config.error());
  EXPECT_TRUE(config->warnings.empty()) << testing::lines(config->warnings);
  const auto& eap = config->tunnels[0].connection.eap;
  ASSERT_TRUE(eap);
  EXPECT_EQ(eap->radius, "office");
  EXPECT_FALSE(eap->client);
  EXPECT_TRUE(eap->methods.empty());
  ASSERT_EQ(config->radius.size(), 1U);
  const RadiusConfig& radius = config->radius[0];
  ASSERT_EQ(radius.servers.size(), 2U);
  EXPECT_EQ(radius.servers[0].to_string(), "192.0.2.9:1812");
  EXPECT_EQ(radius.servers[1].to_string(), "[2001:db8::9]:1645");
  EXPECT_EQ(radius.accounting[0].to_string(), "192.0.2.9:1813");
  EXPECT_TRUE(equal(radius.secret.view(), as_bytes("sixteen octets or more")));
  EXPECT_EQ(radius.nas_identifier, "gw");
  EXPECT_EQ(radius.timeout, std::chrono::milliseconds(500));
  EXPECT_EQ(radius.tries, 5U);
  EXPECT_EQ(radius.interim, minutes(10));
  EXPECT_EQ(radius.dynamic_clients.size(), 1U);
  EXPECT_EQ(radius.dynamic_port, 1700);
}

TEST(Radius, Defaults) {
  const auto config = load_text(servers());
  ASSERT_TRUE(config) << testing::lines(config.error());
  const RadiusConfig& radius = config->radius[0];
  EXPECT_EQ(radius.nas_identifier, "culvert");
  EXPECT_EQ(radius.timeout, seconds(2));
  EXPECT_EQ(radius.tries, 3U);
  EXPECT_EQ(radius.dynamic_port, 3799);
  EXPECT_TRUE(radius.accounting.empty());
  EXPECT_FALSE(radius.interim);
}

// The daemon looks them up.
TEST(Radius, ServersByName) {
  const auto config = load_text(
      "[radius.office]\nservers = [\"radius.example.net\", \"192.0.2.9\", \"backup:1645\"]\n"
      "accounting = \"radius.example.net\"\nsecret = \"sixteen octets or more\"\n");
  ASSERT_TRUE(config) << testing::lines(config.error());
  const RadiusConfig& radius = config->radius[0];
  ASSERT_EQ(radius.servers.size(), 3U);
  EXPECT_EQ(radius.servers[0].name, "radius.example.net");
  EXPECT_TRUE(radius.servers[0].endpoint.address.is_unspecified());
  EXPECT_EQ(radius.servers[0].to_string(), "radius.example.net:1812");
  EXPECT_EQ(radius.servers[1].name, "");
  EXPECT_EQ(radius.servers[2].to_string(), "backup:1645");
  EXPECT_EQ(radius.accounting[0].to_string(), "radius.example.net:1813");
}

TEST(Radius, ComplaintsNameFileLineAndField) {
  EXPECT_THAT(problems_of("[radius.office]\nsecret = \"sixteen octets or more\"\n"),
              HasSubstr("a.toml:1:1: error: radius.office.servers: "));
  EXPECT_THAT(problems_of("[radius.office]\nservers = \"192.0.2.9\"\n"), HasSubstr("secret_file = "));
  EXPECT_THAT(problems_of("[radius.office]\nservers = \"a server\"\nsecret = \"sixteen octets or more\"\n"),
              HasSubstr("a.toml:2:11: error: radius.office.servers: \"a server\" is no address of a server"));
  for (const char* wrong : {"radius.example:0", "radius.example:65536", "radius.example:", "radius.example:x",
                            "192.0.2.300", "0.0.0.0", "[::]:1812", "224.0.0.1", ":1812"}) {
    EXPECT_THAT(
        problems_of(fmt::format("[radius.office]\nservers = \"{}\"\nsecret = \"sixteen octets or more\"\n", wrong)),
        HasSubstr("is no address of a server"))
        << wrong;
  }
  EXPECT_THAT(problems_of("[radius.office]\nservers = [\"r.example\", \"r.example:1812\"]\nsecret = \"x\"\n"),
              HasSubstr("stands there twice"));
  EXPECT_THAT(problems_of("[radius.office]\nservers = [\"192.0.2.9\", \"192.0.2.9:1812\"]\nsecret = \"x\"\n"),
              HasSubstr("stands there twice"));
  EXPECT_THAT(problems_of("[radius.office]\nservers = \"192.0.2.9\"\nsecret = \"short\"\n"),
              HasSubstr("warning: radius.office.secret: the secret has only 5 octets"));
  EXPECT_THAT(problems_of(servers("interim = \"5m\"\n")), HasSubstr("no server that could hear of it"));
  EXPECT_THAT(problems_of(servers("accounting = \"192.0.2.9\"\ninterim = \"5s\"\n")), HasSubstr("interim"));
  EXPECT_THAT(problems_of(servers("dynamic_port = 1700\n")), HasSubstr("nobody may send to this port"));
  EXPECT_THAT(problems_of(servers("dynamic_clients = [\"radius\"]\n")), HasSubstr("is not an address"));
  EXPECT_THAT(problems_of(servers("nas_identifier = \"" + std::string(254, 'x') + "\"\n")),
              HasSubstr("1 to 253 are allowed"));
  EXPECT_THAT(problems_of(servers() + "[radius.other]\nservers = \"192.0.2.9\"\nsecret = \"sixteen octets or more\"\n"
                                      "dynamic_clients = [\"192.0.2.9\"]\n"),
              Not(HasSubstr("already")));
  EXPECT_THAT(problems_of(servers("dynamic_clients = [\"192.0.2.9\"]\n") +
                          "[radius.other]\nservers = \"192.0.2.9\"\nsecret = \"sixteen octets or more\"\n"
                          "dynamic_clients = [\"192.0.2.9\"]\n"),
              HasSubstr("192.0.2.9 may send to port 3799 for [radius.office] already"));
}

TEST(Radius, ComplaintsOfTunnels) {
  EXPECT_THAT(problems_of(gateway()), HasSubstr("tunnel.office.radius: there is no section [radius.office]"));
  EXPECT_THAT(problems_of(gateway("eap = \"radius\"\n") + servers()), HasSubstr("radius = \"NAME\""));
  EXPECT_THAT(problems_of(gateway("eap = \"md5\"\nradius = \"office\"\n") + servers()),
              HasSubstr("this goes with eap = \"radius\""));
  EXPECT_THAT(problems_of(tunnel("radius = \"office\"\n") + servers()), HasSubstr("which is missing"));
  EXPECT_THAT(problems_of(tunnel("eap = \"radius\"\nradius = \"office\"\neap_identity = \"carol\"\n"
                                 "eap_secret = \"a pass phrase\"\n") +
                          servers()),
              HasSubstr("a client speaks with the gateway"));
  EXPECT_THAT(problems_of(gateway("eap = [\"radius\"]\nradius = \"office\"\n") + servers()), Not(HasSubstr("error")));
}

TEST(Radius, DiffSaysThatItChanged) {
  const auto before = load_text(gateway() + servers());
  const auto same = load_text(gateway() + servers());
  const auto after = load_text(gateway() + servers("tries = 4\n"));
  ASSERT_TRUE(before && same && after);
  EXPECT_FALSE(diff(*before, *same).radius_changed);
  EXPECT_TRUE(diff(*before, *same).empty());
  EXPECT_TRUE(diff(*before, *after).radius_changed);
  EXPECT_FALSE(diff(*before, *after).empty());
  EXPECT_TRUE(diff(*before, *after).changed.empty()) << "SAs that stand are left alone";
}

}  // namespace
}  // namespace culvert::config
