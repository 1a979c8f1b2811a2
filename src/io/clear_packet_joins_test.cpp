#include "io/clear_packet_joins.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace culvert::io {
namespace {

net::AddressRange range(const char* text) { return *net::AddressRange::parse(text); }

ClearPacketRule drop(const char* source, const char* destination) {
  ClearPacketRule rule;
  rule.source = range(source);
  rule.destination = range(destination);
  return rule;
}

std::string text_of(const std::vector<JoinedRule>& rules) {
  std::string text;
  for (const JoinedRule& one : rules) {
    text += one.rule.accept ? "accept" : "drop";
    for (const auto& source : one.sources) text += " " + source.to_string();
    text += " ->";
    for (const auto& destination : one.destinations) text += " " + destination.to_string();
    text += "\n";
  }
  return text;
}

TEST(ClearPacketJoins, SourcesOfOneDestinationAndDestinationsOfOneSourceComeTogether) {
  std::vector<ClearPacketRule> rules{drop("10.2.0.0/16", "10.1.0.0/16"), drop("10.9.0.1", "10.8.0.0/24"),
                                     drop("10.3.0.0/16", "10.1.0.0/16"), drop("10.5.0.0/16", "10.1.0.0/16"),
                                     drop("10.9.0.1", "10.8.2.0/24"),    drop("fd02::/64", "fd01::/64")};
  EXPECT_EQ(text_of(join_rules(rules)),
            "drop 10.2.0.0/15 10.5.0.0/16 -> 10.1.0.0/16\n"
            "drop 10.9.0.1 -> 10.8.0.0/24 10.8.2.0/24\n"
            "drop fd02::/64 -> fd01::/64\n");
  EXPECT_TRUE(join_rules({}).empty());
}

TEST(ClearPacketJoins, WhatElseARuleSaysKeepsItApart) {
  std::vector<ClearPacketRule> rules(6, drop("10.2.0.0/16", "10.1.0.0/16"));
  rules[1].protocol = 6;
  rules[2].source_ports = {1, 2};
  rules[3].destination_ports = {1, 2};
  rules[4].later_fragments_only = true;
  rules[5] = drop("10.4.0.0/16", "10.1.0.0/16");
  const auto joined = join_rules(rules);
  ASSERT_EQ(joined.size(), 5U);
  EXPECT_EQ(joined[0].sources.size(), 2U);
  EXPECT_EQ(joined[1].rule.protocol, 6);
  EXPECT_EQ(joined[2].rule.source_ports.last, 2);
  EXPECT_EQ(joined[3].rule.destination_ports.last, 2);
  EXPECT_TRUE(joined[4].rule.later_fragments_only);
}

TEST(ClearPacketJoins, NothingIsJoinedAcrossAnotherVerdict) {
  std::vector<ClearPacketRule> rules{drop("10.2.0.0/24", "10.1.0.0/16"), drop("10.2.4.0/24", "10.1.0.0/16"),
                                     drop("10.2.6.0/24", "10.1.0.0/16")};
  rules[1].accept = true;
  EXPECT_EQ(text_of(join_rules(rules)),
            "drop 10.2.0.0/24 -> 10.1.0.0/16\naccept 10.2.4.0/24 -> 10.1.0.0/16\ndrop 10.2.6.0/24 -> 10.1.0.0/16\n");
}

TEST(ClearPacketJoins, ListsAreCut) {
  std::vector<ClearPacketRule> rules;
  for (int i = 0; i < 10; ++i)
    rules.push_back(drop(("10.2." + std::to_string(2 * i) + ".0/24").c_str(), "10.1.0.0/16"));
  const auto joined = join_rules(rules, 4);
  ASSERT_EQ(joined.size(), 3U);
  EXPECT_EQ(joined[0].sources.size(), 4U);
  EXPECT_EQ(joined[2].sources.size(), 2U);
  EXPECT_EQ(joined[2].sources.back(), range("10.2.18.0/24"));
}

TEST(ClearPacketJoins, TheEndOfAllAddressesIsNoNeighbourOfTheirBeginning) {
  EXPECT_EQ(text_of(join_rules({drop("255.255.255.0/24", "10.1.0.0/16"), drop("0.0.0.0/8", "10.1.0.0/16"),
                                drop("255.255.255.255", "10.1.0.0/16")})),
            "drop 0.0.0.0/8 255.255.255.0/24 -> 10.1.0.0/16\n");
}

// The verdict on any packet is that of the list.
TEST(ClearPacketJoins, JoinedRulesDecideAsTheListDoes) {
  SeededRandom random(5);
  const auto address = [](std::uint64_t last) {
    return net::IpAddress::v4({10, 0, 0, static_cast<std::uint8_t>(last)});
  };
  const auto some_range = [&] {
    const auto first = random.below(16);
    return net::AddressRange{address(first), address(first + random.below(3))};
  };
  const auto verdict = [&](const auto& list, const auto& matches) {
    for (const auto& one : list) {
      if (matches(one)) return std::optional(one);
    }
    return std::optional<std::decay_t<decltype(list.front())>>();
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<ClearPacketRule> rules(1 + random.below(12));
    for (ClearPacketRule& rule : rules) {
      rule.source = some_range();
      rule.destination = some_range();
      rule.accept = random.below(4) == 0;
      rule.protocol = random.below(4) == 0 ? 6 : 0;
    }
    const auto joined = join_rules(rules, 3);
    for (std::uint64_t packet = 0; packet < 20 * 20; ++packet) {
      const auto source = address(packet / 20);
      const auto destination = address(packet % 20);
      const auto within = [](const std::vector<net::AddressRange>& list, const net::IpAddress& one) {
        return std::ranges::any_of(list, [&](const auto& some) { return some.contains(one); });
      };
      for (const int protocol : {6, 17}) {
        const auto first = verdict(rules, [&](const ClearPacketRule& rule) {
          return rule.source.contains(source) && rule.destination.contains(destination) &&
                 (rule.protocol == 0 || rule.protocol == protocol);
        });
        const auto second = verdict(joined, [&](const JoinedRule& one) {
          return within(one.sources, source) && within(one.destinations, destination) &&
                 (one.rule.protocol == 0 || one.rule.protocol == protocol);
        });
        ASSERT_EQ(first.has_value(), second.has_value());
        if (first.has_value()) {
          ASSERT_EQ(first->accept, second->rule.accept);
        }
      }
    }
  }
}

}  // namespace
}  // namespace culvert::io
