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
    const FlowKey key = FlowKey::of(info);
    const FlowCache::Entry* const entry = cache.find(key);
    if (entry != nullptr) {
      ++hits;
      ASSERT_EQ(entry->policy, spd.find_outbound(info));
    } else {
      cache.insert(key, spd.find_outbound(info), nullptr);
    }
  }
  EXPECT_GT(hits, 5000U);
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
