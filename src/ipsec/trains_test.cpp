// Super-packets in, GSO trains out.
#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using Segmentation = Offload::Segmentation;

std::vector<Bytes> pieces_of(const Flow& flow, const Bytes& payload, std::size_t step) {
  std::vector<Bytes> pieces;
  for (std::size_t at = 0; at < payload.size(); at += step) {
    const std::size_t size = std::min(step, payload.size() - at);
    Flow piece = flow;
    piece.identification = static_cast<std::uint16_t>(flow.identification + pieces.size());
    pieces.push_back(tcp_packet(piece, static_cast<std::uint32_t>(1 + at), 0x10, ByteView(payload).subspan(at, size)));
  }
  return pieces;
}

class Trains : public testing::Test {
 protected:
  Trains() {
    pair_.set_policies();
    pair_.install(1);
  }
  TwoEngines pair_;
};

TEST_F(Trains, SuperPacketBecomesOneTrain) {
  for (const bool six : {false, true}) {
    const Flow flow = six ? pair_.v6 : pair_.v4;
    const Bytes payload = random_bytes(pair_.random, 60000);
    const Offload offload{
        .segmentation = six ? Segmentation::tcp6 : Segmentation::tcp4, .segment_size = 1360, .checksum_partial = true};
    const CollectingWire wire = pair_.alice_sends({tcp_packet(flow, 1, 0x10, payload)}, offload);
    ASSERT_EQ(wire.trains.size(), 1U);
    EXPECT_EQ(wire.trains[0].train.segments(), 45U);
    EXPECT_EQ(pair_.bob_receives_trains(wire.trains).packets, pieces_of(flow, payload, 1360));
  }
  EXPECT_EQ(all_drops(pair_.alice) + all_drops(pair_.bob), 0U);
}

// Super-packets are cut where they lie, headers over the payload in front, trailers over the one behind: with segments
// shorter than either, and any rest at the end.
TEST_F(Trains, SegmentsOfAnyLengthComeOutAsTheyWere) {
  for (const bool six : {false, true}) {
    const Flow flow = six ? pair_.v6 : pair_.v4;
    for (const std::uint16_t step : std::initializer_list<std::uint16_t>{1, 7, 40, 536, 1361}) {
      for (const std::size_t rest : {std::size_t{1}, std::size_t{step} / 2 + 1, std::size_t{step}}) {
        const Bytes payload = random_bytes(pair_.random, std::size_t{step} * 20 + rest);
        const Offload offload{.segmentation = six ? Segmentation::tcp6 : Segmentation::tcp4,
                              .segment_size = step,
                              .checksum_partial = true};
        const CollectingWire wire = pair_.alice_sends({tcp_packet(flow, 1, 0x10, payload)}, offload);
        EXPECT_EQ(pair_.bob_receives_trains(wire.trains).packets, pieces_of(flow, payload, step))
            << step << ' ' << rest;
      }
    }
  }
  EXPECT_EQ(all_drops(pair_.alice) + all_drops(pair_.bob), 0U);
}

// One that is cut in place between packets that wait for the cipher: everything leaves in order.
TEST_F(Trains, SuperPacketsAndOthersKeepTheirOrder) {
  const Bytes payload = random_bytes(pair_.random, 30000);
  const Offload offload{.segmentation = Segmentation::tcp4, .segment_size = 1000, .checksum_partial = true};
  std::vector<Bytes> storage;
  std::vector<InnerPacket> packets;
  std::vector<Bytes> expected;
  for (std::uint32_t i = 0; i < 9; ++i) {
    const bool super = i % 3 == 1;
    const Bytes packet = tcp_packet(pair_.v4, 1, 0x10, super ? payload : Bytes(100, static_cast<std::uint8_t>(i)));
    Bytes& roomy = storage.emplace_back(kInnerHeadroom + packet.size() + kInnerTailroom);
    std::copy(packet.begin(), packet.end(), roomy.begin() + kInnerHeadroom);
    packets.push_back({MutableByteView(roomy).subspan(kInnerHeadroom, packet.size()), super ? offload : Offload{}});
    if (super) {
      for (Bytes& piece : pieces_of(pair_.v4, payload, 1000)) expected.push_back(std::move(piece));
    } else {
      expected.push_back(packet);
    }
  }
  CollectingWire wire;
  pair_.alice.outbound(packets, pair_.now, wire);
  EXPECT_EQ(pair_.bob_receives_trains(wire.trains).packets, expected);
}

