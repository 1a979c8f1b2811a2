#include "ipsec/spd.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/flow_cache.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

net::PacketInfo info_of(const Bytes& packet) { return net::parse_packet(packet).value(); }

Policy rule(std::uint32_t id, PolicyAction action, model::TrafficSelectors local, model::TrafficSelectors remote) {
  return {PolicyId{id}, action, std::move(local), std::move(remote), {}};
}

// RFC 4301 4.4.1: ordered, the first match decides.
TEST(Spd, FirstMatchDecides) {
  Spd spd;
  spd.replace({
      rule(1, PolicyAction::discard, {selector("10.0.0.0/8")}, {selector("192.0.2.7")}),
      rule(2, PolicyAction::bypass, {selector("10.0.0.0/8")}, {selector("192.0.2.0-192.0.2.10[udp/53-60]")}),
      rule(3, PolicyAction::protect, {selector("0.0.0.0/0"), selector("::/0")},
           {selector("192.0.2.0/24"), selector("2001:db8::/32")}),
  });
  const auto found = [&spd](const Flow& flow, bool tcp = false) -> std::uint32_t {
    const Policy* const policy = spd.find_outbound(info_of(tcp ? tcp_packet(flow, 1, 0x10, {}) : udp_packet(flow, {})));
    return policy == nullptr ? 0 : policy->id.value();
  };
  Flow flow{address("10.1.1.1"), address("192.0.2.7"), 1, 53};
  EXPECT_EQ(found(flow), 1U);
  flow.destination = address("192.0.2.10");
  EXPECT_EQ(found(flow), 2U);
  EXPECT_EQ(found(flow, true), 3U);
  flow.destination_port = 61;
  EXPECT_EQ(found(flow), 3U);
  flow.destination = address("192.0.2.11");
  flow.destination_port = 53;
  EXPECT_EQ(found(flow), 3U);
  flow.destination = address("192.0.3.1");
  EXPECT_EQ(found(flow), 0U);
  EXPECT_EQ(found({address("2001:db8:5::1"), address("2001:db8:6::1")}), 3U);
  EXPECT_EQ(found({address("2001:db8:5::1"), address("2001:db9::1")}), 0U);
}

net::PacketInfo with_type(std::uint8_t protocol, std::uint8_t type, std::uint8_t code, bool v6 = false) {
  net::PacketInfo info;
  info.family = v6 ? net::Family::v6 : net::Family::v4;
  info.source = address(v6 ? "2001:db8:1::1" : "10.1.0.1");
  info.destination = address(v6 ? "2001:db8:2::1" : "10.2.0.1");
  info.protocol = protocol;
  info.ports_visible = true;
  info.source_port = info.destination_port = static_cast<std::uint16_t>(type << 8 | code);
  return info;
}

// RFC 4301 4.4.1.3 C, D: the local "port" of ICMP says what may be sent, the remote one what may be received.
TEST(Spd, IcmpTypesMayBeSentThatMustNotBeReceived) {
  Spd spd;
  spd.replace(
      {rule(1, PolicyAction::protect, {selector("10.1.0.0/16[icmp/8]")}, {selector("10.2.0.0/16[icmp/opaque]")}),
       rule(2, PolicyAction::protect, {selector("10.1.0.0/16[icmp/opaque]")}, {selector("10.2.0.0/16[icmp/3]")})});
  const auto reversed = [](net::PacketInfo info) {
    std::swap(info.source, info.destination);
    return info;
  };
  ASSERT_NE(spd.find_outbound(with_type(1, 8, 0)), nullptr);
  EXPECT_EQ(spd.find_outbound(with_type(1, 8, 0))->id, PolicyId{1});
  EXPECT_EQ(spd.find_inbound(reversed(with_type(1, 8, 0))), nullptr);
  EXPECT_EQ(spd.find_outbound(with_type(1, 3, 4)), nullptr);
  ASSERT_NE(spd.find_inbound(reversed(with_type(1, 3, 4))), nullptr);
  EXPECT_EQ(spd.find_inbound(reversed(with_type(1, 3, 4)))->id, PolicyId{2});
}

// RFC 4301 4.4.1.1: type * 256 + code between the ends; the Mobility Header's type in the high octet.
TEST(Spd, TypesAndCodesAreRangesOfOneNumber) {
  Spd spd;
  spd.replace({rule(1, PolicyAction::protect, {selector("10.0.0.0/8[icmp/3.4-5.1]")}, {selector("10.0.0.0/8")}),
               rule(2, PolicyAction::protect, {selector("::/0[mobility/1280-1535]")}, {selector("::/0")})});
  EXPECT_EQ(spd.find_outbound(with_type(1, 3, 3)), nullptr);
  EXPECT_NE(spd.find_outbound(with_type(1, 3, 4)), nullptr);
  EXPECT_NE(spd.find_outbound(with_type(1, 4, 250)), nullptr);
  EXPECT_NE(spd.find_outbound(with_type(1, 5, 1)), nullptr);
  EXPECT_EQ(spd.find_outbound(with_type(1, 5, 2)), nullptr);
  EXPECT_NE(spd.find_outbound(with_type(135, 5, 0, true)), nullptr);
  EXPECT_EQ(spd.find_outbound(with_type(135, 6, 0, true)), nullptr);
}

