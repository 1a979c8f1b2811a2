// The engine around the straight way: lengths, fragments, ICMP errors, header fields, confidentiality of traffic flow.
#include <memory>
#include <set>

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/fragment.hpp"
#include "ipsec/icmp_error.hpp"
#include "ipsec/mss_test_kit.hpp"
#include "ipsec/reassembler.hpp"
#include "ipsec/spd.hpp"
#include "net/header_writer.hpp"

namespace culvert::ipsec {
namespace {

using namespace std::chrono_literals;
using namespace test_kit;

constexpr std::size_t kAroundGcmInUdp = 28 + 8 + 8 + 16;

net::PacketInfo info_of(ByteView packet) { return net::parse_packet(packet).value(); }

/// Alice and Bob with one pair whose parameters a test may change first.
class Around : public ::testing::Test {
 protected:
  template <typename Change>
  void install(Change change, bool policies = true) {
    if (policies) pair.set_policies();
    auto [a, b] = pair.make_pair(1, {});
    change(a);
    change(b);
    if (a.local != pair.alice_side || a.remote != pair.bob_side) {
      b.local = a.remote;
      b.remote = a.local;
    }
    spi = a.spi_outbound;
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
  }
  void install_for_path(std::uint16_t mtu, const model::OuterHeader& outer = {}) {
    install([&](model::ChildSaParams& params) {
      params.path_mtu = mtu;
      params.treatment.outer = outer;
    });
  }
  /// Alice and Bob talk over TCP port 80 and UDP port 2000 only.
  void restrict_to_ports() {
    pair.alice_side = {selector("10.1.0.0/16[udp]"), selector("10.1.0.0/16[tcp]")};
    pair.bob_side = {selector("10.2.0.0/16[udp/2000]"), selector("10.2.0.0/16[tcp/80]")};
  }
  std::vector<Bytes> over(const std::vector<Bytes>& packets) {
    return pair.bob_receives(pair.alice_sends(packets).packets()).packets;
  }
  void wait(Duration duration) { pair.now += duration; }

