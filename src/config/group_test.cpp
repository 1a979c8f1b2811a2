// [group.NAME] and the tunnels that have groups.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/config_test_support.hpp"
#include "config/diff.hpp"

namespace culvert::config {
namespace {

using ::testing::HasSubstr;
using testing::load_text;
using testing::problems_of;

constexpr std::string_view kPools =
    "[pool.staff]\naddresses = \"10.9.0.0/24\"\n[pool.sales]\naddresses = \"10.8.0.0/24\"\n";

std::string tunnel(std::string_view groups = R"(["guests", "sales"])") {
  return "[tunnel.road]\npeer = \"any\"\nremote_id = \"*@example.org\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n"
         "local = [\"10.1.0.0/16\"]\npool = \"staff\"\ngroups = " +
         std::string(groups) + "\n" + std::string(kPools);
}

std::string group(std::string_view lines, std::string_view name = "sales") {
  return "[group." + std::string(name) + "]\n" + std::string(lines) + "\n";
}

const std::string kGuests = group("members = \"*@guests.example.org\"\nrefuse = true", "guests");
const std::string kSales = group(
    "members = [\"amy@example.org\", \"*@sales.example.org\"]\npool = \"sales\"\nlocal = \"10.1.7.0/24\"\nsessions = "
    "1");

TEST(Group, IsReadWholeAndGivenToTheTunnel) {
  const auto config = load_text(tunnel() + kGuests + kSales);
  ASSERT_TRUE(config) << testing::lines(config.error());
  const model::ConnectionConfig& connection = config->tunnels.front().connection;
  ASSERT_EQ(connection.groups.size(), 2U);
  EXPECT_TRUE(connection.groups[0].refused);
  const model::GroupPolicy& sales = connection.groups[1];
  EXPECT_EQ(sales.name, "sales");
  EXPECT_EQ(sales.pools, std::vector<std::string>{"sales"});
  EXPECT_EQ(sales.sessions, 1U);
  EXPECT_EQ(sales.local.size(), 1U);
  const auto who = [&](std::string_view identity, std::string_view named = {}) {
    const auto* found = model::group_of(connection.groups, model::Identity::parse(identity).comparable(), named);
    return found == nullptr ? std::string() : found->name;
  };
  EXPECT_EQ(who("amy@example.org"), "sales");
  EXPECT_EQ(who("bob@sales.example.org"), "sales");
  EXPECT_EQ(who("eve@guests.example.org"), "guests");
  EXPECT_EQ(who("carol@example.org"), "");
  EXPECT_EQ(who("carol@example.org", "sales"), "sales");
  EXPECT_EQ(who("amy@example.org", "none of ours"), "sales");
  // What any peer may be given is the tunnel's `remote`.
  EXPECT_EQ(connection.remote.size(), 2U);
}

TEST(Group, SaysWhatIsWrong) {
  const std::pair<std::string, std::string> wrong[] = {
      {tunnel(R"("sales")"), "there is no group \"sales\""},
      {tunnel(R"("sales")") + group("members = \"*x\""), "no pattern of identities"},
      {tunnel(R"("sales")") + group("members = \"\""), "members"},
      {tunnel(R"("sales")") + group("local = \"10.2.0.0/16\""), "may reach more than the tunnel has"},
      {tunnel(R"("sales")") + group("pool = \"other\""), "there is no pool \"other\""},
      {tunnel(R"("sales")") + group("refuse = true\nlocal = \"10.1.0.0/16\""), "who is refused"},
      {tunnel(R"("sales")") + group("sesions = 1"), "no such setting"},
      {tunnel(R"("sales")") + group("") + group("").replace(0, 13, "[group.'a b']"), "cannot name a group"},
      {testing::tunnel("groups = \"sales\"\n") + group(""), "this tunnel has one"},
      {"[tunnel.a]\npeer = \"any\"\nremote_id = \"amy\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n"
       "local = \"10.1.0.0/16\"\nremote = \"10.2.0.0/16\"\ngroups = \"sales\"\n" +
           std::string(kPools) + group("pool = \"sales\""),
       "the tunnel has none for those of no group"},
  };
  for (const auto& [text, expected] : wrong) EXPECT_THAT(problems_of(text), HasSubstr(expected)) << text;
}

TEST(Group, WhatItMayDoRestartsWhoIsInItDoesNot) {
  const auto before = load_text(tunnel(R"("sales")") + kSales);
  const auto members = load_text(tunnel(R"("sales")") +
                                 group("members = \"bob@example.org\"\npool = \"sales\"\nlocal = \"10.1.7.0/24\""));
  const auto rights = load_text(tunnel(R"("sales")") + group("members = \"amy@example.org\"\npool = \"sales\""));
  ASSERT_TRUE(before && members && rights);
  const Diff soft = diff(*before, *members);
  ASSERT_EQ(soft.changed.size(), 1U);
  EXPECT_FALSE(soft.changed.front().restarts);
  const Diff hard = diff(*before, *rights);
  ASSERT_EQ(hard.changed.size(), 1U);
  EXPECT_TRUE(hard.changed.front().restarts);
  EXPECT_TRUE(diff(*before, *before).empty());
}

}  // namespace
}  // namespace culvert::config
