// The engine around the straight way: lengths, ICMP errors about the path, header fields, confidentiality of traffic
// flow.
#include "ipsec/testing/around.hpp"

#include <set>

#include <gtest/gtest.h>

#include "ipsec/icmp_error.hpp"
#include "ipsec/mss_test_kit.hpp"
#include "ipsec/spd.hpp"

namespace culvert::ipsec {
namespace {

using namespace std::chrono_literals;
using namespace test_kit;

// RFC 4301 8.2.1, cases 1 and 3.
TEST_F(Around, WhatMustNotBeCutIsRefusedWithWord) {
  install_for_path(1500);
  for (const Flow& flow : {with_df(pair.v4), pair.v6}) {
    const std::size_t longest = 1500 - kAroundGcmInUdp - 2;
    const CollectingWire fits = pair.alice_sends({udp_of_length(flow, longest)});
    ASSERT_EQ(fits.packets().size(), 1U);
    EXPECT_EQ(fits.packets()[0].size() + 28, 1500U);
    EXPECT_TRUE(fits.answers.empty());

    const Bytes packet = udp_of_length(flow, longest + 1);
    const CollectingWire wire = pair.alice_sends({packet});
    EXPECT_TRUE(wire.trains.empty());
    ASSERT_EQ(wire.answers.size(), 1U);
    const net::PacketInfo info = info_of(wire.answers[0]);
    EXPECT_EQ(info.destination, flow.source);
    EXPECT_EQ(info.source_port, flow.source.is_v4() ? 0x0304 : 0x0200);
    EXPECT_EQ(load_be16(wire.answers[0].data() + info.header_length + 6), longest);
    const ByteView quoted = ByteView(wire.answers[0]).subspan(info.header_length + 8U);
    EXPECT_TRUE(equal(quoted, ByteView(packet).first(quoted.size())));
  }
  EXPECT_EQ(drops(pair.alice, "path_too_narrow"), 2U);
}

TEST_F(Around, RefusalsAreAnsweredAtABoundedRate) {
  install_for_path(1500);
  std::vector<Bytes> packets(300, udp_of_length(with_df(pair.v4), 1490));
  EXPECT_EQ(pair.alice_sends(packets).answers.size(), 100U);
  EXPECT_EQ(drops(pair.alice, "path_too_narrow"), 300U);
  wait(1s);
  EXPECT_EQ(pair.alice_sends({packets[0]}).answers.size(), 1U);
}

// RFC 4301 8.2.1, case 2, before: the peer gets fragments that make up the packet.
TEST_F(Around, FragmentsBeforeMakeUpTheOriginal) {
  install_for_path(1500);
  for (const std::size_t length : {1439, 1500, 3000, 9000, 60000}) {
    Flow flow = pair.v4;
    flow.identification = static_cast<std::uint16_t>(length);
    const Bytes packet = udp_of_length(flow, length);
    const CollectingWire wire = pair.alice_sends({packet});
    EXPECT_TRUE(wire.answers.empty());
    for (const Bytes& sent : wire.packets()) EXPECT_LE(sent.size() + 28, 1500U);
    EXPECT_EQ(join(pair.bob_receives(wire.packets()).packets), packet);
  }
  EXPECT_EQ(all_drops(pair.alice) + all_drops(pair.bob), 0U);
}

// Property: any length over any path.
TEST_F(Around, FragmentsBeforeAtAnyLengthAndPath) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SeededRandom random(seed);
    TwoEngines run;
    run.set_policies();
    auto [a, b] = run.make_pair(1, all_suites()[random.below(all_suites().size())].suite);
    a.path_mtu = static_cast<std::uint16_t>(576 + random.below(1000));
    const std::size_t mtu = a.path_mtu;
    ASSERT_TRUE(run.alice.install(std::move(a), run.now).has_value());
    ASSERT_TRUE(run.bob.install(std::move(b), run.now).has_value());
    const Bytes packet = udp_packet(run.v4, random_bytes(random, random.below(6000)));
    const CollectingWire wire = run.alice_sends({packet});
    for (const Bytes& sent : wire.packets()) EXPECT_LE(sent.size() + 28, mtu) << "seed " << seed;
    const std::vector<Bytes> received = run.bob_receives(wire.packets()).packets;
    ASSERT_FALSE(received.empty()) << "seed " << seed;
    EXPECT_EQ(received.size() == 1 ? received[0] : join(received).value(), packet) << "seed " << seed;
  }
}

