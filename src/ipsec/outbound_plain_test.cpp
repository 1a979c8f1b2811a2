// The straight way of plain packets beside the other one: nothing may tell which of them a packet took.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

class PlainWay : public testing::Test {
 protected:
  // `count` SAs of the suites in turn, SA i for 10.2.0.i and 2001:db8:2::i.
  void install(std::size_t count, const std::vector<model::EspSuite>& suites,
               const std::function<void(model::ChildSaParams&)>& change = {}) {
    const model::TrafficSelectors any{model::TrafficSelector::all(net::Family::v4),
                                      model::TrafficSelector::all(net::Family::v6)};
    pair_.alice.set_policies({{TwoEngines::kPolicy, PolicyAction::protect, any, any, TwoEngines::kConnection}});
    for (std::size_t i = 0; i < count; ++i) {
      auto [a, b] = pair_.make_pair(i + 1, suites[i % suites.size()]);
      a.local = b.remote = any;
      a.remote = b.local = {selector(fmt::format("10.2.0.{}", i)), selector(fmt::format("2001:db8:2::{:x}", i))};
      if (change) change(a);
      ASSERT_TRUE(pair_.alice.install(std::move(a), pair_.now).has_value());
      ASSERT_TRUE(pair_.bob.install(std::move(b), pair_.now).has_value());
    }
  }
  Bytes random_packet(std::size_t sas) {
    SeededRandom& random = pair_.random;
    Flow flow = random.below(2) == 0 ? pair_.v4 : pair_.v6;
    const auto host = static_cast<unsigned>(random.below(sas));
    flow.destination =
        address(flow.source.is_v4() ? fmt::format("10.2.0.{}", host) : fmt::format("2001:db8:2::{:x}", host));
    flow.source_port = static_cast<std::uint16_t>(1000 + random.below(3));
    const Bytes payload = random_bytes(random, random.below(1300));
    switch (random.below(5)) {
      case 0: return tcp_packet(flow, 1, 0x10, payload);
      case 1: return tcp_packet(flow, 1, 0x02, payload);
      case 2: return with_ip_header(flow, static_cast<net::IpProtocol>(99), payload);  // not a plain one
      default: return udp_packet(flow, payload);
    }
  }

  TwoEngines pair_;
};

// Batches of plain and other packets of several SAs and suites: all arrive, those of each SA in order.
TEST_F(PlainWay, KeepsTheOrderOfEachSa) {
  std::vector<model::EspSuite> suites;
  for (const NamedSuite& named : all_suites()) suites.push_back(named.suite);
  const std::size_t sas = suites.size();
  install(sas, suites);
  for (int round = 0; round < 60; ++round) {
    std::vector<Bytes> sent;
    std::vector<InnerBuffer> buffers;
    std::vector<InnerPacket> views;
    const std::size_t count = 1 + pair_.random.below(300);
    // Now all SAs in turn, now long runs of one.
    const std::size_t among = round % 3 == 0 ? 1 : sas;
    for (std::size_t i = 0; i < count; ++i) {
      sent.push_back(random_packet(among));
      Bytes longer = sent.back();
      // What stands behind the packet's own length is not its own.
      if (pair_.random.below(4) == 0) longer.resize(longer.size() + pair_.random.below(30), 0xab);
      buffers.emplace_back(longer);
    }
    for (InnerBuffer& buffer : buffers) views.push_back(buffer.view());
    CollectingWire wire;
    pair_.alice.outbound(views, pair_.now, wire);
    std::vector<Bytes> packets = wire.packets();
    ASSERT_EQ(packets.size(), count);
    std::vector<WireInput> inputs;
    for (Bytes& packet : packets) {
      inputs.push_back({.path = {pair_.path.remote, pair_.path.local}, .bytes = packet});
    }
    CollectingInner inner;
    pair_.bob.inbound(inputs, pair_.now, inner);
    // Nothing is sent out of turn at all, so nothing comes out of turn.
    ASSERT_EQ(inner.packets, sent) << "round " << round;
  }
  EXPECT_EQ(all_drops(pair_.alice), 0U);
  EXPECT_EQ(all_drops(pair_.bob), 0U);
}

// A run of packets that a hard bound cuts in two: up to it they go, and not one more.
TEST_F(PlainWay, StopsAtAHardBoundWithinARun) {
  install(1, {model::EspSuite{}}, [](model::ChildSaParams& a) { a.hard.packets = 100; });
  std::vector<InnerBuffer> buffers;
  std::vector<InnerPacket> views;
  Flow flow = pair_.v4;
  flow.destination = address("10.2.0.0");
  for (std::size_t i = 0; i < 250; ++i) buffers.emplace_back(udp_packet(flow, Bytes(40)));
  for (InnerBuffer& buffer : buffers) views.push_back(buffer.view());
  CollectingWire wire;
  pair_.alice.outbound(views, pair_.now, wire);
  EXPECT_EQ(wire.packets().size(), 100U);
  const auto counters = pair_.alice.counters(model::ChildSaId{1});
  EXPECT_EQ(counters->outbound_packets, 100U);
  EXPECT_EQ(counters->outbound_sequence, 100U);
}

// A partial checksum is made whole, and one that does not fit the packet is refused.
TEST_F(PlainWay, CompletesPartialChecksums) {
  install(1, {model::EspSuite{}});
  for (Flow flow : {pair_.v4, pair_.v6}) {
    flow.destination = address(flow.source.is_v4() ? "10.2.0.0" : "2001:db8:2::");
    for (const bool tcp : {false, true}) {
      const Bytes whole = tcp ? tcp_packet(flow, 1, 0x10, Bytes(77, 3)) : udp_packet(flow, Bytes(77, 3));
      const std::size_t start = flow.source.is_v4() ? net::kIpv4HeaderSize : net::kIpv6HeaderSize;
      const std::size_t offset = tcp ? 16 : 6;
      Bytes partial = whole;
      const std::uint64_t pseudo = net::pseudo_header_sum(flow.source, flow.destination, tcp ? 6 : 17,
                                                          static_cast<std::uint32_t>(whole.size() - start));
      store_be16(partial.data() + start + offset, static_cast<std::uint16_t>(~net::checksum_finish(pseudo)));
      const Offload offload{.checksum_partial = true,
                            .checksum_start = static_cast<std::uint16_t>(start),
                            .checksum_offset = static_cast<std::uint16_t>(offset)};
      for (const bool fits : {true, false}) {
        Offload said = offload;
        if (!fits) said.checksum_offset = static_cast<std::uint16_t>(whole.size() - start - 1);
        std::vector<Bytes> packets = pair_.alice_sends({partial}, said).packets();
        ASSERT_EQ(packets.size(), fits ? 1U : 0U);
        if (!fits) continue;
        const WireInput input{.path = {pair_.path.remote, pair_.path.local}, .bytes = packets[0]};
        CollectingInner inner;
        pair_.bob.inbound({&input, 1}, pair_.now, inner);
        EXPECT_EQ(inner.packets, std::vector<Bytes>{whole});
      }
    }
  }
  EXPECT_EQ(drops(pair_.alice, "offload_mismatch"), 4U);
}

}  // namespace
}  // namespace culvert::ipsec