// RFC 4301 4.4.1.1: ports that cannot be seen match ANY and OPAQUE, ports that can be seen never match OPAQUE.
TEST(Spd, LaterFragmentsMatchAnyAndOpaqueOnly) {
  Bytes fragment = udp_packet({address("10.1.0.1"), address("10.2.0.1"), 5, 80}, Bytes(8));
  store_be16(fragment.data() + 6, 2);
  const net::PacketInfo later = info_of(fragment);
  const net::PacketInfo whole = info_of(udp_packet({address("10.1.0.1"), address("10.2.0.1"), 5, 80}, Bytes(8)));
  Spd spd;
  spd.replace(
      {rule(1, PolicyAction::protect, {selector("10.0.0.0/8")}, {selector("10.0.0.0/8[udp/0-65534]")}),
       rule(2, PolicyAction::protect, {selector("10.0.0.0/8[udp/opaque]")}, {selector("10.0.0.0/8[udp/opaque]")}),
       rule(3, PolicyAction::bypass, {selector("10.0.0.0/8")}, {selector("10.0.0.0/8")})});
  EXPECT_EQ(spd.find_outbound(whole)->id, PolicyId{1});
  EXPECT_EQ(spd.find_outbound(later)->id, PolicyId{2});
  net::PacketInfo gre = whole;
  gre.protocol = 47;
  gre.ports_visible = false;
  gre.source_port = gre.destination_port = 0;
  EXPECT_EQ(spd.find_outbound(gre)->id, PolicyId{3});
}

// RFC 4301 4.4.1: SPD-S serves both ways, SPD-O and SPD-I one each; inbound the two ends are swapped.
TEST(Spd, DirectionsHaveRulesOfTheirOwn) {
  Spd spd;
  std::vector<Policy> policies{rule(1, PolicyAction::bypass, {selector("10.1.0.0/16")}, {selector("10.2.0.0/16")}),
                               rule(2, PolicyAction::discard, {selector("10.1.0.0/16")}, {selector("10.2.0.0/16")}),
                               rule(3, PolicyAction::protect, {selector("10.0.0.0/8")}, {selector("10.0.0.0/8")})};
  policies[0].direction = PolicyDirection::outbound;
  policies[1].direction = PolicyDirection::inbound;
  spd.replace(policies);
  const Flow out{address("10.1.0.1"), address("10.2.0.1")};
  EXPECT_EQ(spd.find_outbound(info_of(udp_packet(out, {})))->id, PolicyId{1});
  EXPECT_EQ(spd.find_inbound(info_of(udp_packet(out.reversed(), {})))->id, PolicyId{2});
  EXPECT_EQ(spd.find_outbound(info_of(udp_packet(out.reversed(), {})))->id, PolicyId{3});
  EXPECT_EQ(spd.find_inbound(info_of(udp_packet(out, {})))->id, PolicyId{3});
}

// RFC 4301 4.4.1.2, the table at its end.
TEST(Spd, NewSelectorsComeFromTheRuleOrThePacket) {
  Policy policy = rule(1, PolicyAction::protect, {selector("10.1.0.0/16"), selector("10.9.0.0/16[tcp]")},
                       {selector("10.2.0.0/16[udp/50-90]"), selector("10.2.0.0/24")});
  const net::PacketInfo packet = info_of(udp_packet({address("10.1.0.1"), address("10.2.0.1"), 5, 80}, Bytes(8)));
  const auto made = [&](const PopulateFromPacket& flags) {
    policy.populate = flags;
    const auto selectors = selectors_for(policy, packet);
    return selectors ? model::to_string(selectors->local) + " / " + model::to_string(selectors->remote) : "none";
  };
  EXPECT_EQ(made({}), "10.1.0.0/16, 10.9.0.0/16[tcp] / 10.2.0.0/16[udp/50-90], 10.2.0.0/24");
  EXPECT_EQ(made({.local_address = true}), "10.1.0.1 / 10.2.0.0/16[udp/50-90], 10.2.0.0/24");
  EXPECT_EQ(made({.remote_address = true}), "10.1.0.0/16, 10.9.0.0/16[tcp] / 10.2.0.1[udp/50-90], 10.2.0.1");
  EXPECT_EQ(made({.protocol = true}), "10.1.0.0/16[udp] / 10.2.0.0/16[udp/50-90], 10.2.0.0/24[udp]");
  EXPECT_EQ(made({.remote_port = true}), "10.1.0.0/16[udp] / 10.2.0.0/16[udp/80], 10.2.0.0/24[udp/80]");
  EXPECT_EQ(made({true, true, true, true, true}), "10.1.0.1[udp/5] / 10.2.0.1[udp/80]");
}

