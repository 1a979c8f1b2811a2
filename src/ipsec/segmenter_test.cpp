#include "ipsec/segmenter.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using Segmentation = Offload::Segmentation;

Result<std::vector<Bytes>, DropReason> cut(Bytes packet, const Offload& offload) {
  const auto info = net::parse_packet(packet);
  EXPECT_TRUE(info.has_value());
  const auto plan = Segmenter::make({packet, offload}, *info);
  if (!plan) return err(plan.error());
  std::vector<Bytes> out;
  std::size_t total = 0;
  for (std::uint32_t i = 0; i < plan->count(); ++i) {
    out.emplace_back(plan->length(i));
    plan->write(i, out.back().data());
    total += out.back().size();
  }
  EXPECT_EQ(total, plan->total_length());
  return out;
}

Flow flow_of(net::Family family) {
  if (family == net::Family::v4) return {.source = address("10.1.0.1"), .destination = address("10.2.0.1")};
  return {.source = address("2001:db8:1::1"), .destination = address("2001:db8:2::1")};
}

// As TUN hands it over: the checksum field holds the sum of the pseudo header only.
Bytes with_partial_checksum(Bytes packet, std::size_t field_offset) {
  const net::PacketInfo info = net::parse_packet(packet).value();
  const std::uint64_t pseudo =
      net::pseudo_header_sum(info.source, info.destination, info.protocol, info.total_length - info.header_length);
  store_be16(packet.data() + info.header_length + field_offset,
             static_cast<std::uint16_t>(~net::checksum_finish(pseudo)));
  return packet;
}

Bytes slice(const Bytes& bytes, std::size_t from, std::size_t count) {
  const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(from);
  return {begin, begin + static_cast<std::ptrdiff_t>(std::min(count, bytes.size() - from))};
}

class SegmenterFamilies : public testing::TestWithParam<net::Family> {};
INSTANTIATE_TEST_SUITE_P(Both, SegmenterFamilies, testing::Values(net::Family::v4, net::Family::v6));

TEST_P(SegmenterFamilies, TcpSegmentsAreWhatTheSenderWouldHaveSent) {
  SeededRandom random(4);
  Flow flow = flow_of(GetParam());
  flow.identification = 0xfffe;  // wraps on the way
  const Segmentation kind = GetParam() == net::Family::v4 ? Segmentation::tcp4 : Segmentation::tcp6;
  constexpr std::uint8_t kCwrAckPshFin = 0x80 | 0x10 | 0x08 | 0x01;
  for (const std::size_t size : {1UL, 999UL, 1000UL, 1001UL, 2000UL, 7777UL, 65000UL}) {
    const Bytes payload = random_bytes(random, size);
    constexpr std::uint32_t kSequence = 0xffff'f000;  // wraps too
    const Bytes super = with_partial_checksum(tcp_packet(flow, kSequence, kCwrAckPshFin, payload), 16);
    const auto segments = cut(super, {.segmentation = kind, .segment_size = 1000, .checksum_partial = true});
    ASSERT_TRUE(segments.has_value());
    ASSERT_EQ(segments->size(), (size + 999) / 1000);
    for (std::size_t i = 0; i < segments->size(); ++i) {
      std::uint8_t flags = kCwrAckPshFin;
      if (i != 0) flags &= 0x7f;
      if (i + 1 != segments->size()) flags &= static_cast<std::uint8_t>(~0x09);
      Flow expected = flow;
      expected.identification = static_cast<std::uint16_t>(flow.identification + i);
      EXPECT_EQ((*segments)[i], tcp_packet(expected, static_cast<std::uint32_t>(kSequence + i * 1000), flags,
                                           slice(payload, i * 1000, 1000)));
    }
  }
}

TEST_P(SegmenterFamilies, UdpSegmentsAreDatagrams) {
  SeededRandom random(5);
  const Flow flow = flow_of(GetParam());
  const Bytes payload = random_bytes(random, 12345);
  const auto segments = cut(with_partial_checksum(udp_packet(flow, payload), 6),
                            {.segmentation = Segmentation::udp, .segment_size = 1200, .checksum_partial = true});
  ASSERT_TRUE(segments.has_value());
  ASSERT_EQ(segments->size(), 11U);
  for (std::size_t i = 0; i < segments->size(); ++i) {
    Flow expected = flow;
    expected.identification = static_cast<std::uint16_t>(flow.identification + i);
    EXPECT_EQ((*segments)[i], udp_packet(expected, slice(payload, i * 1200, 1200)));
  }
}

