// AGGFRAG (RFC 9347) through two whole engines: on demand, held, at a constant rate, under loss and congestion control.
#include <gtest/gtest.h>

#include "ipsec/aggfrag_outbound.hpp"
#include "ipsec/engine_test_kit.hpp"
#include "ipsec/mss_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using std::chrono::milliseconds;

constexpr std::size_t kOuterHeaders = 28;  // IPv4 and UDP

model::PacketTreatment with(const model::Aggfrag& aggfrag) {
  model::PacketTreatment treatment;
  treatment.aggfrag = aggfrag;
  return treatment;
}

struct AggfragEngines : ::testing::Test {
  void start(const model::Aggfrag& aggfrag, const EngineOptions& options = {}) {
    pair.emplace(options);
    pair->set_policies();
    pair->install(1, {}, with(aggfrag));
  }
  std::vector<Bytes> small_packets(std::size_t count, std::size_t payload = 36) {
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i < count; ++i) {
      Flow flow = i % 2 == 0 ? pair->v4 : pair->v6;
      flow.identification = static_cast<std::uint16_t>(i);
      packets.push_back(udp_packet(flow, Bytes(payload + i % 7, static_cast<std::uint8_t>(i))));
    }
    return packets;
  }
  // What Alice sends by the clock until `until`.
  std::vector<Bytes> alice_until(Instant until) {
    std::vector<Bytes> sent;
    for (;;) {
      const auto due = pair->alice.next_deadline();
      if (!due || *due > until) break;
      pair->now = std::max(pair->now, *due);
      CollectingWire wire;
      pair->alice.handle_time(pair->now, wire);
      for (Bytes& packet : wire.packets()) sent.push_back(std::move(packet));
    }
    pair->now = until;
    return sent;
  }
  std::optional<TwoEngines> pair;
};

TEST_F(AggfragEngines, PacketsOfABatchShareOuterPackets) {
  start({.packet_size = 1400});
  const std::vector<Bytes> packets = small_packets(200);
  const CollectingWire wire = pair->alice_sends(packets);
  const std::vector<Bytes> outer = wire.packets();
  EXPECT_LT(outer.size(), 16U) << "200 packets of about 70 octets";
  for (std::size_t i = 0; i + 1 < outer.size(); ++i) {
    EXPECT_EQ(outer[i].size(), outer[0].size());
    EXPECT_LE(outer[i].size(), 1400 - kOuterHeaders);
    EXPECT_GT(outer[i].size(), 1400 - kOuterHeaders - 4);
  }
  EXPECT_LT(outer.back().size(), outer[0].size()) << "the last one is no longer than it has to be";
  EXPECT_EQ(wire.trains.size(), 1U);
  EXPECT_EQ(pair->bob_receives(outer).packets, packets);
  EXPECT_EQ(all_drops(pair->bob), 0U);

  // Numbers and octets: each outer packet is a packet of the SA, the octets are those of the inner ones.
  const SaCounters sent = *pair->alice.counters(model::ChildSaId{1});
  const SaCounters taken = *pair->bob.counters(model::ChildSaId{1});
  std::size_t octets = 0;
  for (const Bytes& packet : packets) octets += packet.size();
  EXPECT_EQ(sent.outbound_packets, outer.size());
  EXPECT_EQ(sent.outbound_sequence, outer.size());
  EXPECT_EQ(sent.outbound_bytes, octets);
  EXPECT_EQ(taken.inbound_bytes, octets);
  EXPECT_EQ(taken.inbound_packets, outer.size());
}

TEST_F(AggfragEngines, LongPacketsAreCut) {
  start({.packet_size = 600});
  const std::vector<Bytes> packets = {udp_packet(pair->v4, Bytes(5000, 1)), udp_packet(pair->v6, Bytes(20, 2)),
                                      udp_packet(pair->v4, Bytes(1471, 3)), udp_packet(pair->v6, Bytes(60000, 4))};
  const CollectingWire wire = pair->alice_sends(packets);
  for (const Bytes& outer : wire.packets()) EXPECT_LE(outer.size(), 600 - kOuterHeaders);
  EXPECT_EQ(pair->bob_receives(wire.packets()).packets, packets);
  EXPECT_EQ(pair->bob_receives_trains(pair->alice_sends(packets).trains).packets, packets);
}