// RFC 4301 4.4.1.2: PFP for a value that is not available: discard the packet. A protocol that has no ports lacks none.
// What IKE's narrowing leaves of two rules carries just the packets that match both, in the direction that they go:
// also for ICMP and the Mobility Header, whose one field only the sender's selector counts for.
TEST(Spd, NarrowingAgreesWithTheRulesAboutTypes) {
  static constexpr const char* kFields[] = {
      "", "[icmp]", "[icmp/8]", "[icmp/0-8]", "[icmp/3.1-3.9]", "[icmp/opaque]", "[135]", "[135/5]", "[135/opaque]"};
  std::vector<std::uint8_t> types{0, 3, 5, 8};
  int carried = 0;
  for (const char* const ours : kFields) {
    for (const char* const theirs : kFields) {
      for (const char* const remote : {"", "[icmp/opaque]", "[icmp/3]", "[135/5]"}) {
        const model::TrafficSelectors local_a{selector(std::string("10.1.0.0/16") + ours)};
        const model::TrafficSelectors local_b{selector(std::string("10.1.0.0/24") + theirs)};
        const model::TrafficSelectors far{selector(std::string("10.2.0.0/16") + remote)};
        const model::TrafficSelectors local = model::narrow(local_a, local_b);
        const model::TrafficSelectors other = model::narrow(far, far);
        for (const std::uint8_t protocol : {std::uint8_t{1}, std::uint8_t{135}}) {
          for (const std::uint8_t type : types) {
            const net::PacketInfo packet = with_type(protocol, type, protocol == 1 && type == 3 ? 4 : 0);
            const bool both = selectors_match(local_a, far, packet) && selectors_match(local_b, far, packet);
            EXPECT_EQ(selectors_match(local, other, packet), both)
                << ours << " " << theirs << " " << remote << " " << int{protocol} << "/" << int{type};
            carried += both ? 1 : 0;
          }
        }
      }
    }
  }
  EXPECT_GT(carried, 50);
}

TEST(Spd, WhatAPacketDoesNotShowCannotBeTakenFromIt) {
  Policy policy = rule(1, PolicyAction::protect, {selector("10.1.0.0/16")}, {selector("10.2.0.0/16")});
  Bytes fragment = udp_packet({address("10.1.0.1"), address("10.2.0.1"), 5, 80}, Bytes(8));
  store_be16(fragment.data() + 6, 2);
  policy.populate.remote_port = true;
  EXPECT_FALSE(selectors_for(policy, info_of(fragment)).has_value());
  policy.populate = {.remote_address = true};
  EXPECT_TRUE(selectors_for(policy, info_of(fragment)).has_value());
  net::PacketInfo gre = info_of(fragment);
  gre.protocol = 47;
  policy.populate = {.protocol = true, .local_port = true};
  EXPECT_EQ(model::to_string(selectors_for(policy, gre)->local), "10.1.0.0/16[gre]");
  net::PacketInfo unknown = with_type(60, 0, 0, true);  // an IPv6 fragment whose upper layer is not in it
  unknown.ports_visible = false;
  policy.local = policy.remote = {selector("::/0")};
  policy.populate = {.protocol = true};
  EXPECT_FALSE(selectors_for(policy, unknown).has_value());
}