// RFC 4301 8.2.1, case 2, after: whole, and the outer packet may be cut.
TEST_F(Around, FragmentsAfterLeaveTheOuterPacketToTheNetwork) {
  install_for_path(1500, {.fragmentation = model::Fragmentation::after});
  const Bytes packet = udp_of_length(pair.v4, 3000);
  const CollectingWire wire = pair.alice_sends({packet});
  ASSERT_EQ(wire.trains.size(), 1U);
  EXPECT_FALSE(wire.trains[0].train.dont_fragment);
  EXPECT_EQ(pair.bob_receives(wire.packets()).packets, std::vector<Bytes>{packet});
  EXPECT_EQ(pair.alice_sends({udp_of_length(with_df(pair.v4), 3000)}).answers.size(), 1U) << "DF is copied";
}

TEST_F(Around, ClearedDfCarriesEverythingWhole) {
  install_for_path(1500, {.dont_fragment = model::DontFragment::clear, .fragmentation = model::Fragmentation::after});
  for (const Flow& flow : {with_df(pair.v4), pair.v6}) {
    const CollectingWire wire = pair.alice_sends({udp_of_length(flow, 3000)});
    ASSERT_EQ(wire.trains.size(), 1U);
    EXPECT_FALSE(wire.trains[0].train.dont_fragment);
  }
}

// RFC 2473 7.1: IPv6 packets of up to 1280 octets pass whatever the path takes.
TEST_F(Around, Ipv6HasItsLeastMtu) {
  install_for_path(1280);
  const CollectingWire wire = pair.alice_sends({udp_of_length(pair.v6, 1280)});
  ASSERT_EQ(wire.trains.size(), 1U);
  EXPECT_FALSE(wire.trains[0].train.dont_fragment);
  const CollectingWire refused = pair.alice_sends({udp_of_length(pair.v6, 1281)});
  ASSERT_EQ(refused.answers.size(), 1U);
  EXPECT_EQ(load_be16(refused.answers[0].data() + 46), 1280);
}

// Segments of a super-packet that do not fit: one answer, about the first of them.
TEST_F(Around, SuperPacketsAreJudgedByTheirSegments) {
  install_for_path(1500);
  Offload offload;
  offload.segmentation = Offload::Segmentation::tcp4;
  offload.segment_size = 1460;
  const Bytes packet = tcp_packet(with_df(pair.v4), 1000, 0x10, Bytes(1460 * 4, 7));
  const CollectingWire wire = pair.alice_sends({packet}, offload);
  EXPECT_TRUE(wire.trains.empty());
  ASSERT_EQ(wire.answers.size(), 1U);
  EXPECT_EQ(drops(pair.alice, "path_too_narrow"), 4U);
  EXPECT_EQ(load_be16(wire.answers[0].data() + 28 + 2), 1500) << "the quoted packet is a segment";

  const CollectingWire cut_up = pair.alice_sends({tcp_packet(pair.v4, 1000, 0x10, Bytes(1460 * 4, 7))}, offload);
  EXPECT_EQ(cut_up.packets().size(), 8U);
  EXPECT_EQ(pair.bob_receives(cut_up.packets()).packets.size(), 8U);
}

// RFC 4301 8.2: believed only with an SPI and a number of ours that was just sent; not below the floor; and for a time.
TEST_F(Around, UnprotectedErrorsNarrowThePathWithCare) {
  install_for_path(1500);
  const Bytes sent = pair.alice_sends({udp_of_length(pair.v4, 1400)}).packets()[0];
  const auto error = [&](std::uint16_t mtu, const Bytes& quoted, net::Path path) {
    pair.alice.unprotected_error(path, model::Encapsulation::udp, mtu, quoted, pair.now);
  };
  net::Path elsewhere = pair.path;
  elsewhere.remote.address = address("192.0.2.77");
  Bytes unknown_spi = sent;
  unknown_spi[1] ^= 1;
  Bytes future = sent;
  store_be32(future.data() + 4, 2);
  error(1300, unknown_spi, pair.path);
  error(1300, future, pair.path);
  error(1300, sent, elsewhere);
  error(1300, Bytes(sent.begin(), sent.begin() + 7), pair.path);
  EXPECT_EQ(drops(pair.alice, "unprotected_error_doubtful"), 4U);
  error(0, sent, pair.path);
  EXPECT_TRUE(only<PathMtuChanged>(pair.events(pair.alice)).empty());

  error(1300, sent, pair.path);
  const auto narrowed = only<PathMtuChanged>(pair.events(pair.alice));
  ASSERT_EQ(narrowed.size(), 1U);
  EXPECT_EQ(narrowed[0].path_mtu, 1300);
  EXPECT_EQ(narrowed[0].inner_mtu, 1300 - kAroundGcmInUdp - 2);
  EXPECT_EQ(pair.alice_sends({udp_of_length(with_df(pair.v4), 1400)}).answers.size(), 1U);

  error(100, sent, pair.path);
  EXPECT_EQ(only<PathMtuChanged>(pair.events(pair.alice))[0].path_mtu, 576);

  wait(10min);
  ASSERT_EQ(pair.alice.next_deadline(), pair.now);
  CollectingWire wire;
  pair.alice.handle_time(pair.now, wire);
  EXPECT_EQ(only<PathMtuChanged>(pair.events(pair.alice))[0].path_mtu, 1500);
  EXPECT_EQ(pair.alice_sends({udp_of_length(with_df(pair.v4), 1400)}).packets().size(), 1U);
}

