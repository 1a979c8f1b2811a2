// IPComp (RFC 3173) with ESP and AH in every mode: what shrinks arrives as it was, and AH shows how it looks.
#include <gtest/gtest.h>

#include "ipsec/encapsulation.hpp"
#include "ipsec/ipcomp.hpp"
#include "ipsec/modes_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using model::Mode;
using model::ProtocolId;
using net::Family;

constexpr std::uint16_t kAliceCpi = 0x1111;
constexpr std::uint16_t kBobCpi = 0x2222;

Bytes text(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i % 40);
  return bytes;
}

class IpCompModes : public testing::TestWithParam<ModeCase> {
 protected:
  IpCompModes() : world(GetParam()) {
    auto [a, b] = world.make_pair(1, world.suite());
    a.treatment.compress = b.treatment.compress = true;
    a.ipcomp = model::IpCompParams{kAliceCpi, kBobCpi};
    b.ipcomp = model::IpCompParams{kBobCpi, kAliceCpi};
    CHECK(world.pair.alice.install(std::move(a), world.pair.now).has_value());
    CHECK(world.pair.bob.install(std::move(b), world.pair.now).has_value());
  }
  void check(const std::vector<Bytes>& sent, const std::vector<Bytes>& came) {
    ASSERT_EQ(came.size(), sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      EXPECT_EQ(to_hex(world.comparable(came[i])), to_hex(world.comparable(sent[i]))) << i;
    }
    EXPECT_EQ(all_drops(world.pair.alice), 0U);
    EXPECT_EQ(all_drops(world.pair.bob), 0U);
  }
  [[nodiscard]] bool in_udp_transport() const {
    return GetParam().mode == Mode::transport && GetParam().encapsulation == model::Encapsulation::udp;
  }
  ModeWorld world;
};
constexpr auto kName = [](const auto& one) { return one.param.name(); };
INSTANTIATE_TEST_SUITE_P(All, IpCompModes, testing::ValuesIn(all_mode_cases()), kName);

TEST_P(IpCompModes, ShrinksWhatShrinks) {
  std::vector<Bytes> sent;
  for (const std::size_t size : {0U, 80U, 90U, 200U, 1300U, 9000U, 65000U}) {
    sent.push_back(udp_packet(world.flow, text(size)));
    sent.push_back(udp_packet(world.flow, random_bytes(world.pair.random, size)));
  }
  const CollectingWire wire = world.pair.alice_sends(sent);
  std::size_t octets = 0;
  std::size_t noise = 0;
  for (const SentTrain& train : wire.trains) octets += train.bytes.size();
  for (std::size_t i = 1; i < sent.size(); i += 2) noise += sent[i].size();
  EXPECT_GT(octets, noise);
  EXPECT_LT(octets, noise + 3000) << "all the text in so little";
  std::vector<Arrived> arrived = arrive(wire);
  check(sent, receive(world.pair.bob, arrived).packets);
}

