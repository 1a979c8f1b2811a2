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

}  // namespace
}  // namespace culvert::config
