#include "control/network_wish.hpp"

#include <gtest/gtest.h>

namespace culvert::control {
namespace {

model::TrafficSelectors selectors(std::initializer_list<const char*> texts) {
  model::TrafficSelectors list;
  for (const char* text : texts) list.push_back(model::TrafficSelector::parse(text).value());
  return list;
}

TEST(NetworkWish, RangesBecomePrefixesAndBypassWins) {
  model::ConnectionConfig office;
  office.id = model::ConnectionId(1);
  office.local = selectors({"10.1.0.0/16"});
  office.remote = selectors({"10.2.0.0-10.2.0.2", "192.168.0.0/16"});
  config::PolicyRule bypass;
  bypass.action = config::RuleAction::bypass;
  bypass.remote = selectors({"192.168.0.0/16", "10.2.0.9/32[tcp/22]"});
  config::PolicyRule discard;
  discard.action = config::RuleAction::discard;
  discard.remote = selectors({"203.0.113.0/24"});
  const NetworkWish wish = make_network_wish({bypass, discard}, {&office});
  std::string text;
  for (const RouteWish& route : wish.routes) {
    text += route.destination.to_string() + (route.kind == RouteWish::Kind::bypass ? " bypass, " : ", ");
  }
  EXPECT_EQ(text, "10.2.0.0/31, 10.2.0.2/32, 192.168.0.0/16 bypass, 203.0.113.0/24, ");
  EXPECT_EQ(wish.mtu, kDefaultInnerMtu);
}

TEST(Policies, ExplicitRulesStandInFront) {
  model::ConnectionConfig office;
  office.id = model::ConnectionId(4);
  office.local = selectors({"10.1.0.0/16"});
  office.remote = selectors({"10.2.0.0/16"});
  config::PolicyRule discard;
  discard.action = config::RuleAction::discard;
  const auto policies = make_policies({discard}, {&office});
  ASSERT_EQ(policies.size(), 2u);
  EXPECT_EQ(policies[0].action, ipsec::PolicyAction::discard);
  EXPECT_EQ(policies[1].connection, office.id);
}

}  // namespace
}  // namespace culvert::control
