// IPComp (RFC 3173) through two whole engines.
#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/ipcomp.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

struct IpCompEngines : ::testing::Test {
  static constexpr std::uint16_t kAliceCpi = 0x1111;
  static constexpr std::uint16_t kBobCpi = 0x2222;

  void start(const EngineOptions& options = {}) {
    pair.emplace(options);
    pair->set_policies();
    auto [a, b] = pair->make_pair(1, {});
    a.treatment.compress = b.treatment.compress = true;
    a.ipcomp = model::IpCompParams{kAliceCpi, kBobCpi};
    b.ipcomp = model::IpCompParams{kBobCpi, kAliceCpi};
    sealer.emplace(b.spi_inbound, b.suite, b.inbound);
    ASSERT_TRUE(pair->alice.install(std::move(a), pair->now));
    ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  }
  Bytes noise(std::size_t size) { return random_bytes(pair->random, size); }
  std::optional<TwoEngines> pair;
  std::optional<RawSealer> sealer;
};

Bytes text(std::size_t size) {
  Bytes bytes;
  while (bytes.size() < size) {
    for (const char c : std::string_view("GET /index.html HTTP/1.1\r\nHost: example.net\r\n")) {
      bytes.push_back(static_cast<std::uint8_t>(c));
    }
  }
  bytes.resize(size);
  return bytes;
}

TEST_F(IpCompEngines, ShrinksWhatShrinks) {
  start();
  const std::vector<Bytes> packets = {udp_packet(pair->v4, text(1200)), udp_packet(pair->v6, text(1200)),
                                      udp_packet(pair->v4, noise(1200)), udp_packet(pair->v4, text(40))};
  const CollectingWire wire = pair->alice_sends(packets);
  const std::vector<Bytes> outer = wire.packets();
  ASSERT_EQ(outer.size(), 4U);
  EXPECT_LT(outer[0].size(), 300U);
  EXPECT_LT(outer[1].size(), 300U);
  EXPECT_GT(outer[2].size(), 1200U);
  EXPECT_GT(outer[3].size(), 40U);
  EXPECT_EQ(pair->bob_receives(outer).packets, packets);
  EXPECT_EQ(all_drops(pair->bob), 0U);
}

// RFC 3173 2.2: what does not shrink looks as if there were no IPComp.
TEST_F(IpCompEngines, ExpansionNeverHappens) {
  start();
  TwoEngines plain;
  plain.set_policies();
  plain.install(1);
  const Bytes packet = udp_packet(pair->v4, noise(500));
  EXPECT_EQ(pair->alice_sends({packet}).packets().at(0).size(), plain.alice_sends({packet}).packets().at(0).size());
}