TEST(FlowCache, AgreesWithTheRulesAndForgetsOldGenerations) {
  Spd spd;
  spd.replace({
      rule(1, PolicyAction::discard, {selector("10.0.0.0/8")}, {selector("10.9.0.0/28[udp/1000-1003]")}),
      rule(2, PolicyAction::bypass, {selector("10.0.0.0/8")}, {selector("10.9.0.0/29")}),
      rule(3, PolicyAction::discard, {selector("10.0.0.0/8[tcp]")}, {selector("10.9.0.0/24")}),
  });
  FlowCache cache(64, 99);
  SeededRandom random(3);
  std::uint64_t hits = 0;
  for (int step = 0; step < 50000; ++step) {
    if (random.below(1000) == 0) {
      std::vector<Policy> policies = spd.policies();
      std::rotate(policies.begin(), policies.begin() + 1, policies.end());
      spd.replace(std::move(policies));
      cache.invalidate();
    }
    Flow flow{address("10.1.0.1"), address("10.9.0.0"), 5, static_cast<std::uint16_t>(1000 + random.below(6))};
    const std::uint8_t octets[] = {10, 9, 0, static_cast<std::uint8_t>(random.below(18))};
    flow.destination = net::IpAddress::from_bytes(octets).value();
    const net::PacketInfo info = info_of(random.below(2) == 0 ? udp_packet(flow, {}) : tcp_packet(flow, 1, 0x10, {}));
    FlowKey key = FlowKey::of(info);
    cache.locate(key);
    const std::uint32_t place = spd.table().find_outbound(info);
    FlowVerdict verdict;
    if (place != PolicyTable::kNone) verdict = {place, spd.policies()[place].action, nullptr};
    if (const auto known = cache.find(key)) {
      ++hits;
      ASSERT_EQ(known->rule, verdict.rule);
      ASSERT_EQ(known->action, verdict.action);
    } else {
      cache.insert(key, verdict);
    }
  }
  EXPECT_GT(hits, 5000U);
}

TEST(FlowCache, FourFlowsOfOneSetStandSideBySideAndAFifthTakesAPlace) {
  FlowCache cache(4, 7);  // one set
  int marks[5];
  std::vector<FlowKey> keys;
  for (std::uint16_t port = 1; port <= 5; ++port) {
    keys.push_back(FlowKey::of(info_of(udp_packet({address("10.1.0.1"), address("10.2.0.1"), port, 9}, {}))));
    cache.locate(keys.back());
  }
  const auto verdict = [&](std::size_t i) {
    // No pointer is followed.
    return FlowVerdict{static_cast<std::uint32_t>(i), PolicyAction::protect, reinterpret_cast<SaPair*>(&marks[i])};
  };
  for (std::size_t i = 0; i < 4; ++i) cache.insert(keys[i], verdict(i));
  for (std::size_t i = 0; i < 4; ++i) {
    const auto known = cache.find(keys[i]);
    ASSERT_TRUE(known.has_value()) << i;
    EXPECT_EQ(known->rule, i);
    EXPECT_EQ(known->sa, verdict(i).sa);
    EXPECT_EQ(known->action, PolicyAction::protect);
  }
  cache.insert(keys[4], {});
  ASSERT_TRUE(cache.find(keys[4]).has_value());
  EXPECT_EQ(cache.find(keys[4])->rule, FlowVerdict::kNoRule);
  EXPECT_EQ(std::ranges::count_if(keys, [&](const FlowKey& key) { return cache.find(key).has_value(); }), 4);
  cache.invalidate();
  for (const FlowKey& key : keys) EXPECT_FALSE(cache.find(key).has_value());
}

TEST(FlowCache, IsVoidedBySasOfConnectionsThatItFollowsAlone) {
  FlowCache cache(64, 1);
  FlowKey key = FlowKey::of(net::PacketInfo{});
  cache.locate(key);
  const auto remember = [&](std::uint32_t connection) {
    cache.follow(model::ConnectionId{connection});
    cache.insert(key, {});
  };
  remember(7);
  for (const std::uint32_t other : {0U, 6U, 8U, 7U + 64, 7U + 16383}) {
    cache.sas_changed(model::ConnectionId{other});
    EXPECT_TRUE(cache.find(key).has_value()) << other;
  }
  cache.sas_changed(model::ConnectionId{7});
  EXPECT_FALSE(cache.find(key).has_value());
  remember(8);
  cache.sas_changed(model::ConnectionId{7});
  EXPECT_TRUE(cache.find(key).has_value()) << "nothing that is still known follows from it";
  cache.invalidate();
  EXPECT_FALSE(cache.find(key).has_value());
}

TEST(FlowCache, KeysTellFamiliesPortsAndFragmentsApart) {
  const Flow v4{address("10.1.0.1"), address("10.2.0.1")};
  const Flow v6{address("a01:1::"), address("a02:1::")};
  Bytes later = udp_packet(v4, Bytes(8));
  store_be16(later.data() + 6, 1);  // fragment offset 8: no ports to be seen
  Flow no_ports = v4;
  no_ports.source_port = no_ports.destination_port = 0;
  std::vector<FlowKey> keys;
  for (const Bytes& packet : {udp_packet(v4, {}), udp_packet(v6, {}), tcp_packet(v4, 1, 0x10, {}),
                              udp_packet(v4.reversed(), {}), later, udp_packet(no_ports, {})}) {
    keys.push_back(FlowKey::of(info_of(packet)));
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) EXPECT_FALSE(keys[i] == keys[k]) << i << " and " << k;
  }
}

}  // namespace
}  // namespace culvert::ipsec