TEST_P(SegmenterFamilies, PartialChecksumsAreCompleted) {
  SeededRandom random(6);
  const Flow flow = flow_of(GetParam());
  const auto start = static_cast<std::uint16_t>(net::ip_header_size(GetParam()));
  for (const std::size_t size : {0UL, 1UL, 2UL, 1357UL}) {
    const Bytes payload = random_bytes(random, size);
    const Bytes udp = udp_packet(flow, payload);
    const auto whole_udp =
        cut(with_partial_checksum(udp, 6), {.checksum_partial = true, .checksum_start = start, .checksum_offset = 6});
    ASSERT_TRUE(whole_udp.has_value());
    EXPECT_EQ(whole_udp->at(0), udp);
    const Bytes tcp = tcp_packet(flow, 1, 0x10, payload);
    const auto whole_tcp =
        cut(with_partial_checksum(tcp, 16), {.checksum_partial = true, .checksum_start = start, .checksum_offset = 16});
    ASSERT_TRUE(whole_tcp.has_value());
    EXPECT_EQ(whole_tcp->at(0), tcp);
  }
}

// RFC 768: a sum of zero goes out as all ones; zero would mean "no checksum".
TEST_P(SegmenterFamilies, UdpChecksumIsNeverZero) {
  const Flow flow = flow_of(GetParam());
  const auto start = static_cast<std::uint16_t>(net::ip_header_size(GetParam()));
  bool met = false;
  for (std::uint32_t value = 0; value < 0x10000 && !met; ++value) {
    const Bytes packet =
        udp_packet(flow, Bytes{static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)});
    if (load_be16(packet.data() + start + 6) != 0xffff) continue;
    met = true;
    const auto whole = cut(with_partial_checksum(packet, 6),
                           {.checksum_partial = true, .checksum_start = start, .checksum_offset = 6});
    ASSERT_TRUE(whole.has_value());
    EXPECT_EQ(whole->at(0), packet);
  }
  EXPECT_TRUE(met);
}

TEST_P(SegmenterFamilies, PlainPacketStaysAndLosesItsPadding) {
  const Bytes packet = udp_packet(flow_of(GetParam()), as_bytes("abc"));
  Bytes padded = packet;
  padded.insert(padded.end(), 7, 0);
  const auto out = cut(padded, {});
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(*out, std::vector<Bytes>{packet});
}

TEST_P(SegmenterFamilies, OffloadFactsThatDoNotFitAreRefused) {
  const Flow flow = flow_of(GetParam());
  const bool v4 = GetParam() == net::Family::v4;
  const Bytes tcp = tcp_packet(flow, 1, 0x10, Bytes(3000));
  const Bytes udp = udp_packet(flow, Bytes(3000));
  const Segmentation right = v4 ? Segmentation::tcp4 : Segmentation::tcp6;
  const Segmentation other = v4 ? Segmentation::tcp6 : Segmentation::tcp4;
  Bytes longer = tcp;
  longer.push_back(0);
  const auto refused = [](const Bytes& packet, const Offload& offload) {
    const auto result = cut(packet, offload);
    return !result && result.error() == DropReason::offload_mismatch;
  };
  EXPECT_TRUE(refused(tcp, {.segmentation = right, .segment_size = 0}));
  EXPECT_TRUE(refused(tcp, {.segmentation = other, .segment_size = 1000}));
  EXPECT_TRUE(refused(tcp, {.segmentation = Segmentation::udp, .segment_size = 1000}));
  EXPECT_TRUE(refused(udp, {.segmentation = right, .segment_size = 1000}));
  EXPECT_TRUE(refused(longer, {.segmentation = right, .segment_size = 1000}));
  const auto end = static_cast<std::uint16_t>(tcp.size());
  EXPECT_TRUE(refused(tcp, {.checksum_partial = true, .checksum_start = end, .checksum_offset = 0}));
  EXPECT_TRUE(refused(tcp, {.checksum_partial = true, .checksum_start = 60, .checksum_offset = 0xffff}));
  EXPECT_TRUE(refused(tcp, {.checksum_partial = true, .checksum_start = 0, .checksum_offset = 16}));
}

}  // namespace
}  // namespace culvert::ipsec