// The true error gets through however many forged ones came before it.
TEST_F(Around, ForgedErrorsDoNotKeepTrueOnesOut) {
  install_for_path(1500);
  const Bytes sent = pair.alice_sends({udp_of_length(pair.v4, 1400)}).packets()[0];
  Bytes forged = sent;
  for (std::uint8_t i = 1; i <= 200; ++i) {
    forged[1] = static_cast<std::uint8_t>(sent[1] ^ i);
    pair.alice.unprotected_error(pair.path, model::Encapsulation::udp, 1200, forged, pair.now);
  }
  EXPECT_EQ(drops(pair.alice, "unprotected_error_doubtful"), 200U);
  pair.alice.unprotected_error(pair.path, model::Encapsulation::udp, 1300, sent, pair.now);
  const auto narrowed = only<PathMtuChanged>(pair.events(pair.alice));
  ASSERT_EQ(narrowed.size(), 1U);
  EXPECT_EQ(narrowed[0].path_mtu, 1300);
}

// RFC 4301 6.1.1: it must be possible to reject them.
TEST(AroundOptions, UnprotectedErrorsCanBeIgnored) {
  EngineOptions options;
  options.path_mtu.believe_errors = false;
  TwoEngines pair(options);
  pair.set_policies();
  pair.install(1);
  const Bytes sent = pair.alice_sends({udp_of_length(pair.v4, 1400)}).packets()[0];
  pair.alice.unprotected_error(pair.path, model::Encapsulation::udp, 600, sent, pair.now);
  EXPECT_EQ(pair.alice_sends({udp_of_length(with_df(pair.v4), 1400)}).packets().size(), 1U);
}

TEST_F(Around, ANewPathStartsAnew) {
  install_for_path(1500);
  const Bytes sent = pair.alice_sends({udp_of_length(pair.v4, 1400)}).packets()[0];
  pair.alice.unprotected_error(pair.path, model::Encapsulation::udp, 1000, sent, pair.now);
  net::Path moved = pair.path;
  moved.remote.address = address("192.0.2.9");
  pair.alice.update_path(model::ChildSaId{1}, moved, model::Encapsulation::udp);
  const auto told = only<PathMtuChanged>(pair.events(pair.alice));
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[1].path_mtu, 1500);
}

TEST_F(Around, ANewPathBringsItsOwnMtu) {
  install_for_path(1500);
  net::Path moved = pair.path;
  moved.remote.address = address("192.0.2.9");
  pair.alice.update_path(model::ChildSaId{1}, moved, model::Encapsulation::udp, std::uint16_t{1280});
  auto told = only<PathMtuChanged>(pair.events(pair.alice));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].path_mtu, 1280);
  EXPECT_GT(told[0].inner_mtu, 1150);
  EXPECT_LT(told[0].inner_mtu, 1280);
  const CollectingWire wire = pair.alice_sends({udp_of_length(with_df(pair.v4), 1300)});
  EXPECT_EQ(wire.trains.size(), 0U);
  EXPECT_EQ(drops(pair.alice, "path_too_narrow"), 1U);
}

// RFC 4301 5.1.2.1, RFC 6040 4.1.
TEST_F(Around, OuterHeaderFields) {
  install_for_path(0, {.dscp = std::uint8_t{46}, .ecn = false, .hop_limit = 99});
  Flow flow = pair.v4;
  flow.tos = 0x29;
  const CollectingWire wire = pair.alice_sends({udp_packet(flow, {})});
  ASSERT_EQ(wire.trains.size(), 1U);
  EXPECT_EQ(wire.trains[0].train.tos, 46 << 2);
  EXPECT_EQ(wire.trains[0].train.hop_limit, 99);
}

TEST_F(Around, OddEcnFieldsAreToldAtABoundedRate) {
  install_for_path(0);
  const std::vector<Bytes> sent = pair.alice_sends({udp_packet(pair.v4, {}), udp_packet(pair.v4, {})}).packets();
  EXPECT_EQ(pair.bob_receives(sent, 1).packets.size(), 2U) << "ECT(1) outside, not-ECT inside";
  const auto told = only<EcnAnomaly>(pair.events(pair.bob));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].inner, 0);
  EXPECT_EQ(told[0].outer, 1);
}

TEST_F(Around, DscpGoesInwardWhereWanted) {
  install([](model::ChildSaParams& params) { params.treatment.outer.dscp_inward = true; });
  const CollectingInner inner = pair.bob_receives(pair.alice_sends({udp_packet(pair.v4, {})}).packets(), 46 << 2);
  ASSERT_EQ(inner.packets.size(), 1U);
  EXPECT_EQ(inner.packets[0][1], 46 << 2);
  EXPECT_EQ(net::ipv4_header_checksum({inner.packets[0].data(), 20}), 0);
}