// The whole way: one super-packet in, one train, one super-packet out.
TEST_F(Trains, SuperPacketComesOutAsOneWhenCoalescing) {
  EngineOptions options;
  options.coalesce = true;
  TwoEngines pair(options);
  pair.set_policies();
  pair.install(1);
  for (const bool six : {false, true}) {
    const Bytes payload = random_bytes(pair.random, 60000);
    const Offload offload{
        .segmentation = six ? Segmentation::tcp6 : Segmentation::tcp4, .segment_size = 1360, .checksum_partial = true};
    const Bytes super = tcp_packet(six ? pair.v6 : pair.v4, 1, 0x18, payload);
    const CollectingInner inner = pair.bob_receives_trains(pair.alice_sends({super}, offload).trains);
    ASSERT_EQ(inner.packets.size(), 1U);
    ASSERT_EQ(inner.packets[0].size(), super.size());
    EXPECT_TRUE(std::equal(payload.begin(), payload.end(), inner.packets[0].end() - 60000));
    EXPECT_EQ(inner.offloads[0].segmentation, offload.segmentation);
    EXPECT_EQ(inner.offloads[0].segment_size, 1360U);
  }
}

// What continues a super-packet is not looked at twice, but only over the same SA: another one's selectors still count.
TEST_F(Trains, APacketThatContinuesAnothersFlowMustMatchItsOwnSa) {
  EngineOptions options;
  options.coalesce = options.coalesce_udp = true;
  TwoEngines pair(options);
  pair.set_policies();
  pair.install(1);
  auto [a, b] = pair.make_pair(2, {});
  RawSealer forger(a.spi_outbound, a.suite, a.outbound);
  b.remote = {selector("10.1.99.0/24")};
  ASSERT_TRUE(pair.bob.install(std::move(b), pair.now));
  std::vector<Bytes> inner;
  for (std::uint32_t i = 0; i < 4; ++i) {
    Flow flow = pair.v4;
    flow.identification = static_cast<std::uint16_t>(1 + i);
    inner.push_back(tcp_packet(flow, 1 + 100 * i, 0x10, Bytes(100, static_cast<std::uint8_t>(i))));
  }
  SentTrain train = pair.alice_sends({inner[0], inner[1], inner[3]}).trains.at(0);
  const std::vector<Bytes> good = train.packets();
  ASSERT_EQ(good.size(), 3U);
  train.bytes = concat({good[0], good[1], forger.seal_inner(1, inner[2], net::IpProtocol::ipv4), good[2]});
  const CollectingInner got = pair.bob_receives_trains({train});
  ASSERT_EQ(got.packets.size(), 2U);
  EXPECT_EQ(got.packets[0].size(), inner[0].size() + 100);
  EXPECT_EQ(got.packets[1], inner[3]);
  EXPECT_EQ(drops(pair.bob, "selector_mismatch"), 1U);
}

// More packets than one run of the cipher takes: the train and the super-packet go on all the same.
TEST_F(Trains, BatchesOfTheCipherDoNotShow) {
  EngineOptions options;
  options.coalesce = options.coalesce_udp = true;
  TwoEngines pair(options);
  pair.set_policies();
  pair.install(1);
  for (const std::size_t size : {60UL, 1000UL}) {
    Bytes payload = random_bytes(pair.random, 60 * size);
    const Bytes super = udp_packet(pair.v4, payload);
    const CollectingWire wire = pair.alice_sends(
        {super}, {.segmentation = Segmentation::udp, .segment_size = static_cast<std::uint16_t>(size)});
    ASSERT_EQ(wire.trains.size(), 1U);
    const CollectingInner inner = pair.bob_receives_trains(wire.trains);
    ASSERT_EQ(inner.packets.size(), 1U);
    EXPECT_TRUE(std::equal(payload.begin(), payload.end(), inner.packets[0].begin() + 28));
    EXPECT_EQ(inner.offloads[0].segmentation, Segmentation::udp);
  }
  EXPECT_EQ(all_drops(pair.alice) + all_drops(pair.bob), 0U);
}