  TwoEngines pair;
  model::Spi spi;
};

Flow with_df(Flow flow) {
  flow.dont_fragment = true;
  return flow;
}

Bytes udp_of_length(const Flow& flow, std::size_t length) {
  return udp_packet(flow, Bytes(length - net::ip_header_size(flow.source.family()) - net::kUdpHeaderSize, 0x5a));
}

std::vector<Bytes> cut(const Bytes& packet, std::size_t longest) {
  const auto cutter = FragmentCutter::make(packet, info_of(packet), longest, 1).value();
  std::vector<Bytes> fragments;
  for (std::size_t i = 0; i < cutter.count(); ++i) cutter.write(i, fragments.emplace_back(cutter.length(i)).data());
  return fragments;
}

std::optional<Bytes> join(const std::vector<Bytes>& fragments) {
  Reassembler reassembler{ReassemblyBounds{}};
  std::optional<Bytes> whole;
  for (const Bytes& fragment : fragments) {
    const net::PacketInfo info = info_of(fragment);
    whole = reassembler.add(fragment, info, fragment_fields(fragment, info).value(), Instant{}).value();
  }
  return whole;
}

Bytes icmp_error(const net::IpAddress& router, const net::IpAddress& to, std::uint8_t type, ByteView quoted) {
  const Bytes body = concat({Bytes{type, 1, 0, 0, 0, 0, 0, 0}, quoted});
  return with_ip_header({router, to}, router.is_v4() ? net::IpProtocol::icmp : net::IpProtocol::icmpv6, body);
}

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

// RFC 4301 7.3: later fragments follow the first, over an SA that both sides agreed to carry them.
TEST_F(Around, FragmentsFollowTheirFirst) {
  restrict_to_ports();
  install([](model::ChildSaParams& params) { params.non_first_fragments = true; });
  const Bytes packet = udp_packet(pair.v4, Bytes(3000, 3));
  const std::vector<Bytes> fragments = cut(packet, 1000);
  EXPECT_EQ(join(over(fragments)), packet);

  // Others, to a port that no rule knows, do not pass, nor does a late one whose first did not.
  Flow closed = pair.v4;
  closed.destination_port = 23;
  closed.identification = 2;
  EXPECT_TRUE(over(cut(udp_packet(closed, Bytes(3000, 3)), 1000)).empty());
  EXPECT_EQ(drops(pair.alice, "no_rule"), 4U);
}

TEST_F(Around, EarlyFragmentsWaitForTheirFirst) {
  restrict_to_ports();
  install([](model::ChildSaParams& params) { params.non_first_fragments = true; });
  const Bytes packet = udp_packet(pair.v4, Bytes(3000, 3));
  std::vector<Bytes> fragments = cut(packet, 1000);
  std::rotate(fragments.begin(), fragments.begin() + 1, fragments.end());
  const std::vector<Bytes> received = over(fragments);
  EXPECT_EQ(received.size(), 4U);
  EXPECT_EQ(join(received), packet);

  // Without it they are dropped after a while.
  Flow other = pair.v4;
  other.identification = 9;
  EXPECT_TRUE(over({cut(udp_packet(other, Bytes(3000, 3)), 1000)[1]}).empty());
  ASSERT_EQ(pair.alice.next_deadline(), pair.now + 1s);
  wait(1s);
  CollectingWire wire;
  pair.alice.handle_time(pair.now, wire);
  EXPECT_EQ(drops(pair.alice, "fragment_early"), 1U);
}

// RFC 4301 7.3: without agreement none leaves, and none is taken.
TEST_F(Around, LaterFragmentsNeedAgreement) {
  restrict_to_ports();
  install([](model::ChildSaParams&) {});
  const std::vector<Bytes> fragments = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
  EXPECT_EQ(over(fragments), std::vector<Bytes>{fragments[0]});
  EXPECT_EQ(drops(pair.alice, "fragment_not_agreed"), 3U);
}

TEST(AroundFragments, TheReceiverChecksForItself) {
  for (const bool agreed : {false, true}) {
    TwoEngines pair;
    pair.set_policies();
    auto [a, b] = pair.make_pair(1, {});
    b.remote = {selector("10.1.0.0/16[udp]")};
    b.local = {selector("10.2.0.0/16[udp/2000]")};
    b.non_first_fragments = agreed;
    ASSERT_TRUE(pair.alice.install(std::move(a), pair.now).has_value());
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
    const auto over = [&](const std::vector<Bytes>& packets) {
      return pair.bob_receives(pair.alice_sends(packets).packets()).packets;
    };
    const std::vector<Bytes> fragments = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
    EXPECT_TRUE(over({fragments[1]}).empty());
    EXPECT_EQ(over(fragments).size(), agreed ? 4U : 1U);
    EXPECT_EQ(drops(pair.bob, "inner_fragment_early"), agreed ? 1U : 0U);
    EXPECT_EQ(drops(pair.bob, "inner_fragment_not_agreed"), agreed ? 0U : 4U);

    Flow closed = pair.v4;
    closed.destination_port = 23;
    closed.identification = 2;
    EXPECT_TRUE(over(cut(udp_packet(closed, Bytes(3000, 3)), 1000)).empty());
    EXPECT_EQ(drops(pair.bob, "selector_mismatch"), 1U) << "the first one";

    // RFC 1858: a rewritten start.
    Bytes rewrite = fragments[1];
    store_be16(rewrite.data() + 6, 0x2000 | 2);
    store_be16(rewrite.data() + 10, 0);
    store_be16(rewrite.data() + 10, net::ipv4_header_checksum({rewrite.data(), 20}));
    EXPECT_TRUE(over({rewrite}).empty());
    EXPECT_EQ(drops(pair.bob, "inner_fragment_overlap"), agreed ? 1U : 0U);
  }
}

// RFC 4301 7.1: selectors for any port carry fragments one by one, in whatever order.
TEST_F(Around, AnyPortCarriesFragments) {
  install([](model::ChildSaParams&) {});
  std::vector<Bytes> fragments = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
  std::reverse(fragments.begin(), fragments.end());
  EXPECT_EQ(over(fragments), fragments);
}

// RFC 4301 7.2: an SA for OPAQUE ports carries what shows none.
TEST_F(Around, OpaqueRulesTakeLaterFragments) {
  const model::TrafficSelector opaque{selector("10.2.0.0/16").addresses, 17, 0xffff, 0};
  pair.alice.set_policies(
      {{PolicyId{1}, PolicyAction::discard, pair.alice_side, {selector("10.2.0.0/16[udp/2000]")}, {}},
       {PolicyId{2}, PolicyAction::protect, pair.alice_side, {opaque}, TwoEngines::kConnection}});
  install(
      [&](model::ChildSaParams& params) {
        (params.local == pair.alice_side ? params.remote : params.local) = {opaque};
      },
      false);
  const std::vector<Bytes> fragments = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
  EXPECT_EQ(over(fragments), std::vector<Bytes>(fragments.begin() + 1, fragments.end()));
  EXPECT_EQ(drops(pair.alice, "discard_rule"), 1U);
}

// RFC 4301 7.4: what follows a bypassed first fragment is bypassed, what follows a protected one is not.
TEST_F(Around, BypassFollowsTheFirstFragment) {
  // As a table made ready elsewhere, which is how the data plane brings them.
  std::vector<Policy> rules{{PolicyId{1},
                             PolicyAction::protect,
                             pair.alice_side,
                             {selector("10.2.0.0/16[udp/2000]")},
                             TwoEngines::kConnection},
                            {PolicyId{2}, PolicyAction::bypass, pair.alice_side, pair.bob_side, {}}};
  pair.alice.set_policies(std::make_shared<const PolicyTable>(std::move(rules)));
  install([](model::ChildSaParams&) {}, false);
  Flow open = pair.v4;
  open.destination_port = 119;
  open.identification = 2;
  std::vector<Bytes> packets = cut(udp_packet(pair.v4, Bytes(3000, 3)), 1000);
  const std::vector<Bytes> in_clear = cut(udp_packet(open, Bytes(3000, 4)), 1000);
  packets.insert(packets.end(), in_clear.begin(), in_clear.end());
  Flow unknown = open;
  unknown.identification = 3;
  packets.push_back(cut(udp_packet(unknown, Bytes(3000, 4)), 1000)[2]);
  std::vector<InnerBuffer> buffers(packets.begin(), packets.end());
  std::vector<InnerPacket> views;
  for (InnerBuffer& buffer : buffers) views.push_back(buffer.view());
  CollectingWire wire;
  wire.bypass_allowed = true;
  pair.alice.outbound(views, pair.now, wire);
  EXPECT_EQ(wire.bypassed, in_clear) << "not the one whose first was not seen";
  EXPECT_EQ(wire.packets().size(), 4U);
}

// The first packets wait for their SA, fragments too.
TEST_F(Around, FragmentsWaitForTheirSa) {
  restrict_to_ports();
  pair.set_policies();
  const Bytes packet = udp_packet(pair.v4, Bytes(3000, 3));
  EXPECT_TRUE(pair.alice_sends(cut(packet, 1000)).trains.empty());
  install([](model::ChildSaParams& params) { params.non_first_fragments = true; });
  CollectingWire wire;
  pair.alice.handle_time(pair.now, wire);
  EXPECT_EQ(join(pair.bob_receives(wire.packets()).packets), packet);
  EXPECT_EQ(all_drops(pair.alice), 0U);
}

// RFC 4301 6.2: an error from a router takes the SA of the flow that it speaks of, both ways, and no other error does.
TEST_F(Around, IcmpErrorsTravelWithTheirFlow) {
  restrict_to_ports();
  install([](model::ChildSaParams&) {});
  const net::IpAddress router = address("172.16.0.9");
  const Bytes from_bob = udp_packet(pair.v4.reversed(), Bytes(100, 1));
  const Bytes error = icmp_error(router, pair.v4.destination, 3, ByteView(from_bob).first(28));
  EXPECT_EQ(over({error}), std::vector<Bytes>{error});

  Flow other = pair.v4.reversed();
  other.source_port = 23;
  EXPECT_TRUE(over({icmp_error(router, other.source, 3, udp_packet(other, {}))}).empty());
  EXPECT_TRUE(over({icmp_error(router, pair.v4.destination, 3, Bytes(8, 0))}).empty());
  EXPECT_EQ(drops(pair.alice, "icmp_error_unmatched"), 2U);
  EXPECT_TRUE(over({icmp_error(router, pair.v4.destination, 8, from_bob)}).empty());
  EXPECT_EQ(drops(pair.alice, "no_rule"), 1U) << "an echo request is no error";
}

// A rule that lets out what others leave lets out no error that quotes what they take.
TEST_F(Around, ErrorsAboutProtectedPacketsDoNotLeaveByTheBypassOfTheRest) {
  restrict_to_ports();
  pair.alice.set_policies({{.id = PolicyId{1},
                            .action = PolicyAction::protect,
                            .local = pair.alice_side,
                            .remote = pair.bob_side,
                            .connection = TwoEngines::kConnection},
                           {.id = PolicyId{2},
                            .action = PolicyAction::bypass,
                            .local = {selector("10.1.0.0/16")},
                            .remote = {selector("10.2.0.0/16")},
                            .errors_follow_quoted = true}});
  const Bytes from_bob = udp_packet(pair.v4.reversed(), Bytes(100, 1));
  Flow in_clear = pair.v4.reversed();
  in_clear.source_port = 23;
  const auto about = [&](ByteView quoted) { return icmp_error(pair.v4.source, pair.v4.destination, 3, quoted); };
  const auto bypassed = [&](const Bytes& packet) {
    CollectingWire wire;
    wire.bypass_allowed = true;
    InnerBuffer buffer(packet);
    const InnerPacket view = buffer.view();
    pair.alice.outbound(std::span(&view, 1), pair.now, wire);
    return std::pair(wire.bypassed.size(), wire.packets().size());
  };
  using Counts = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(bypassed(about(from_bob)), Counts(0, 0)) << "there is no SA yet";
  install([](model::ChildSaParams&) {}, false);
  EXPECT_EQ(bypassed(about(from_bob)), Counts(0, 1));
  EXPECT_EQ(bypassed(about(udp_packet(in_clear, {}))), Counts(1, 0));
  EXPECT_EQ(bypassed(about(ByteView(from_bob).first(22))), Counts(0, 0)) << "whose ports are not quoted";
  EXPECT_EQ(bypassed(icmp_error(pair.v4.source, pair.v4.destination, 8, from_bob)), Counts(1, 0)) << "no error";
}

// Behind Destination Options a later IPv6 fragment does not even show its protocol.
TEST_F(Around, LaterFragmentsThatHideTheirProtocolFollowTheFirst) {
  pair.alice_side = {selector("::/0[udp]")};
  pair.bob_side = {selector("::/0[udp]")};
  pair.alice.set_policies(
      {{.id = PolicyId{1},
        .action = PolicyAction::protect,
        .local = pair.alice_side,
        .remote = pair.bob_side,
        .connection = TwoEngines::kConnection},
       {.id = PolicyId{2}, .action = PolicyAction::bypass, .local = {selector("::/0")}, .remote = {selector("::/0")}}});
  install([](model::ChildSaParams&) {}, false);
  Bytes packet = udp_packet(pair.v6, Bytes(3000, 3));
  const Bytes options{17, 0, 1, 4, 0, 0, 0, 0};
  packet.insert(packet.begin() + net::kIpv6HeaderSize, options.begin(), options.end());
  packet[6] = 60;
  store_be16(packet.data() + 4, static_cast<std::uint16_t>(packet.size() - net::kIpv6HeaderSize));
  const std::vector<Bytes> pieces = cut(packet, 1000);
  CollectingWire wire;
  wire.bypass_allowed = true;
  for (const Bytes& piece : pieces) {
    InnerBuffer buffer(piece);
    const InnerPacket view = buffer.view();
    pair.alice.outbound(std::span(&view, 1), pair.now, wire);
  }
  EXPECT_EQ(wire.bypassed.size(), 0U);
  EXPECT_EQ(wire.packets().size(), pieces.size());
}

TEST(AroundIcmp, TheReceiverChecksWhatAnErrorSpeaksOf) {
  using model::IcmpErrors;
  for (const IcmpErrors policy : {IcmpErrors::selectors, IcmpErrors::quoted, IcmpErrors::checked}) {
    TwoEngines pair;
    pair.set_policies();
    auto [a, b] = pair.make_pair(1, {});
    RawSealer sealer(b.spi_inbound, b.suite, b.inbound);
    b.treatment.icmp_errors = policy;
    ASSERT_TRUE(pair.bob.install(std::move(b), pair.now).has_value());
    std::uint64_t sequence = 0;
    const auto passes = [&](const Bytes& packet) {
      return pair.bob_receives({sealer.seal_inner(++sequence, packet, net::IpProtocol::ipv4)}).packets.size() == 1;
    };
    const Bytes own = udp_packet(pair.v4.reversed(), {});
    const Bytes foreign = udp_packet({pair.v4.destination, address("10.3.0.1")}, {});
    const net::IpAddress router = address("172.16.0.9");
    const net::IpAddress& bob = pair.v4.destination;
    EXPECT_EQ(passes(icmp_error(router, bob, 11, own)), policy != IcmpErrors::selectors);
    EXPECT_FALSE(passes(icmp_error(router, bob, 11, foreign)));
    EXPECT_TRUE(passes(icmp_error(pair.v4.source, bob, 11, own)));
    EXPECT_EQ(passes(icmp_error(pair.v4.source, bob, 11, foreign)), policy != IcmpErrors::checked);
    EXPECT_EQ(drops(pair.bob, "icmp_error_mismatch") + drops(pair.bob, "selector_mismatch"),
              policy == IcmpErrors::quoted ? 1U : 2U);
    EXPECT_EQ(drops(pair.bob, "selector_mismatch"), policy == IcmpErrors::selectors ? 2U : 0U);
  }
}

}  // namespace
}  // namespace culvert::ipsec