TEST_P(IpCompModes, SegmentsShrinkOneByOne) {
  const Bytes data = text(20'000);
  const bool six = !world.flow.source.is_v4();
  const CollectingWire wire = world.pair.alice_sends(
      {tcp_packet(world.flow, 1, 0x10, data)},
      {.segmentation = six ? Offload::Segmentation::tcp6 : Offload::Segmentation::tcp4, .segment_size = 1000});
  std::vector<Arrived> arrived = arrive(wire);
  ASSERT_EQ(arrived.size(), 20U);
  for (const Arrived& one : arrived) EXPECT_LT(one.bytes.size(), 300U);
  const CollectingInner inner = receive(world.pair.bob, arrived);
  ASSERT_EQ(inner.packets.size(), 20U);
  const std::size_t headers = six ? 60 : 40;
  for (std::size_t i = 0; i < 20; ++i) {
    const ByteView packet(inner.packets[i]);
    ASSERT_EQ(packet.size(), headers + 1000);
    EXPECT_TRUE(equal(packet.subspan(headers), ByteView(data).subspan(i * 1000, 1000)));
  }
}

TEST_P(IpCompModes, HeadersWithOptionsArrive) {
  if (in_udp_transport()) return;  // the kernel's header in front of UDP has none
  Bytes packet = udp_packet(world.flow, text(1000));
  packet = GetParam().inner == Family::v4
               ? with_options(packet, Bytes{0x94, 4, 0, 0, 1, 1, 1, 0})
               : with_extension(packet, net::IpProtocol::hop_by_hop, {0, 0, 1, 4, 0, 0, 0, 0});
  const CollectingWire wire = world.pair.alice_sends({packet});
  std::vector<Arrived> arrived = arrive(wire);
  ASSERT_EQ(arrived.size(), 1U);
  EXPECT_LT(arrived[0].bytes.size(), 400U);
  check({packet}, receive(world.pair.bob, arrived).packets);
}

// RFC 3173 3: AH's next header is IPComp, whose next header is the payload's; the length fields are those after it.
TEST_P(IpCompModes, OnTheWire) {
  if (GetParam().protocol != ProtocolId::ah) return;
  std::vector<Arrived> arrived = arrive(world.pair.alice_sends({udp_packet(world.flow, text(1000))}));
  ASSERT_EQ(arrived.size(), 1U);
  const ByteView ah(arrived[0].bytes);
  EXPECT_EQ(ah[0], 108);
  const std::size_t size = (std::size_t{ah[1]} + 2) * 4;
  const std::uint8_t upper = GetParam().mode != Mode::tunnel ? 17 : GetParam().inner == Family::v4 ? 4 : 41;
  EXPECT_EQ(ah[size], upper);
  EXPECT_EQ(ah[size + 1], 0);
  EXPECT_EQ(load_be16(ah.data() + size + 2), kBobCpi);
}

// RFC 3173 2.1: compression comes before ESP and AH, so what is one already is left alone.
TEST_P(IpCompModes, EspIsLeftAlone) {
  if (GetParam().protocol != ProtocolId::ah || GetParam().mode == Mode::tunnel) return;
  for (const auto protocol : {net::IpProtocol::esp, net::IpProtocol::ah, net::IpProtocol::ipcomp}) {
    std::vector<Arrived> arrived = arrive(world.pair.alice_sends({with_ip_header(world.flow, protocol, text(1000))}));
    ASSERT_EQ(arrived.size(), 1U);
    EXPECT_EQ(arrived[0].bytes[0], static_cast<std::uint8_t>(protocol));
    EXPECT_GT(arrived[0].bytes.size(), 1000U);
  }
}

// What would have been cut and has become short enough goes whole.
TEST_P(IpCompModes, ShrunkBelowThePath) {
  auto [a, b] = world.make_pair(2, world.suite());
  a.treatment.compress = true;
  a.ipcomp = model::IpCompParams{kAliceCpi, kBobCpi};
  b.ipcomp = model::IpCompParams{kBobCpi, kAliceCpi};
  a.path_mtu = 1400;
  a.treatment.outer.fragmentation = model::Fragmentation::after;
  a.treatment.outer.dont_fragment = model::DontFragment::clear;
  ASSERT_TRUE(world.pair.alice.install(std::move(a), world.pair.now));
  ASSERT_TRUE(world.pair.bob.install(std::move(b), world.pair.now));
  // What the kernel cuts, and IPv6 packets, which routers may not, are other matters.
  if (GetParam().protocol != ProtocolId::ah || GetParam().inner != Family::v4) return;
  const std::vector<Bytes> sent{udp_packet(world.flow, text(3000)), udp_packet(world.flow, text(3000))};
  std::vector<Arrived> arrived = arrive(world.pair.alice_sends(sent));
  EXPECT_EQ(arrived.size(), 2U);
  check(sent, receive(world.pair.bob, arrived).packets);
  const CollectingWire wire = world.pair.alice_sends({udp_packet(world.flow, random_bytes(world.pair.random, 3000))});
  EXPECT_EQ(wire.packets().size(), 3U) << "and what does not shrink is still cut";
}

// RFC 4301 5.2: only ESP and AH that stand in front of everything else are opened.
TEST_P(IpCompModes, EspInsideIsRefused) {
  if (GetParam().protocol != ProtocolId::esp || GetParam().encapsulation != model::Encapsulation::none) return;
  auto [a, b] = world.make_pair(2, world.suite());
  b.ipcomp = model::IpCompParams{kBobCpi, kAliceCpi};
  RawSealer sealer(b.spi_inbound, b.suite, b.inbound);
  ASSERT_TRUE(world.pair.bob.install(std::move(b), world.pair.now));
  IpComp ipcomp;
  Bytes datagram(1000);
  datagram.resize(ipcomp.compress(text(1000), 50, kBobCpi, datagram.data()).value());
  const net::Path& path = world.pair.path;
  const Flow outer{path.local.address, path.remote.address};
  std::vector<Arrived> arrived{arrive_whole(
      path, with_ip_header(outer, net::IpProtocol::esp, sealer.seal_inner(1, datagram, net::IpProtocol::ipcomp)))};
  EXPECT_TRUE(receive(world.pair.bob, arrived).packets.empty());
  EXPECT_EQ(drops(world.pair.bob, "bad_next_header"), 1U);
}

}  // namespace
}  // namespace culvert::ipsec
