// Checks across tunnels and files.
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"

namespace culvert::config {
namespace {

using testing::lines;
using testing::tunnel;

std::string both(std::string first, std::string second) {
  const auto result = load_texts({{"a.toml", std::move(first)}, {"b.toml", std::move(second)}});
  return lines(result ? result->warnings : result.error());
}

std::string other(std::string_view local, std::string_view remote, std::string_view peer = "192.0.2.3") {
  return "[tunnel.home]\npeer = \"" + std::string(peer) + "\"\nsecret = \"another secret, long enough\"\nlocal = [\"" +
         std::string(local) + "\"]\nremote = [\"" + std::string(remote) + "\"]\n";
}

TEST(CheckAcross, SameNameInTwoFiles) {
  EXPECT_EQ(both(tunnel(), tunnel()),
            "b.toml:1:1: error: tunnel.office: the name is taken by the tunnel at a.toml:1:1\n"
            "  give one of the two another name\n");
}

TEST(CheckAcross, OverlapNamesBothPlaces) {
  EXPECT_EQ(
      both(tunnel(), other("10.1.5.0/24", "10.2.128.0/17")),
      "b.toml:5:11: error: tunnel.home.remote: 10.2.128.0/17 overlaps 10.2.0.0/16 of tunnel office at a.toml:5:11\n"
      "  a packet can take one tunnel only: give each its own subnets, or its own protocols and ports "
      "(\"[tcp/443]\")\n");
}

TEST(CheckAcross, WhatCanBeToldApartIsNoOverlap) {
  EXPECT_EQ(both(tunnel(), other("10.5.0.0/16", "10.2.128.0/17")), "") << "other local subnets";
  EXPECT_EQ(both(tunnel(), other("10.1.0.0/16", "10.3.0.0/16")), "") << "other remote subnets";
  std::string tcp = tunnel();
  tcp.replace(tcp.find("10.2.0.0/16"), 11, "10.2.0.0/16[tcp]");
  EXPECT_EQ(both(tcp, other("10.1.0.0/16", "10.2.0.0/16[udp]")), "") << "other protocols";
}

TEST(CheckAcross, TwoSecretsForOnePeer) {
  EXPECT_EQ(both(tunnel(), other("10.7.0.0/16", "10.8.0.0/16", "192.0.2.2")),
            "b.toml:2:8: error: tunnel.home.peer: the tunnel office at a.toml:1:1 has the same peer and identities, "
            "but another secret\n"
            "  give both the same secret, or tell them apart by local_id or remote_id\n");
}

TEST(CheckAcross, EachTunnelOfManyWithOnePeerIsComparedWithAllKinds) {
  const auto by_key = [](std::string_view net) {
    return "[tunnel.k" + std::string(net) + "]\npeer = \"192.0.2.2\"\nlocal = [\"10.1." + std::string(net) +
           ".0/24\"]\nremote = [\"10.2.0.0/16\"]\nsecret = \"a secret that is long\"\n";
  };
  EXPECT_EQ(both(by_key("1") + by_key("2"), by_key("3") + by_key("4")), "");
  std::string wrong = by_key("3");
  wrong.replace(wrong.find("a secret"), 8, "one else");
  EXPECT_EQ(both(by_key("1") + by_key("2"), by_key("4") + wrong),
            "b.toml:7:8: error: tunnel.k3.peer: the tunnel k1 at a.toml:1:1 has the same peer and identities, but "
            "another secret\n"
            "  give both the same secret, or tell them apart by local_id or remote_id\n");
}

TEST(CheckAcross, OverlapsAreFoundByWhicheverSideDiffers) {
  const auto many = [](int count, const auto& subnets) {
    std::string text;
    for (int i = 0; i < count; ++i) {
      text += "[tunnel.t" + std::to_string(i) + "]\npeer = \"192.0.2.1\"\nsecret = \"0123456789abcdef\"\n" + subnets(i);
    }
    const auto result = testing::load_text(text);
    return result ? std::size_t{0} : result.error().size();
  };
  const auto net = [](int i) { return "\"10." + std::to_string(i) + ".0.0/16\"\n"; };
  const std::string same = "\"10.255.0.0/16\"\n";
  EXPECT_EQ(many(9, [&](int i) { return "local = " + same + "remote = " + net(i); }), 0U);
  EXPECT_EQ(many(9, [&](int i) { return "remote = " + same + "local = " + net(i); }), 0U);
  EXPECT_EQ(many(9, [&](int i) { return "local = " + same + "remote = " + net(i % 8); }), 1U);
  EXPECT_EQ(many(9, [&](int i) { return "remote = " + same + "local = " + net(i % 8); }), 1U);
}

TEST(CheckAcross, OneDaemonSectionOnly) {
  EXPECT_EQ(both("[daemon]\nlog_level = \"debug\"\n", "[daemon]\n"),
            "b.toml:1:1: error: daemon: there is a [daemon] at a.toml:1:1 already\n"
            "  put all its settings into one file\n");
}

TEST(CheckAcross, ThousandTunnelsAreChecked) {
  std::string text;
  for (int i = 0; i < 1000; ++i) {
    text += "[tunnel.t" + std::to_string(i) +
            "]\npeer = \"192.0.2.1\"\nsecret = \"0123456789abcdef\"\nlocal = \"10.255.0.0/16\"\nremote = \"10." +
            std::to_string(i / 250) + "." + std::to_string(i % 250) + ".0/24\"\n";
  }
  const auto config = testing::load_text(text);
  ASSERT_TRUE(config) << lines(config.error());
  EXPECT_EQ(config->tunnels.size(), 1000u);
  EXPECT_EQ(config->tunnels[999].connection.name, "t999") << "in the order of the file";
}

/// A server of EAP; its subnets are apart from those of another number.
std::string eap_server(int number, const std::string& extra = {}, std::string_view peer = "any") {
  const std::string n = std::to_string(number);
  return "[tunnel.eap" + n + "]\npeer = \"" + std::string(peer) +
         "\"\nsecret = \"0123456789abcdef0123456789abcdef\"\nlocal = [\"10.1." + n + ".0/24\"]\nremote = [\"10.2." + n +
         ".0/24\"]\neap = \"mschapv2\"\n" + extra;
}

TEST(CheckAcross, ServersOfEapThatTakeTheSamePeers) {
  const std::string user = "[user.carol]\nsecret = \"a pass phrase\"\n";
  const auto bad = both(eap_server(1), eap_server(2) + user);
  EXPECT_NE(bad.find("the tunnel eap1 at a.toml:1:1 takes the same peers by EAP"), std::string::npos) << bad;
  EXPECT_NE(bad.find("b.toml:2"), std::string::npos) << bad;
  const auto listed =
      both(eap_server(1), eap_server(2, "auth = \"secret\"\npeer_auth = [\"eap\", \"secret\"]\n") + user);
  EXPECT_NE(listed.find("takes the same peers by EAP"), std::string::npos) << listed;
  for (const std::string& apart :
       {std::string("local_id = \"other.example\"\n"), std::string("remote_id = \"amy.example\"\n"),
        std::string("local_address = \"192.0.2.9\"\n"),
        // The first round, which is not EAP, tells.
        std::string("remote_id = \"amy.example\"\nauth = \"secret\"\npeer_auth = [\"secret\", \"eap\"]\n")})
    EXPECT_EQ(both(eap_server(1), eap_server(2, apart) + user), "") << apart;
  EXPECT_EQ(both(eap_server(1, {}, "192.0.2.7"), eap_server(2, {}, "192.0.2.8") + user), "");
}

// Patterns are identities, too.
TEST(CheckAcross, PatternsTellPeersApart) {
  const auto server = [](int number, const std::string& pattern, const std::string& secret) {
    const std::string n = std::to_string(number);
    return "[tunnel.p" + n + "]\npeer = \"any\"\nremote_id = \"" + pattern + "\"\nsecret = \"" + secret +
           "\"\nlocal = [\"10.1.0.0/16\"]\npool = \"p" + n + "\"\n[pool.p" + n + "]\naddresses = \"10.9." + n +
           ".0/24\"\n";
  };
  EXPECT_EQ(
      both(server(1, "*@a.example", "a secret of twenty octets"), server(2, "*@b.example", "another, twenty octets")),
      "");
  EXPECT_NE(
      both(server(1, "*@a.example", "a secret of twenty octets"), server(2, "*@a.example", "another, twenty octets"))
          .find("but another secret"),
      std::string::npos);
}

}  // namespace
}  // namespace culvert::config
