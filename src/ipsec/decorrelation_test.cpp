#include "ipsec/decorrelation.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

Policy rule(std::string_view local, std::string_view remote) {
  Policy policy;
  policy.local = {selector(local)};
  policy.remote = {selector(remote)};
  return policy;
}

// RFC 4301 Appendix B: a rule is cut around what stands before it.
TEST(Decorrelation, CutsALaterRuleAroundAnEarlierOne) {
  const auto entries =
      decorrelate({rule("10.1.0.0/16", "10.2.0.0/16[tcp/80]"), rule("10.1.0.0/16", "10.2.0.0/16[tcp]")}, false, 100);
  ASSERT_TRUE(entries.has_value());
  std::vector<std::string> lines;
  for (const DecorrelatedEntry& entry : *entries) {
    lines.push_back(std::to_string(entry.rule) + ": " + entry.box.to_string());
  }
  EXPECT_EQ(lines,
            (std::vector<std::string>{"0: 10.1.0.0/16 -> 10.2.0.0/16, protocol 6, ports any -> 80",
                                      "1: 10.1.0.0/16 -> 10.2.0.0/16, protocol 6, ports any -> 0-79",
                                      "1: 10.1.0.0/16 -> 10.2.0.0/16, protocol 6, ports any -> 81-65535 and opaque"}));
}

TEST(Decorrelation, ARuleThatCanNeverMatchLeavesNothing) {
  const auto entries =
      decorrelate({rule("10.0.0.0/8", "10.0.0.0/8"), rule("10.1.0.0/16", "10.2.0.0/16[udp/opaque]")}, false, 100);
  ASSERT_TRUE(entries.has_value());
  EXPECT_EQ(entries->size(), 1U);
}

TEST(Decorrelation, GrowthIsBounded) {
  std::vector<Policy> policies;
  for (unsigned i = 60; i-- > 0;) {  // the inner ones first
    const std::string range = std::to_string(i * 100) + "-" + std::to_string(65535 - i * 50);
    const std::string addresses = "10.0." + std::to_string(i) + ".0-10.1.0." + std::to_string(200 - i);
    policies.push_back(rule(addresses + "[udp/" + range + "]", addresses + "[udp/" + range + "]"));
  }
  EXPECT_FALSE(decorrelate(policies, false, 50).has_value());
}

TEST(Decorrelation, SubtractLeavesNothingTwiceAndNothingOut) {
  SelectorBox box = SelectorBox::all(net::Family::v6);
  SelectorBox hole = box;
  for (std::size_t i = 0; i < kSelectorFields; ++i) hole.fields[i] = {5, 9};
  const std::vector<SelectorBox> rest = subtract(box, hole);
  EXPECT_EQ(rest.size(), 2 * kSelectorFields);
  for (std::size_t i = 0; i < rest.size(); ++i) {
    EXPECT_FALSE(rest[i].overlaps(hole));
    for (std::size_t k = 0; k < i; ++k) EXPECT_FALSE(rest[i].overlaps(rest[k]));
  }
  EXPECT_TRUE(subtract(hole, box).empty());
  hole.family = net::Family::v4;
  EXPECT_EQ(subtract(box, hole), std::vector<SelectorBox>{box});
}

}  // namespace
}  // namespace culvert::ipsec