TEST_F(AggfragEngines, SuperPacketsAreSegmentedFirst) {
  EngineOptions options;
  options.coalesce = true;
  start({.packet_size = 1500}, options);
  const Offload tso{.segmentation = Offload::Segmentation::tcp4, .segment_size = 1000, .checksum_partial = true};
  const CollectingWire wire = pair->alice_sends({tcp_packet(pair->v4, 1, 0x10, Bytes(40'500, 9))}, tso);
  EXPECT_EQ(wire.packets().size(), 30U) << "41 segments of up to 1040 octets, 1424 to an outer packet";
  const CollectingInner inner = pair->bob_receives_trains(wire.trains);
  std::size_t payload = 0;
  for (const Bytes& packet : inner.packets) payload += packet.size() - 40;
  EXPECT_EQ(payload, 40'500U);
  EXPECT_EQ(all_drops(pair->bob), 0U);
}

TEST_F(AggfragEngines, DontFragment) {
  start({.packet_size = 1000, .dont_fragment = true});
  const std::vector<Bytes> packets = {udp_packet(pair->v4, Bytes(600)), udp_packet(pair->v4, Bytes(600)),
                                      udp_packet(pair->v4, Bytes(1200)), udp_packet(pair->v4, Bytes(100))};
  const CollectingInner inner = pair->bob_receives(pair->alice_sends(packets).packets());
  EXPECT_EQ(inner.packets, (std::vector<Bytes>{packets[0], packets[1], packets[3]}));
  EXPECT_EQ(drops(pair->alice, "too_long"), 1U);
}

TEST_F(AggfragEngines, SegmentsAreMadeToFitWhereNothingIsCut) {
  start({.packet_size = 1000, .dont_fragment = true});
  for (const Flow& flow : {pair->v4, pair->v6}) {
    const Bytes lowered = pair->bob_receives(pair->alice_sends({syn_with_mss(flow, 1400)}).packets()).packets.at(0);
    const std::size_t mss = load_be16(lowered.data() + lowered.size() - 2);
    EXPECT_EQ(lowered, syn_with_mss(flow, static_cast<std::uint16_t>(mss)));
    // A full segment passes, one octet more does not.
    const std::vector<Bytes> full{tcp_packet(flow, 2, 0x10, Bytes(mss))};
    EXPECT_EQ(pair->bob_receives(pair->alice_sends(full).packets()).packets, full);
    EXPECT_TRUE(pair->alice_sends({tcp_packet(flow, 2, 0x10, Bytes(mss + 1))}).packets().empty());
  }
  EXPECT_EQ(drops(pair->alice, "too_long"), 2U);
}

// RFC 4301 5.2 holds for each of the packets inside.
TEST_F(AggfragEngines, SelectorsAreCheckedOneByOne) {
  start({});
  auto [a, b] = pair->make_pair(2, {});
  b.treatment = with({});
  RawSealer sealer(b.spi_inbound, b.suite, b.inbound);
  ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  Flow wrong = pair->v4;
  wrong.destination = address("10.99.0.1");
  const Bytes good = udp_packet(pair->v4, Bytes(30));
  Bytes broken = good;
  broken[0] = 0x44;  // a header of 16 octets
  const Bytes payload = concat({Bytes(4), good, udp_packet(wrong, Bytes(30)), broken, good, Bytes(10)});
  const CollectingInner inner =
      pair->bob_receives({sealer.seal_inner(1, payload, net::IpProtocol::aggfrag)}, 0x03 /* CE stays outside */);
  EXPECT_EQ(inner.packets, (std::vector<Bytes>{good, good}));
  EXPECT_EQ(drops(pair->bob, "selector_mismatch"), 1U);
  EXPECT_EQ(drops(pair->bob, "decapsulated_malformed"), 1U);
}

// RFC 9347 2.3: an AGGFRAG SA carries nothing else, and no other SA carries AGGFRAG.
TEST_F(AggfragEngines, NoMixing) {
  start({});
  auto [a, b] = pair->make_pair(2, {});
  RawSealer plain(b.spi_inbound, b.suite, b.inbound);
  ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  const Bytes inner = udp_packet(pair->v4, Bytes(30));
  EXPECT_TRUE(
      pair->bob_receives({plain.seal_inner(1, concat({Bytes(4), inner}), net::IpProtocol::aggfrag)}).packets.empty());
  EXPECT_EQ(drops(pair->bob, "bad_next_header"), 1U);

  auto [c, d] = pair->make_pair(3, {});
  d.treatment = with({});
  RawSealer sealer(d.spi_inbound, d.suite, d.inbound);
  ASSERT_TRUE(pair->bob.install(std::move(d), pair->now));
  EXPECT_TRUE(pair->bob_receives({sealer.seal_inner(1, inner, net::IpProtocol::ipv4)}).packets.empty());
  EXPECT_EQ(drops(pair->bob, "bad_next_header"), 2U);
  EXPECT_TRUE(pair->bob_receives({sealer.seal_inner(2, Bytes(30), net::IpProtocol::no_next)}).packets.empty());
  EXPECT_EQ(drops(pair->bob, "dummy"), 1U);
  EXPECT_EQ(
      pair->bob_receives({sealer.seal_inner(3, concat({Bytes(4), inner}), net::IpProtocol::aggfrag)}).packets.size(),
      1U);
}

TEST_F(AggfragEngines, WhatDoesNotGoTogetherIsRefused) {
  start({});
  const auto installs = [&](std::uint64_t id, auto change) {
    auto [a, b] = pair->make_pair(id, {});
    a.treatment = with({});
    change(a);
    return pair->alice.install(std::move(a), pair->now).has_value();
  };
  EXPECT_TRUE(installs(2, [](model::ChildSaParams&) {}));
  EXPECT_FALSE(installs(3, [](model::ChildSaParams& a) { a.treatment.aggfrag->packet_size = 100; }));
  EXPECT_FALSE(installs(4, [](model::ChildSaParams& a) { a.ipcomp = model::IpCompParams{2, 2}; }));
  EXPECT_FALSE(installs(5, [](model::ChildSaParams& a) { a.mode = model::Mode::transport; }));
}

// The MSS of a SYN inside is lowered at the receiving end too, whoever sent it.
TEST_F(AggfragEngines, TheReceiverLowersTheMss) {
  start({});
  auto [a, b] = pair->make_pair(2, {});
  a.treatment = with({});
  b.treatment = with({});
  a.treatment.mss_clamp.reset();
  b.treatment.mss_clamp = 1000;
  ASSERT_TRUE(pair->alice.install(std::move(a), pair->now));
  ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  for (const Flow& flow : {pair->v4, pair->v6}) {
    const std::vector<Bytes> sent = pair->alice_sends({syn_with_mss(flow, 1400)}).packets();
    EXPECT_EQ(pair->bob_receives(sent).packets, std::vector<Bytes>{syn_with_mss(flow, 1000)});
  }
}

// RFC 9347 2.2.5: DF, DSCP and ECN of the inner packets stay inside.
TEST_F(AggfragEngines, OuterHeaderSaysNothingOfTheInner) {
  start({});
  Flow flow = pair->v4;
  flow.tos = 0xbb;
  flow.dont_fragment = true;
  const CollectingWire wire = pair->alice_sends({udp_packet(flow, Bytes(30))});
  ASSERT_EQ(wire.trains.size(), 1U);
  EXPECT_EQ(wire.trains[0].train.tos, 0);
  EXPECT_FALSE(wire.trains[0].train.dont_fragment);
}

TEST_F(AggfragEngines, LossAndReordering) {
  start({.packet_size = 700});
  const std::vector<Bytes> packets = small_packets(100, 100);
  std::vector<Bytes> outer = pair->alice_sends(packets).packets();
  ASSERT_GT(outer.size(), 12U);
  std::swap(outer[2], outer[4]);
  std::swap(outer[7], outer[8]);
  EXPECT_EQ(pair->bob_receives(outer).packets, packets);

  outer = pair->alice_sends(packets).packets();
  outer.erase(outer.begin() + 5);
  const CollectingInner inner = pair->bob_receives(outer);
  EXPECT_LT(inner.packets.size(), 100U);
  EXPECT_GT(inner.packets.size(), 90U);
  const std::uint64_t cut = drops(pair->bob, "aggfrag_incomplete");
  EXPECT_GE(cut, 1U);
  EXPECT_LE(cut, 2U) << "at most one cut packet at each end of the lost one";
}

// RFC 9347 2.2.3: the lost packet timer, by the engine's deadline.
TEST_F(AggfragEngines, WhatWaitsForALostPacketIsReleasedInTime) {
  start({});
  const std::vector<Bytes> packets = small_packets(3);
  std::vector<Bytes> outer;
  for (const Bytes& packet : packets) outer.push_back(pair->alice_sends({packet}).packets().at(0));
  EXPECT_EQ(pair->bob_receives({outer[0]}).packets.size(), 1U);
  EXPECT_TRUE(pair->bob_receives({outer[2]}).packets.empty());
  const auto due = pair->bob.next_deadline();
  ASSERT_TRUE(due);
  EXPECT_EQ(*due, pair->now + AggfragReceiver::kLostAfter);
  CollectingInner inner;
  pair->bob.release(*due - milliseconds(1), inner);
  EXPECT_TRUE(inner.packets.empty());
  pair->bob.release(*due, inner);
  EXPECT_EQ(inner.packets, std::vector<Bytes>{packets[2]});
  EXPECT_FALSE(pair->bob.next_deadline());
  EXPECT_TRUE(pair->bob_receives({outer[1]}).packets.empty());
  EXPECT_EQ(drops(pair->bob, "aggfrag_late"), 1U);
}

TEST_F(AggfragEngines, HeldPayloadsWaitForMore) {
  start({.packet_size = 1400, .hold = milliseconds(5)});
  const std::vector<Bytes> packets = small_packets(40);
  std::vector<Bytes> outer;
  for (std::size_t i = 0; i < packets.size(); ++i) {
    for (Bytes& packet : pair->alice_sends({packets[i]}).packets()) {
      EXPECT_GT(packet.size(), 1300U) << "only full ones leave early";
      outer.push_back(std::move(packet));
    }
    pair->now += std::chrono::microseconds(10);
  }
  const std::size_t early = outer.size();
  EXPECT_GE(early, 1U);
  for (Bytes& packet : alice_until(pair->now + milliseconds(6))) outer.push_back(std::move(packet));
  EXPECT_EQ(outer.size(), early + 1);
  EXPECT_FALSE(pair->alice.next_deadline());
  EXPECT_EQ(pair->bob_receives(outer).packets, packets);
}

// The numbers of a manual key are granted block by block, and may run out just when held packets were to leave.
TEST_F(AggfragEngines, HeldPayloadsWaitForNumbers) {
  pair.emplace();
  pair->set_policies();
  auto [a, b] = pair->make_pair(1, {});
  a.treatment = b.treatment = with({.packet_size = 1400, .hold = milliseconds(5)});
  a.sequence_granted = 1;
  ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  ASSERT_TRUE(pair->alice.install(std::move(a), pair->now));
  const std::vector<Bytes> packets = {udp_packet(pair->v4, Bytes(100, 1)), udp_packet(pair->v4, Bytes(100, 2))};
  ASSERT_TRUE(pair->alice_sends({packets[0]}).packets().empty());
  std::vector<Bytes> outer = alice_until(pair->now + milliseconds(10));
  ASSERT_EQ(outer.size(), 1U);
  ASSERT_TRUE(pair->alice_sends({packets[1]}).packets().empty());
  EXPECT_TRUE(alice_until(pair->now + milliseconds(20)).empty());
  pair->alice.grant_sequence(model::ChildSaId{1}, 100);
  for (Bytes& packet : alice_until(pair->now + milliseconds(10))) outer.push_back(std::move(packet));
  EXPECT_EQ(pair->bob_receives(outer).packets, packets);
}

// A packet that waits and must not be cut has to go once the path is too narrow for it; it must not block the others,
// nor make payload after payload in vain.
TEST_F(AggfragEngines, WhatTheNarrowedPathDoesNotTakeIsDropped) {
  for (const bool paced : {false, true}) {
    model::Aggfrag aggfrag{.hold = milliseconds(5), .dont_fragment = true};
    if (paced) aggfrag.rate = 100'000, aggfrag.hold = {};
    pair.emplace();
    pair->set_policies();
    auto [a, b] = pair->make_pair(1, {});
    a.treatment = b.treatment = with(aggfrag);
    a.path_mtu = 1500;
    ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
    ASSERT_TRUE(pair->alice.install(std::move(a), pair->now));
    const Bytes small = udp_packet(pair->v4, Bytes(100, 1));
    ASSERT_TRUE(pair->alice_sends({udp_packet(pair->v4, Bytes(1200, 2)), small}).packets().empty());
    pair->alice.update_path(model::ChildSaId{1}, pair->path, model::Encapsulation::udp, std::uint16_t{700});
    const std::vector<Bytes> sent = alice_until(pair->now + milliseconds(30));
    EXPECT_LT(sent.size(), 10U);
    EXPECT_EQ(pair->bob_receives(sent).packets, std::vector<Bytes>{small}) << paced;
    EXPECT_EQ(drops(pair->alice, "too_long"), 1U);
  }
}

// RFC 9347 2: packets of one size at one rate, whatever is inside.
TEST_F(AggfragEngines, ConstantRate) {
  start({.packet_size = 1000, .rate = 1'000'000});  // one packet per millisecond
  const Instant begin = pair->now;
  std::vector<Bytes> outer = alice_until(begin + milliseconds(100));
  EXPECT_NEAR(static_cast<double>(outer.size()), 100, 1);
  EXPECT_TRUE(pair->bob_receives(outer).packets.empty()) << "all padding";

  const std::vector<Bytes> packets = small_packets(300, 200);
  EXPECT_TRUE(pair->alice_sends(packets).trains.empty()) << "nothing leaves out of turn";
  std::vector<Bytes> more = alice_until(begin + milliseconds(300));
  EXPECT_NEAR(static_cast<double>(more.size()), 200, 1);
  const std::size_t size = outer.front().size();
  for (const Bytes& packet : outer) EXPECT_EQ(packet.size(), size);
  for (const Bytes& packet : more) EXPECT_EQ(packet.size(), size);
  EXPECT_NEAR(static_cast<double>(size + kOuterHeaders), 1000, 4);
  EXPECT_EQ(pair->bob_receives(more).packets, packets);
  EXPECT_EQ(all_drops(pair->bob), 0U);
}

TEST_F(AggfragEngines, ConstantRateQueueIsBounded) {
  start({.packet_size = 1000, .rate = 10'000});
  for (int i = 0; i < 20; ++i) (void)pair->alice_sends(small_packets(100, 100));
  const std::uint64_t full = drops(pair->alice, "aggfrag_queue_full");
  EXPECT_GT(full, 500U);
  EXPECT_LT(full, 1500U);
  // The SA ends: what waits is gone, and counted; the clock stops.
  pair->alice.remove(model::ChildSaId{1}, milliseconds(1), pair->now);
  CollectingWire wire;
  pair->alice.handle_time(pair->now, wire);
  EXPECT_EQ(drops(pair->alice, "aggfrag_abandoned") + full, 2000U);
  EXPECT_TRUE(wire.trains.empty());
}

// A rekey: the old SA sends what was given to it, then the new one's clock is the only one.
TEST_F(AggfragEngines, ConstantRateMovesToTheNextSa) {
  const model::Aggfrag aggfrag{.packet_size = 1000, .rate = 1'000'000};
  start(aggfrag);
  const Instant begin = pair->now;
  (void)pair->bob_receives(alice_until(begin + milliseconds(10)));
  const std::vector<Bytes> first = small_packets(30, 200);
  (void)pair->alice_sends(first);
  auto [a, b] = pair->make_pair(2, {});
  a.treatment = b.treatment = with(aggfrag);
  a.replaces = b.replaces = model::ChildSaId{1};
  ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  ASSERT_TRUE(pair->alice.install(std::move(a), pair->now));
  const std::vector<Bytes> second = small_packets(30, 201);
  (void)pair->alice_sends(second);
  const CollectingInner inner = pair->bob_receives(alice_until(begin + milliseconds(50)));
  EXPECT_EQ(inner.packets.size(), 60U);
  const SaCounters before = *pair->alice.counters(model::ChildSaId{1});
  EXPECT_NEAR(static_cast<double>(alice_until(begin + milliseconds(150)).size()), 100, 1);
  EXPECT_EQ(pair->alice.counters(model::ChildSaId{1})->outbound_packets, before.outbound_packets);
}

// RFC 9347 2.4.2, 3: both ends learn the round trip; loss brings the sender's rate down, its absence up again.
TEST_F(AggfragEngines, CongestionControlFollowsTheLoss) {
  start({.packet_size = 1000, .rate = 2'000'000, .congestion_control = true});
  SeededRandom random(5);
  const Duration kOneWay = milliseconds(10);
  struct Flying {
    Instant at;
    Bytes packet;
    bool to_bob;
  };
  std::deque<Flying> flying;
  double loss = 0;
  std::size_t from_alice = 0;
  const auto run = [&](Duration length) {
    from_alice = 0;
    const Instant end = pair->now + length;
    for (; pair->now < end; pair->now += std::chrono::microseconds(250)) {
      for (const bool alice : {true, false}) {
        CollectingWire wire;
        (alice ? pair->alice : pair->bob).handle_time(pair->now, wire);
        for (Bytes& packet : wire.packets()) {
          from_alice += alice ? 1 : 0;
          if (static_cast<double>(random.u64() % 10'000) < loss * 10'000) continue;
          flying.push_back({pair->now + kOneWay, std::move(packet), alice});
        }
      }
      while (!flying.empty() && flying.front().at <= pair->now) {
        const Flying& next = flying.front();
        if (next.to_bob) {
          (void)pair->bob_receives({next.packet});
        } else {
          (void)pair->receives(pair->alice, pair->path, {next.packet});
        }
        flying.pop_front();
      }
      CollectingInner ignored;
      pair->alice.release(pair->now, ignored);
      pair->bob.release(pair->now, ignored);
    }
  };
  run(std::chrono::seconds(4));
  run(std::chrono::seconds(1));
  EXPECT_NEAR(static_cast<double>(from_alice), 2000, 20) << "no loss: the rate that was given";
  loss = 0.05;
  run(std::chrono::seconds(5));
  run(std::chrono::seconds(2));
  EXPECT_LT(from_alice, 1200U) << "a twentieth is lost";
  EXPECT_GT(from_alice, 50U);
  loss = 0;
  run(std::chrono::seconds(40));
  run(std::chrono::seconds(1));
  EXPECT_GT(from_alice, 1500U);
}

// On demand with congestion control: the peer gets its report although there is nothing else to send.
TEST_F(AggfragEngines, ReportsLeaveWithoutTraffic) {
  start({.congestion_control = true});
  const std::vector<Bytes> outer = pair->alice_sends({udp_packet(pair->v4, Bytes(100))}).packets();
  pair->now += milliseconds(3);
  EXPECT_EQ(pair->bob_receives(outer).packets.size(), 1U);
  ASSERT_TRUE(pair->bob.next_deadline());
  pair->now = std::max(pair->now, *pair->bob.next_deadline());
  CollectingWire wire;
  pair->bob.handle_time(pair->now, wire);
  ASSERT_EQ(wire.packets().size(), 1U);
  EXPECT_LT(wire.packets()[0].size(), 100U);
  EXPECT_FALSE(pair->bob.next_deadline());
  EXPECT_TRUE(pair->receives(pair->alice, pair->path, wire.packets()).packets.empty());
  EXPECT_EQ(all_drops(pair->alice), 0U);
}

// No number, no payload; and no number twice.
TEST_F(AggfragEngines, SequenceNumbersRunOut) {
  start({});
  auto [a, b] = pair->make_pair(2, {});
  a.treatment = b.treatment = with({.packet_size = 600});
  a.sequence_granted = 3;
  ASSERT_TRUE(pair->alice.install(std::move(a), pair->now));
  ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  const CollectingWire wire = pair->alice_sends({udp_packet(pair->v4, Bytes(200)), udp_packet(pair->v4, Bytes(4000))});
  ASSERT_EQ(wire.packets().size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(load_be32(wire.packets()[i].data() + 4), i + 1);
  EXPECT_EQ(pair->bob_receives(wire.packets()).packets.size(), 1U);
  EXPECT_EQ(drops(pair->alice, "aggfrag_abandoned"), 1U);
  pair->alice.grant_sequence(model::ChildSaId{2}, 100);
  const std::vector<Bytes> after = {udp_packet(pair->v4, Bytes(300))};
  const CollectingWire next = pair->alice_sends(after);
  ASSERT_EQ(next.packets().size(), 1U);
  EXPECT_EQ(load_be32(next.packets()[0].data() + 4), 4U);
  EXPECT_EQ(pair->bob_receives(next.packets()).packets, after) << "the cut packet does not come back";
}

TEST_F(AggfragEngines, HardLifetimeInOctets) {
  start({});
  auto [a, b] = pair->make_pair(2, {});
  a.treatment = b.treatment = with({});
  a.hard.bytes = 1000;
  ASSERT_TRUE(pair->alice.install(std::move(a), pair->now));
  (void)pair->alice_sends({udp_packet(pair->v4, Bytes(400)), udp_packet(pair->v4, Bytes(700))});
  EXPECT_EQ(drops(pair->alice, "lifetime_reached"), 1U);
  const auto expired = only<SaExpired>(pair->events(pair->alice));
  ASSERT_EQ(expired.size(), 1U);
  EXPECT_TRUE(expired[0].hard);
}

// Two SAs in turn in one batch: each has its own payload open.
TEST_F(AggfragEngines, TwoSasInTurn) {
  pair.emplace();
  const model::TrafficSelectors other = {selector("10.3.0.0/16")};
  constexpr model::ConnectionId kOther{8};
  pair->alice.set_policies(
      {{TwoEngines::kPolicy, PolicyAction::protect, pair->alice_side, pair->bob_side, TwoEngines::kConnection},
       {PolicyId{4}, PolicyAction::protect, pair->alice_side, other, kOther}});
  pair->install(1, {}, with({.packet_size = 900}));
  auto [a, b] = pair->make_pair(2, {});
  a.treatment = b.treatment = with({.packet_size = 500});
  a.connection = b.connection = kOther;
  a.remote = b.local = other;
  ASSERT_TRUE(pair->alice.install(std::move(a), pair->now));
  ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  Flow flow = pair->v4;
  flow.destination = address("10.3.0.1");
  std::vector<Bytes> packets;
  for (std::size_t i = 0; i < 2000; ++i) {
    packets.push_back(udp_packet(i % 2 == 0 ? pair->v4 : flow, Bytes(40 + i % 300, static_cast<std::uint8_t>(i))));
  }
  const CollectingWire wire = pair->alice_sends(packets);
  std::vector<Bytes> inner = pair->bob_receives(wire.packets()).packets;
  EXPECT_EQ(all_drops(pair->bob), 0U);
  ASSERT_EQ(inner.size(), packets.size());
  std::sort(inner.begin(), inner.end());
  std::sort(packets.begin(), packets.end());
  EXPECT_EQ(inner, packets);
}

}  // namespace
}  // namespace culvert::ipsec
