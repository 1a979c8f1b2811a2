// What is protected between two hosts themselves, and the rest of what they say to each other.
#include <random>

#include <gtest/gtest.h>

#include "control/clear_packets.hpp"
#include "control/network_wish.hpp"
#include "control/spd_list.hpp"
#include "ipsec/spd.hpp"

namespace culvert::control {
namespace {

using ipsec::PolicyAction;

model::TrafficSelectors selectors(std::initializer_list<const char*> texts) {
  model::TrafficSelectors list;
  for (const char* text : texts) list.push_back(model::TrafficSelector::parse(text).value());
  return list;
}

Guarded guard(std::initializer_list<const char*> local, std::initializer_list<const char*> remote,
              bool host_to_host = true) {
  Guarded made;
  made.connection = model::ConnectionId(7);
  made.name = "lab";
  made.origin = RuleOrigin::manual;
  made.local = selectors(local);
  made.remote = selectors(remote);
  made.host_to_host = host_to_host;
  return made;
}

config::PolicyRule rule(config::RuleAction action, std::initializer_list<const char*> local,
                        std::initializer_list<const char*> remote, config::RulePlace::Kind kind) {
  config::PolicyRule made;
  made.action = action;
  made.local = selectors(local);
  made.remote = selectors(remote);
  made.position.kind = kind;
  return made;
}

constexpr auto kLast = config::RulePlace::Kind::last;

TEST(HostToHost, TheRestIsBypassedLastOfAllAndWhatIsWholeHasNone) {
  const auto part = arrange_spd(
      {}, {}, {guard({"192.0.2.1/32[tcp]", "192.0.2.1/32[udp]"}, {"192.0.2.2/32[tcp/80]", "192.0.2.2/32[udp]"})});
  ASSERT_EQ(part.size(), 2U) << "one rest for one pair of addresses";
  EXPECT_EQ(part[1].origin, RuleOrigin::implicit);
  EXPECT_EQ(part[1].sa, "lab");
  EXPECT_EQ(part[1].policy.action, PolicyAction::bypass);
  EXPECT_EQ(part[1].policy.local, selectors({"192.0.2.1/32"}));
  EXPECT_EQ(part[1].policy.remote, selectors({"192.0.2.2/32"}));
  EXPECT_TRUE(part[1].policy.errors_follow_quoted);
  EXPECT_EQ(arrange_spd({}, {}, {guard({"192.0.2.1/32"}, {"192.0.2.2/32"})}).size(), 1U);
  EXPECT_EQ(arrange_spd({}, {}, {guard({"10.1.0.0/16[tcp]"}, {"10.2.0.0/16[tcp]"}, false)}).size(), 1U)
      << "networks behind the peer have no way in clear";
  Guarded bare = guard({"192.0.2.1/32[tcp]"}, {"192.0.2.2/32[tcp]"});
  bare.own_rule = false;
  EXPECT_TRUE(arrange_spd({}, {}, {bare}).empty()) << "whose rules the user writes, all of them";
}

TEST(HostToHost, KnownByModeOrByTheOuterAddresses) {
  model::ConnectionConfig tunnel;
  tunnel.local = selectors({"192.0.2.1/32[tcp]"});
  tunnel.remote = selectors({"192.0.2.2/32[tcp]"});
  EXPECT_FALSE(guarded(tunnel).host_to_host) << "who the peer is nobody knows yet";
  tunnel.peer = net::IpAddress::parse("192.0.2.2");
  EXPECT_TRUE(guarded(tunnel).host_to_host);
  tunnel.local_address = net::IpAddress::parse("192.0.2.9");
  EXPECT_FALSE(guarded(tunnel).host_to_host);
  tunnel.mode = model::Mode::transport;
  EXPECT_TRUE(guarded(tunnel).host_to_host);
  tunnel.mode = model::Mode::beet;
  tunnel.local_address.reset();
  tunnel.remote = selectors({"10.2.0.1/32[tcp]"});
  EXPECT_FALSE(guarded(tunnel).host_to_host);
}

// The one route to the peer leads into TUN; it is never turned into one past it, and has its own source.
TEST(HostToHost, AllTrafficToThePeerIsRoutedIntoTun) {
  Guarded net = guard({"10.1.0.0/16"}, {"10.2.0.0/16", "0.0.0.0/0"}, false);
  net.name = "net";
  const std::vector<Guarded> guards{guard({"192.0.2.1/32[tcp]"}, {"192.0.2.2/32[tcp/80]"}), net};
  const NetworkWish wish = make_network_wish(arrange_spd({}, {}, guards), guards);
  for (const RouteWish& route : wish.routes) {
    if (route.destination.to_string() == "192.0.2.2/32") {
      EXPECT_EQ(route.kind, RouteWish::Kind::tunnel);
      ASSERT_FALSE(route.sources.empty());
      EXPECT_EQ(route.sources.front(), *net::AddressRange::parse("192.0.2.1/32"));
    }
    if (route.destination.to_string() == "10.2.0.0/16") {
      EXPECT_EQ(route.sources, std::vector{*net::AddressRange::parse("10.1.0.0/16")});
    }
  }
  EXPECT_EQ(wish.routes.size(), 4U) << "the peer, its network, everything, and our own network past TUN";
}

// RFC 4301 5.2: in clear comes what the rest says, and only that.
TEST(HostToHost, TheClearPacketFilterTakesTheRestOnly) {
  const auto wishes = make_clear_packet_wishes(
      policies_of(arrange_spd({}, {}, {guard({"192.0.2.1/32[tcp]"}, {"192.0.2.2/32[tcp/80]"})})));
  ASSERT_EQ(wishes.size(), 2U);
  EXPECT_FALSE(wishes[0].accept);
  EXPECT_EQ(wishes[0].source, selectors({"192.0.2.2/32[tcp/80]"})[0]);
  EXPECT_TRUE(wishes[1].accept);
  EXPECT_EQ(wishes[1].source, selectors({"192.0.2.2/32"})[0]);
  EXPECT_EQ(wishes[1].destination, selectors({"192.0.2.1/32"})[0]);
}

/// Few values of everything, so that random rules and packets meet often.
class Dice {
 public:
  explicit Dice(std::uint32_t seed) : engine_(seed) {}
  unsigned below(unsigned n) { return static_cast<unsigned>(engine_() % n); }
  model::TrafficSelector side(bool local, bool exact) {
    static constexpr const char* kPeers[] = {"192.0.2.2/32", "192.0.2.2/32", "192.0.2.0/24", "0.0.0.0/0"};
    std::string text = local ? "192.0.2.1/32" : kPeers[exact ? 0 : below(4)];
    static constexpr const char* kWhat[] = {"", "[tcp]", "[udp]", "[tcp/80]", "[udp/53]", "[icmp]"};
    text += kWhat[below(6)];
    return *model::TrafficSelector::parse(text);
  }
  net::PacketInfo packet() {
    net::PacketInfo info;
    info.family = net::Family::v4;
    info.source = *net::IpAddress::parse(below(8) == 0 ? "192.0.2.7" : "192.0.2.1");
    info.destination = *net::IpAddress::parse(below(8) == 0 ? "192.0.2.3" : "192.0.2.2");
    static constexpr std::uint8_t kProtocols[] = {6, 17, 1, 47};
    info.protocol = kProtocols[below(4)];
    info.ports_visible = info.protocol != 47 && below(6) != 0;
    info.is_later_fragment = info.is_fragment = !info.ports_visible && info.protocol != 47;
    static constexpr std::uint16_t kPorts[] = {22, 53, 80, 0x0300};
    if (info.ports_visible) {
      info.destination_port = kPorts[below(4)];
      info.source_port = info.protocol == 1 ? info.destination_port : kPorts[below(3)];
    }
    return info;
  }