TEST_F(IpCompEngines, SuperPacketsAreSegmentedFirst) {
  start();
  const Bytes super = tcp_packet(pair->v4, 1, 0x10, text(20'000));
  const Offload tso{.segmentation = Offload::Segmentation::tcp4, .segment_size = 1000, .checksum_partial = true};
  const CollectingWire wire = pair->alice_sends({super}, tso);
  EXPECT_EQ(wire.packets().size(), 20U);
  const CollectingInner inner = pair->bob_receives_trains(wire.trains);
  ASSERT_EQ(inner.packets.size(), 20U);
  for (const Bytes& packet : inner.packets) EXPECT_EQ(packet.size(), 1040U);
}

TEST_F(IpCompEngines, CoalescesWhatWasCompressed) {
  EngineOptions options;
  options.coalesce = true;
  start(options);
  const Offload tso{.segmentation = Offload::Segmentation::tcp4, .segment_size = 1000, .checksum_partial = true};
  const CollectingWire wire = pair->alice_sends({tcp_packet(pair->v4, 1, 0x10, text(20'000))}, tso);
  const CollectingInner inner = pair->bob_receives_trains(wire.trains);
  ASSERT_EQ(inner.packets.size(), 1U);
  EXPECT_EQ(inner.packets[0].size(), 20'040U);
}

TEST_F(IpCompEngines, BadInput) {
  start();
  IpComp ipcomp;
  const auto compressed = [&](ByteView inner, std::uint8_t next_header, std::uint16_t cpi) {
    Bytes out(inner.size());
    out.resize(ipcomp.compress(inner, next_header, cpi, out.data()).value());
    return out;
  };
  std::uint64_t sequence = 0;
  const auto arrives = [&](ByteView datagram) {
    return pair->bob_receives({sealer->seal_inner(++sequence, datagram, net::IpProtocol::ipcomp)}).packets;
  };
  const Bytes good = udp_packet(pair->v4, text(1000));
  EXPECT_EQ(arrives(compressed(good, 4, kBobCpi)), std::vector<Bytes>{good});
  EXPECT_TRUE(arrives(compressed(good, 4, kAliceCpi)).empty());
  EXPECT_EQ(drops(pair->bob, "ipcomp_malformed"), 1U);
  EXPECT_TRUE(arrives(Bytes{4, 0, 0x22}).empty());
  EXPECT_EQ(drops(pair->bob, "ipcomp_malformed"), 2U);
  // A bomb of 200,000 octets.
  EXPECT_TRUE(arrives(compressed(Bytes(200'000), 4, kBobCpi)).empty());
  EXPECT_EQ(drops(pair->bob, "ipcomp_too_long"), 1U);
  // Tunnel mode has IP packets inside; IPComp in IPComp is none.
  EXPECT_TRUE(arrives(compressed(good, 17, kBobCpi)).empty());
  EXPECT_TRUE(arrives(compressed(good, 108, kBobCpi)).empty());
  EXPECT_TRUE(arrives(compressed(good, 41, kBobCpi)).empty());
  EXPECT_EQ(drops(pair->bob, "bad_next_header"), 3U);
  // RFC 4301 5.2: the selectors hold for what comes out.
  Flow wrong = pair->v4;
  wrong.source = address("10.99.0.1");
  EXPECT_TRUE(arrives(compressed(udp_packet(wrong, text(1000)), 4, kBobCpi)).empty());
  EXPECT_EQ(drops(pair->bob, "selector_mismatch"), 1U);
}

// Without an agreement there is no IPComp.
TEST_F(IpCompEngines, NotAgreed) {
  start();
  pair->install(2);
  auto [a, b] = pair->make_pair(3, {});
  RawSealer plain(b.spi_inbound, b.suite, b.inbound);
  ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  IpComp ipcomp;
  const Bytes good = udp_packet(pair->v4, text(1000));
  Bytes out(good.size());
  out.resize(ipcomp.compress(good, 4, 2, out.data()).value());
  EXPECT_TRUE(pair->bob_receives({plain.seal_inner(1, out, net::IpProtocol::ipcomp)}).packets.empty());
  EXPECT_EQ(drops(pair->bob, "bad_next_header"), 1U);

  auto [c, d] = pair->make_pair(4, {});
  c.treatment.compress = true;
  EXPECT_FALSE(pair->alice.install(std::move(c), pair->now)) << "to compress takes the peer's CPI";
  auto [e, f] = pair->make_pair(5, {});
  e.ipcomp = model::IpCompParams{100, 2};
  EXPECT_FALSE(pair->alice.install(std::move(e), pair->now)) << "100 is reserved";
}

// Agreed, but not wanted by this side: takes compressed packets and sends none.
TEST_F(IpCompEngines, OneWay) {
  start();
  auto [a, b] = pair->make_pair(2, {});
  a.ipcomp = model::IpCompParams{2, 2};
  b.ipcomp = model::IpCompParams{2, 2};
  b.treatment.compress = true;
  ASSERT_TRUE(pair->alice.install(std::move(a), pair->now));
  ASSERT_TRUE(pair->bob.install(std::move(b), pair->now));
  const Bytes there = udp_packet(pair->v4, text(1000));
  const Bytes back = udp_packet(pair->v4.reversed(), text(1000));
  EXPECT_GT(pair->alice_sends({there}).packets().at(0).size(), 1000U);
  const CollectingWire wire = pair->sends(pair->bob, {back});
  EXPECT_LT(wire.packets().at(0).size(), 300U);
  EXPECT_EQ(pair->receives(pair->alice, pair->path, wire.packets()).packets, std::vector<Bytes>{back});
}

}  // namespace
}  // namespace culvert::ipsec
