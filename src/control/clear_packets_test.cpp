#include "control/clear_packets.hpp"

#include <gtest/gtest.h>

namespace culvert::control {
namespace {

using ipsec::Policy;
using ipsec::PolicyAction;

model::TrafficSelectors selectors(std::initializer_list<const char*> texts) {
  model::TrafficSelectors list;
  for (const char* text : texts) list.push_back(model::TrafficSelector::parse(text).value());
  return list;
}

std::string text_of(const std::vector<ClearPacketWish>& wishes) {
  std::string text;
  for (const ClearPacketWish& wish : wishes) {
    text += (wish.accept ? "+ " : "- ") + wish.source.to_string() + " > " + wish.destination.to_string() + "\n";
  }
  return text;
}

// RFC 4301 5.2: what a protect rule covers may not arrive in clear; rules in front of it decide first.
TEST(ClearPackets, FollowTheOrderOfTheSpd) {
  const std::vector<Policy> policies{
      {ipsec::PolicyId(1), PolicyAction::bypass, selectors({"10.1.0.0/16"}), selectors({"10.2.0.0/16[tcp/22]"}), {}},
      {ipsec::PolicyId(2), PolicyAction::discard, selectors({"10.1.0.0/16"}), selectors({"10.2.9.0/24"}), {}},
      {ipsec::PolicyId(3), PolicyAction::protect, selectors({"10.1.0.0/16", "fd01::/16"}),
       selectors({"10.2.0.0/16", "fd02::/16"}), model::ConnectionId(1)}};
  EXPECT_EQ(text_of(make_clear_packet_wishes(policies)),
            "+ 10.2.0.0/16[tcp/22] > 10.1.0.0/16\n"
            "- 10.2.9.0/24 > 10.1.0.0/16\n"
            "- 10.2.0.0/16 > 10.1.0.0/16\n"
            "- fd02::/16 > fd01::/16\n");
}

TEST(ClearPackets, HostsBesideAGatewayForEverythingStillTalk) {
  const std::vector<Policy> policies{{ipsec::PolicyId(1), PolicyAction::protect, selectors({"10.1.0.0/16"}),
                                      selectors({"0.0.0.0/0"}), model::ConnectionId(1)}};
  EXPECT_EQ(text_of(make_clear_packet_wishes(policies)),
            "+ 10.1.0.0/16 > 10.1.0.0/16\n"
            "- 0.0.0.0/0 > 10.1.0.0/16\n");
}

TEST(ClearPackets, OutboundRulesSayNothingOfThem) {
  Policy policy{ipsec::PolicyId(1), PolicyAction::discard, selectors({"0.0.0.0/0"}), selectors({"10.2.0.0/16"}), {}};
  policy.direction = ipsec::PolicyDirection::outbound;
  EXPECT_TRUE(make_clear_packet_wishes({policy}).empty());
}

}  // namespace
}  // namespace culvert::control