 private:
  std::mt19937 engine_;
};

// The rest takes nothing that any other rule takes, the user's or the entry's own, whatever the order; and leaves
// nothing between the two addresses without a verdict.
TEST(HostToHost, TheRestIsExactlyWhatNoOtherRuleTakes) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    Dice dice(seed);
    Guarded lab = guard({}, {});
    for (unsigned i = 0; i <= dice.below(2); ++i) {
      lab.local.push_back(dice.side(true, true));
      lab.remote.push_back(dice.side(false, true));
    }
    std::vector<config::PolicyRule> rules;
    for (unsigned i = dice.below(3); i > 0; --i) {
      config::PolicyRule made;
      made.action = dice.below(2) == 0 ? config::RuleAction::discard : config::RuleAction::bypass;
      made.local = {dice.side(true, false)};
      made.remote = {dice.side(false, false)};
      if (dice.below(2) == 0) made.position.kind = kLast;
      rules.push_back(made);
    }
    const auto with = arrange_spd(rules, {}, {lab});
    lab.host_to_host = false;
    const auto without = arrange_spd(rules, {}, {lab});
    ipsec::Spd spd;
    spd.replace(policies_of(with));
    for (int i = 0; i < 200; ++i) {
      const net::PacketInfo packet = dice.packet();
      const auto matches = [&](const SpdEntry& entry) {
        return ipsec::selectors_match(entry.policy.local, entry.policy.remote, packet);
      };
      const auto other = std::ranges::find_if(without, matches);
      const ipsec::Policy* const verdict = spd.find_outbound(packet);
      if (other != without.end()) {
        ASSERT_TRUE(verdict != nullptr);
        EXPECT_EQ(verdict->action, other->policy.action);
        EXPECT_FALSE(verdict->errors_follow_quoted);
      } else if (verdict != nullptr) {
        EXPECT_TRUE(verdict->errors_follow_quoted);
        EXPECT_EQ(packet.source.to_string() + packet.destination.to_string(), "192.0.2.1192.0.2.2");
      } else {
        const bool whole = with.size() == without.size();
        EXPECT_TRUE(whole || packet.source.to_string() + packet.destination.to_string() != "192.0.2.1192.0.2.2");
      }
    }
  }
}

TEST(HostToHost, ADiscardRuleOfTheUsersStandsInFrontOfTheRest) {
  const auto spd = arrange_spd({rule(config::RuleAction::discard, {"0.0.0.0/0"}, {"0.0.0.0/0"}, kLast)}, {},
                               {guard({"192.0.2.1/32[tcp]"}, {"192.0.2.2/32[tcp/80]"})});
  ASSERT_EQ(spd.size(), 3U);
  EXPECT_EQ(spd[0].policy.action, PolicyAction::protect);
  EXPECT_EQ(spd[1].policy.action, PolicyAction::discard);
  EXPECT_EQ(spd[2].origin, RuleOrigin::implicit);
}

}  // namespace
}  // namespace culvert::control
