#include "control/spd_list.hpp"

#include <gtest/gtest.h>

#include "control/network_wish.hpp"

namespace culvert::control {
namespace {

using Kind = config::RulePlace::Kind;

model::TrafficSelectors one(const char* text) { return {model::TrafficSelector::parse(text).value()}; }

config::PolicyRule rule(const char* name, config::RulePlace place = {},
                        config::RuleAction action = config::RuleAction::discard) {
  config::PolicyRule made;
  made.name = name;
  made.action = action;
  made.position = std::move(place);
  made.local = one("0.0.0.0/0");
  made.remote = one("10.9.0.0/16");
  return made;
}

Guarded guard(const char* name, RuleOrigin origin, std::uint32_t id, bool own_rule = true) {
  return {.connection = model::ConnectionId(id),
          .name = name,
          .place = {},
          .origin = origin,
          .own_rule = own_rule,
          .local = one("10.1.0.0/16"),
          .remote = one("10.2.0.0/16"),
          .addresses = {},
          .inner_mtu = {},
          .host_to_host = false};
}

std::string order(const std::vector<SpdEntry>& spd) {
  std::string out;
  for (const SpdEntry& entry : spd) out += (out.empty() ? "" : " ") + entry.policy.name;
  return out;
}

// RFC 4301 4.4.1: the order is the administrator's, and total.
TEST(SpdList, FirstFrontManualTunnelsLast) {
  const auto spd = arrange_spd(
      {rule("f1"), rule("l1", {Kind::last, {}}), rule("a1", {Kind::first, {}}), rule("f2")},
      {rule("f3"), rule("a2", {Kind::first, {}}), rule("a3", {Kind::first, {}}), rule("l2", {Kind::last, {}})},
      {guard("t", RuleOrigin::tunnel, 1), guard("m", RuleOrigin::manual, 2),
       guard("bare", RuleOrigin::manual, 3, false)});
  EXPECT_EQ(order(spd), "a3 a2 a1 f1 f2 f3 m t l1 l2");
  for (std::size_t i = 0; i < spd.size(); ++i) EXPECT_EQ(spd[i].policy.id, ipsec::PolicyId(std::uint32_t(i + 1)));
}

TEST(SpdList, BesideAnother) {
  const auto spd = arrange_spd({rule("x", {Kind::before, "y"}), rule("y", {Kind::after, "m"}), rule("f")},
                               {rule("z", {Kind::before, "t"}), rule("lost", {Kind::before, "nobody"})},
                               {guard("t", RuleOrigin::tunnel, 1), guard("m", RuleOrigin::manual, 2)});
  EXPECT_EQ(order(spd), "f lost m x y z t") << "chains hold whatever their order in the file";
}

TEST(SpdList, ProtectRulesAreServedByName) {
  auto named = rule("p", {}, config::RuleAction::protect);
  named.sa = "bare";
  auto lost = named;
  lost.name = "q";
  lost.sa = "gone";
  const auto spd = arrange_spd({named, lost}, {}, {guard("bare", RuleOrigin::manual, 3, false)});
  ASSERT_EQ(spd.size(), 2U);
  EXPECT_EQ(spd[0].policy.connection, model::ConnectionId(3));
  EXPECT_EQ(spd[1].policy.action, ipsec::PolicyAction::protect);
  EXPECT_EQ(spd[1].policy.connection, model::ConnectionId()) << "nobody serves it: it waits, it never leaves in clear";
  // Both lead into TUN.
  EXPECT_EQ(make_network_wish(spd, {}).routes.size(), 1U);
}

TEST(SpdList, ABypassBehindATunnelIsNoRouteForItsNetwork) {
  auto last = rule("l", {Kind::last, {}}, config::RuleAction::bypass);
  last.remote = one("10.2.0.0/16");
  const std::vector<Guarded> guards{guard("t", RuleOrigin::tunnel, 1)};
  EXPECT_EQ(make_network_wish(arrange_spd({last}, {}, guards), guards).routes.front().kind, RouteWish::Kind::tunnel);
  last.position = {};
  EXPECT_EQ(make_network_wish(arrange_spd({last}, {}, guards), guards).routes.front().kind, RouteWish::Kind::bypass);
  last.direction = config::RuleDirection::inbound;
  EXPECT_EQ(make_network_wish(arrange_spd({last}, {}, guards), guards).routes.front().kind, RouteWish::Kind::tunnel);
}

}  // namespace
}  // namespace culvert::control