TEST_F(Trains, BoundsOfATrainHold) {
  EngineOptions options;
  options.max_train_segments = 7;
  options.max_train_bytes = 9000;
  TwoEngines pair(options);
  pair.set_policies();
  pair.install(1);
  for (const int step : {100, 536, 1400, 8000}) {
    const Bytes payload = random_bytes(pair.random, 50000);
    const CollectingWire wire =
        pair.alice_sends({tcp_packet(pair.v4, 1, 0x10, payload)},
                         {.segmentation = Segmentation::tcp4, .segment_size = static_cast<std::uint16_t>(step)});
    for (const SentTrain& sent : wire.trains) {
      EXPECT_LE(sent.train.segments(), 7U);
      EXPECT_LE(sent.bytes.size(), 9000U);
    }
    EXPECT_EQ(pair.bob_receives_trains(wire.trains).packets,
              pieces_of(pair.v4, payload, static_cast<std::size_t>(step)));
  }
}

TEST_F(Trains, ShorterPacketClosesATrainAndAnotherTosOpensOne) {
  const auto sized = [this](std::size_t size, std::uint8_t tos) {
    Flow flow = pair_.v4;
    flow.tos = tos;
    return udp_packet(flow, Bytes(size));
  };
  const CollectingWire wire = pair_.alice_sends({sized(1000, 0), sized(1000, 0), sized(500, 0), sized(500, 0),
                                                 sized(500, 0x28), sized(1000, 0x28), sized(1000, 0x28)});
  std::vector<std::size_t> segments;
  for (const SentTrain& sent : wire.trains) segments.push_back(sent.train.segments());
  EXPECT_EQ(segments, (std::vector<std::size_t>{3, 1, 1, 2}));
  EXPECT_EQ(pair_.bob_receives_trains(wire.trains).packets.size(), 7U);
}

TEST_F(Trains, IkeAndKeepalivesInsideATrainAreSorted) {
  const CollectingWire wire = pair_.alice_sends({udp_packet(pair_.v4, Bytes(100)), udp_packet(pair_.v4, Bytes(100))});
  ASSERT_EQ(wire.trains.size(), 1U);
  SentTrain train = wire.trains[0];
  Bytes ike(train.train.segment_size, 0x77);
  store_be32(ike.data(), 0);
  train.bytes = concat({ByteView(train.bytes).first(train.train.segment_size), ike,
                        ByteView(train.bytes).subspan(train.train.segment_size), Bytes{0xff}});
  const CollectingInner inner = pair_.bob_receives_trains({train});
  EXPECT_EQ(inner.packets.size(), 2U);
  ASSERT_EQ(inner.ike.size(), 1U);
  EXPECT_EQ(inner.ike[0].size(), train.train.segment_size - 4U);
  EXPECT_EQ(drops(pair_.bob, "keepalive"), 1U);
}

TEST_F(Trains, ManySasInOneBatchKeepTheirOrder) {
  TwoEngines pair;
  // Ten connections by destination, each with an SA of its own.
  std::vector<Policy> policies;
  for (std::uint8_t i = 0; i < 10; ++i) {
    const model::TrafficSelector remote = selector("10.2." + std::to_string(i) + ".0/24");
    policies.push_back({PolicyId{i}, PolicyAction::protect, pair.alice_side, {remote}, model::ConnectionId{i}});
    auto [a, b] = pair.make_pair(i + 1, all_suites()[i].suite);
    a.connection = model::ConnectionId{i};
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now) && pair.bob.install(std::move(b), pair.now));
  }
  pair.alice.set_policies(std::move(policies));
  std::vector<Bytes> packets;
  for (std::uint16_t i = 0; i < 1000; ++i) {
    Flow flow = pair.v4;
    const std::uint8_t octets[] = {10, 2, static_cast<std::uint8_t>(pair.random.below(10)), 1};
    flow.destination = net::IpAddress::from_bytes(octets).value();
    flow.identification = i;
    packets.push_back(udp_packet(flow, random_bytes(pair.random, pair.random.below(200))));
  }
  const CollectingWire wire = pair.alice_sends(packets);
  EXPECT_EQ(pair.bob_receives_trains(wire.trains).packets, packets);
  EXPECT_EQ(all_drops(pair.alice) + all_drops(pair.bob), 0U);
}

}  // namespace
}  // namespace culvert::ipsec
