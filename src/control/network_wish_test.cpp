#include "control/network_wish.hpp"

#include <gtest/gtest.h>

namespace culvert::control {
namespace {

model::TrafficSelectors selectors(std::initializer_list<const char*> texts) {
  model::TrafficSelectors list;
  for (const char* text : texts) list.push_back(model::TrafficSelector::parse(text).value());
  return list;
}

std::string routes_text(const NetworkWish& wish) {
  std::string text;
  for (const RouteWish& route : wish.routes) {
    text += route.destination.to_string() + (route.kind == RouteWish::Kind::bypass ? " bypass, " : ", ");
  }
  return text;
}

model::ConnectionConfig connection(std::initializer_list<const char*> local,
                                   std::initializer_list<const char*> remote) {
  model::ConnectionConfig config;
  config.local = selectors(local);
  config.remote = selectors(remote);
  return config;
}

config::PolicyRule rule(config::RuleAction action, std::initializer_list<const char*> local,
                        std::initializer_list<const char*> remote) {
  config::PolicyRule made;
  made.action = action;
  made.local = selectors(local);
  made.remote = selectors(remote);
  return made;
}

/// The wish for rules in front of tunnels.
NetworkWish wish_for(const std::vector<config::PolicyRule>& rules,
                     const std::vector<const model::ConnectionConfig*>& connections) {
  std::vector<Guarded> guards;
  for (const model::ConnectionConfig* one : connections) guards.push_back(guarded(*one));
  return make_network_wish(arrange_spd(rules, {}, guards), guards);
}

TEST(NetworkWish, RangesBecomePrefixesAndBypassWins) {
  model::ConnectionConfig office;
  office.id = model::ConnectionId(1);
  office.local = selectors({"10.1.0.0/16"});
  office.remote = selectors({"10.2.0.0-10.2.0.2", "192.168.0.0/16"});
  config::PolicyRule bypass;
  bypass.action = config::RuleAction::bypass;
  bypass.local = selectors({"0.0.0.0/0", "::/0"});
  bypass.remote = selectors({"192.168.0.0/16", "10.2.0.9/32[tcp/22]"});
  config::PolicyRule discard;
  discard.action = config::RuleAction::discard;
  discard.remote = selectors({"203.0.113.0/24"});
  const NetworkWish wish = wish_for({bypass, discard}, {&office});
  EXPECT_EQ(routes_text(wish), "10.2.0.0/31, 10.2.0.2/32, 192.168.0.0/16 bypass, 203.0.113.0/24, ");
  EXPECT_EQ(wish.mtu, kDefaultInnerMtu);
}

TEST(NetworkWish, ARouteHasTheSourcesOfAllRulesOnceInTheirOrder) {
  using enum config::RuleAction;
  const auto wish = wish_for({rule(protect, {"10.1.3.0/24", "10.1.1.0/24"}, {"10.2.0.0/16"}),
                              rule(protect, {"10.1.2.0/24", "10.1.3.0/24", "fd01::/32"}, {"10.2.0.0/16"})},
                             {});
  ASSERT_EQ(wish.routes.size(), 1U);
  std::string sources;
  for (const net::AddressRange& source : wish.routes.front().sources) sources += source.to_string() + " ";
  EXPECT_EQ(sources, "10.1.3.0/24 10.1.1.0/24 10.1.2.0/24 ");
}

// RFC 4301 4.4.1: the first rule that matches decides. A route is blind to source and order, so it must not let out
// what they hold back.
TEST(NetworkWish, ABypassRouteLetsNothingOutThatTheRulesHoldBack) {
  using enum config::RuleAction;
  const auto office = connection({"10.1.0.0/16"}, {"192.168.0.0/16"});
  EXPECT_EQ(routes_text(wish_for({rule(bypass, {"10.1.5.0/24"}, {"192.168.0.0/16"})}, {&office})), "192.168.0.0/16, ")
      << "other sources are protected";
  EXPECT_EQ(routes_text(wish_for({rule(bypass, {"0.0.0.0/0[udp]"}, {"192.168.0.0/16"})}, {&office})),
            "192.168.0.0/16, ");
  const auto discarded = rule(discard, {"0.0.0.0/0"}, {"192.168.0.0/16"});
  const auto passed = [](const char* remote) {
    return rule(config::RuleAction::bypass, {"0.0.0.0/0", "::/0"}, {remote});
  };
  EXPECT_EQ(routes_text(wish_for({discarded, passed("192.168.5.0/24")}, {})), "192.168.0.0/16, ");
  EXPECT_EQ(routes_text(wish_for({discarded, passed("192.168.0.0/16")}, {})), "192.168.0.0/16, ");
  EXPECT_EQ(routes_text(wish_for({passed("192.168.5.0/24"), discarded}, {})),
            "192.168.0.0/16, 192.168.5.0/24 bypass, ");
  EXPECT_EQ(routes_text(wish_for({discarded, passed("192.0.0.0/8")}, {})), "192.0.0.0/8 bypass, 192.168.0.0/16, ");
}

// With everything remote the protected network itself lies within it: what is decapsulated for its hosts must reach
// them.
TEST(NetworkWish, TheOwnNetworkStaysReachableWhenEverythingIsRemote) {
  const auto all = connection({"10.1.0.0/16", "fd01::/64"}, {"0.0.0.0/0", "::/0"});
  EXPECT_EQ(routes_text(wish_for({}, {&all})), "0.0.0.0/0, 10.1.0.0/16 bypass, ::/0, fd01::/64 bypass, ");
  const auto host = connection({"0.0.0.0/0"}, {"10.2.0.0/16"});
  EXPECT_EQ(routes_text(wish_for({}, {&host})), "10.2.0.0/16, ");
  // Unless another tunnel leads there, or a rule forbids it.
  for (const char* remote : {"10.1.0.0/16", "10.0.0.0/8"}) {
    const auto branch = connection({"10.9.0.0/16"}, {remote});
    EXPECT_EQ(routes_text(wish_for({}, {&all, &branch})).find("10.1.0.0/16 bypass"), std::string::npos) << remote;
  }
  const auto forbidden = rule(config::RuleAction::discard, {"0.0.0.0/0"}, {"0.0.0.0/0"});
  EXPECT_EQ(routes_text(wish_for({forbidden}, {&all})), "0.0.0.0/0, ::/0, fd01::/64 bypass, ");
}

}  // namespace
}  // namespace culvert::control