// RFC 4303 2.7.
TEST_F(Around, PaddedPacketsAllLookAlike) {
  install([](model::ChildSaParams& params) { params.treatment.confidentiality.pad_to = 1000; });
  std::vector<Bytes> packets;
  for (const std::size_t length : {28, 29, 500, 999, 1000}) packets.push_back(udp_of_length(pair.v4, length));
  const CollectingWire wire = pair.alice_sends(packets);
  std::set<std::size_t> sizes;
  for (const Bytes& sent : wire.packets()) sizes.insert(sent.size());
  EXPECT_EQ(sizes.size(), 1U);
  EXPECT_EQ(pair.bob_receives(wire.packets()).packets, packets);
}

TEST_F(Around, PaddingGoesNoFurtherThanThePath) {
  install([](model::ChildSaParams& params) {
    params.path_mtu = 1400;
    params.treatment.confidentiality.pad_to = model::TrafficFlowConfidentiality::kPadToPath;
  });
  const CollectingWire wire = pair.alice_sends({udp_packet(pair.v4, {}), udp_packet(pair.v6, Bytes(700, 1))});
  ASSERT_EQ(wire.packets().size(), 2U);
  for (const Bytes& sent : wire.packets()) EXPECT_EQ(sent.size() + 28, 1400U);
}

TEST(AroundConfidentiality, IsRefusedWhereItCannotBe) {
  TwoEngines pair;
  auto [a, b] = pair.make_pair(1, {});
  a.mode = model::Mode::transport;
  a.treatment.confidentiality.pad_to = 100;
  EXPECT_FALSE(pair.alice.install(std::move(a), pair.now).has_value());
}

// RFC 4303 2.6.
TEST_F(Around, DummiesFillTheSilence) {
  install([](model::ChildSaParams& params) { params.treatment.confidentiality.dummy_after = 100ms; });
  std::set<std::size_t> sizes;
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(pair.alice.next_deadline(), pair.now + 100ms);
    wait(100ms);
    CollectingWire wire;
    pair.alice.handle_time(pair.now, wire);
    ASSERT_EQ(wire.packets().size(), 1U);
    sizes.insert(wire.packets()[0].size());
    EXPECT_TRUE(pair.bob_receives(wire.packets()).packets.empty());
  }
  EXPECT_GT(sizes.size(), 5U);
  EXPECT_EQ(drops(pair.bob, "dummy"), 20U);
  EXPECT_EQ(pair.alice.counters(model::ChildSaId{1})->outbound_sequence, 20U);

  wait(60ms);
  EXPECT_EQ(pair.alice_sends({udp_packet(pair.v4, {})}).packets().size(), 1U);
  wait(40ms);
  CollectingWire quiet;
  pair.alice.handle_time(pair.now, quiet);
  EXPECT_TRUE(quiet.trains.empty()) << "there was a packet meanwhile";
  EXPECT_EQ(pair.alice.next_deadline(), pair.now + 60ms);
  pair.alice.remove(model::ChildSaId{1}, 10s, pair.now);
  wait(60ms);
  pair.alice.handle_time(pair.now, quiet);
  EXPECT_TRUE(quiet.trains.empty()) << "the pair sends no more";
}

TEST_F(Around, MssIsLoweredBothWays) {
  install([](model::ChildSaParams& params) { params.path_mtu = 1500; });
  const std::uint16_t inner = 1500 - kAroundGcmInUdp - 2;
  EXPECT_EQ(over({syn_with_mss(pair.v4, 1460)}), std::vector<Bytes>{syn_with_mss(pair.v4, inner - 40)});
  EXPECT_EQ(over({syn_with_mss(pair.v6, 1440)}), std::vector<Bytes>{syn_with_mss(pair.v6, inner - 60)});
  EXPECT_EQ(over({syn_with_mss(pair.v4, 536)}), std::vector<Bytes>{syn_with_mss(pair.v4, 536)});
}

TEST(AroundMss, TheReceiverLowersWhatTheSenderLeft) {
  TwoEngines pair;
  pair.set_policies();
  auto [a, b] = pair.make_pair(1, {});
  a.treatment.mss_clamp.reset();
  a.path_mtu = 1500;
  b.treatment.mss_clamp = 1000;
  ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
  ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
  const std::vector<Bytes> sent = pair.alice_sends({syn_with_mss(pair.v4, 1460)}).packets();
  EXPECT_EQ(pair.bob_receives(sent).packets, std::vector<Bytes>{syn_with_mss(pair.v4, 1000)});
}

}  // namespace
}  // namespace culvert::ipsec
