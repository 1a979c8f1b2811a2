#include "ipsec/segment_coalescer.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/testing/super_packets.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

class Coalescing : public testing::TestWithParam<net::Family> {
 protected:
  Flow flow() const {
    if (GetParam() == net::Family::v4) return {.source = address("10.1.0.1"), .destination = address("10.2.0.1")};
    return {.source = address("2001:db8:1::1"), .destination = address("2001:db8:2::1")};
  }
  Flow numbered(std::size_t index) const {
    Flow result = flow();
    result.identification = static_cast<std::uint16_t>(0xfff0 + index);
    return result;
  }
  // What comes out for packets that stood in one buffer, gaps between them; the same whether each packet is looked at
  // or first taken for one that follows.
  const std::vector<InnerPacket>& join(const std::vector<Bytes>& packets, bool udp = true) {
    Bytes unseen;
    std::vector<InnerPacket> plain;
    std::vector<Bytes> plain_bytes;
    run(packets, udp, false, unseen, plain, plain_bytes);
    run(packets, udp, true, buffer_, list_, bytes_);
    EXPECT_EQ(plain.size(), list_.size());
    for (std::size_t i = 0; i < std::min(plain.size(), list_.size()); ++i) {
      EXPECT_EQ(to_bytes(plain[i].bytes), to_bytes(list_[i].bytes)) << i;
      EXPECT_EQ(plain[i].offload.segment_size, list_[i].offload.segment_size) << i;
      EXPECT_EQ(plain[i].offload.checksum_valid, list_[i].offload.checksum_valid) << i;
    }
    return list_;
  }
  // Pieces put together.
  static void run(const std::vector<Bytes>& packets, bool udp, bool follow, Bytes& buffer,
                  std::vector<InnerPacket>& whole, std::vector<Bytes>& bytes) {
    std::size_t size = 0;
    for (const Bytes& packet : packets) size += packet.size() + kGap;
    buffer.assign(size, 0xdd);
    std::vector<InnerPacket> list;
    SegmentCoalescer coalescer(udp);
    std::size_t at = kGap;
    for (const Bytes& packet : packets) {
      std::copy(packet.begin(), packet.end(), buffer.begin() + static_cast<std::ptrdiff_t>(at));
      const MutableByteView view = MutableByteView(buffer).subspan(at, packet.size());
      at += packet.size() + kGap;
      // What stands behind the packet is traffic flow confidentiality padding.
      const MutableByteView text{view.data(), view.size() + kGap / 2};
      if (follow && coalescer.follow(text.first(std::min(text.size(), buffer.size() - (at - kGap - packet.size()))),
                                     buffer.data())) {
        continue;
      }
      coalescer.add(view, net::parse_packet(view).value(), buffer.data(), list);
    }
    coalescer.finish(list);
    put_together(list, whole, bytes);
  }
  // So many octets of TCP options in front of the payload, all of them NOP.
  static Bytes with_options(Bytes packet, std::size_t options) {
    const std::size_t tcp = net::ip_header_size(GetParam());
    packet.insert(packet.begin() + static_cast<std::ptrdiff_t>(tcp + net::kTcpHeaderSize), options, 1);
    packet[tcp + 12] = static_cast<std::uint8_t>((net::kTcpHeaderSize + options) / 4 << 4);
    const std::size_t at = GetParam() == net::Family::v4 ? 2 : 4;
    store_be16(packet.data() + at, static_cast<std::uint16_t>(load_be16(packet.data() + at) + options));
    correct(packet);
    return packet;
  }
  // Makes TCP's checksum right, and that of IPv4's header.
  static void correct(Bytes& packet) {
    const bool v4 = GetParam() == net::Family::v4;
    const std::size_t tcp = net::ip_header_size(GetParam());
    const ByteView addresses = v4 ? ByteView(packet).subspan(12, 8) : ByteView(packet).subspan(8, 32);
    const ByteView segment = ByteView(packet).subspan(tcp);
    store_be16(packet.data() + tcp + 16, 0);
    const std::uint64_t sum = net::checksum_add(net::checksum_add(0, addresses) + 6 + segment.size(), segment);
    store_be16(packet.data() + tcp + 16, net::checksum_finish(sum));
    if (!v4) return;
    store_be16(packet.data() + 10, 0);
    store_be16(packet.data() + 10, net::ipv4_header_checksum(ByteView(packet).first(tcp)));
  }
  // Whether the other is joined to the first, behind it in its buffer; if not, both are as they were.
  static bool follows(const Bytes& first, const Bytes& other, std::size_t gap) {
    Bytes buffer = first;
    buffer.insert(buffer.end(), gap, 0xdd);
    buffer.insert(buffer.end(), other.begin(), other.end());
    std::vector<InnerPacket> list;
    SegmentCoalescer coalescer(true);
    const MutableByteView front = MutableByteView(buffer).first(first.size());
    coalescer.add(front, net::parse_packet(front).value(), buffer.data(), list);
    const bool joined = coalescer.follow(MutableByteView(buffer).last(other.size()), buffer.data());
    coalescer.finish(list);
    EXPECT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].bytes.size(), first.size() + (joined ? other.size() - payload_at(other) : 0));
    if (!joined) {
      EXPECT_EQ(to_bytes(front), first);
      EXPECT_EQ(to_bytes(ByteView(buffer).last(other.size())), other);
    }
    return joined;
  }
  static std::size_t payload_at(const Bytes& packet) {
    const std::size_t tcp = net::ip_header_size(GetParam());
    return tcp + std::size_t{4} * (packet[tcp + 12] >> 4);
  }

  Bytes buffer_;
  std::vector<InnerPacket> list_;
  std::vector<Bytes> bytes_;
};

// IPv6 has no header checksum.
class CoalescingIpv4 : public Coalescing {};

INSTANTIATE_TEST_SUITE_P(Ipv4, CoalescingIpv4, ::testing::Values(net::Family::v4));
INSTANTIATE_TEST_SUITE_P(Both, Coalescing, testing::Values(net::Family::v4, net::Family::v6));

TEST_P(Coalescing, ConsecutiveSegmentsBecomeOneAndCutAgainTheSame) {
  SeededRandom random(8);
  for (const std::size_t last : {1UL, 500UL, 1000UL}) {
    std::vector<Bytes> packets;
    for (std::uint32_t i = 0; i < 40; ++i) {
      packets.push_back(tcp_packet(numbered(i), 0xffff'f000 + i * 1000, i == 39 ? kAckPush : kAck,
                                   random_bytes(random, i == 39 ? last : 1000)));
    }
    const auto& list = join(packets);
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].offload.segment_size, 1000U);
    EXPECT_TRUE(list[0].offload.checksum_partial);
    EXPECT_EQ(list[0].offload.header_length, packets[0].size() - 1000);
    EXPECT_EQ(net::parse_packet(list[0].bytes)->total_length, list[0].bytes.size());
    EXPECT_EQ(cut(list), packets);
  }
}

TEST_P(Coalescing, AnythingDifferentStaysApart) {
  const Bytes payload(100, 1);
  const Bytes base = tcp_packet(numbered(0), 1, kAck, payload);
  const Bytes next = tcp_packet(numbered(1), 101, kAck, payload);
  ASSERT_EQ(join({base, next}).size(), 1U);

  std::vector<Bytes> others;
  others.push_back(tcp_packet(numbered(1), 102, kAck, payload));        // a gap
  others.push_back(tcp_packet(numbered(1), 1, kAck, payload));          // the same again
  others.push_back(tcp_packet(numbered(1), 101, kAck, Bytes(101, 1)));  // longer
  for (const int flags : {0x00, 0x11, 0x12, 0x14, 0x30, 0x50, 0x90}) {
    others.push_back(tcp_packet(numbered(1), 101, static_cast<std::uint8_t>(flags), payload));
  }
  Flow other = numbered(1);
  other.source_port += 1;
  others.push_back(tcp_packet(other, 101, kAck, payload));
  other = numbered(1);
  other.tos = 3;
  others.push_back(tcp_packet(other, 101, kAck, payload));
  others.push_back(udp_packet(numbered(1), payload));
  others.push_back(tcp_packet(numbered(1), 101, kAck, {}));
  Bytes window = next;
  const std::size_t tcp = net::ip_header_size(GetParam());
  store_be16(window.data() + tcp + 14, 0xfff1);
  store_be16(window.data() + tcp + 16, static_cast<std::uint16_t>(load_be16(window.data() + tcp + 16) - 1));
  others.push_back(window);
  Bytes hops = next;
  net::set_ttl(hops, 63);
  others.push_back(hops);
  if (GetParam() == net::Family::v4) others.push_back(tcp_packet(numbered(2), 101, kAck, payload));  // identification
  for (std::size_t i = 0; i < others.size(); ++i) {
    const auto& list = join({base, others[i]});
    ASSERT_EQ(list.size(), 2U) << i;
    EXPECT_EQ(to_bytes(list[0].bytes), base) << i;
    EXPECT_EQ(to_bytes(list[1].bytes), others[i]) << i;
    EXPECT_FALSE(list[0].offload.checksum_partial || list[1].offload.checksum_partial) << i;
  }
}

// With checksums that fit, so that it is for the bit alone; and as damage that must not be covered up.
TEST_P(Coalescing, NoBitOfTheHeadersMayDiffer) {
  const bool v4 = GetParam() == net::Family::v4;
  const std::size_t tcp = net::ip_header_size(GetParam());
  for (const std::size_t options : {0U, 4U, 12U, 40U}) {
    for (const bool dont_fragment : {false, true}) {
      Flow first = numbered(0);
      Flow second = numbered(1);
      first.dont_fragment = second.dont_fragment = dont_fragment;
      const Bytes base = with_options(tcp_packet(first, 1, kAck, Bytes(100, 1)), options);
      const Bytes next = with_options(tcp_packet(second, 101, kAck, Bytes(100, 1)), options);
      ASSERT_TRUE(follows(base, next, kGap));
      for (std::size_t bit = 0; bit < 8 * payload_at(next); ++bit) {
        const std::size_t at = bit / 8;
        // Lengths, and checksums, which are made right again.
        if (at == tcp + 16 || at == tcp + 17) continue;
        if (v4 ? at == 2 || at == 3 || at == 10 || at == 11 : at == 4 || at == 5) continue;
        Bytes other = next;
        other[at] ^= static_cast<std::uint8_t>(0x80 >> bit % 8);
        ASSERT_FALSE(follows(base, other, kGap)) << bit << ", which its checksum knows nothing of";
        correct(other);
        // RFC 6864: with DF an identification means nothing.
        const bool may = (at == tcp + 13 && bit % 8 == 4) || (v4 && dont_fragment && (at == 4 || at == 5));
        ASSERT_EQ(follows(base, other, kGap), may) << bit << " with " << options << " octets of options";
      }
    }
  }
}

// The payload moves before the checksum is known; what turns out to be damaged is as it came all the same.
TEST_P(Coalescing, WhatIsDamagedStaysAsItCame) {
  for (const std::size_t options : {0U, 4U, 12U, 40U}) {
    for (const std::size_t size : {1U, 15U, 16U, 100U, 1400U}) {
      for (const std::size_t gap : {0U, 1U, 20U, 60U}) {
        const Bytes base = with_options(tcp_packet(numbered(0), 1, kAck, Bytes(1400, 1)), options);
        Bytes next = with_options(tcp_packet(numbered(1), 1401, kAck, Bytes(size, 2)), options);
        ASSERT_TRUE(follows(base, next, gap));
        next.back() ^= 4;
        ASSERT_FALSE(follows(base, next, gap)) << size << " octets " << gap << " behind, " << options << " of options";
      }
    }
  }
}

TEST_P(Coalescing, WhatIsCutOffOrDamagedInAnotherBufferDoesNotFollow) {
  Bytes base = tcp_packet(numbered(0), 1, kAck, Bytes(100, 1));
  Bytes next = tcp_packet(numbered(1), 101, kAck, Bytes(100, 1));
  std::vector<InnerPacket> list;
  SegmentCoalescer coalescer(true);
  coalescer.add(base, net::parse_packet(base).value(), base.data(), list);
  EXPECT_FALSE(coalescer.follow(MutableByteView(next).first(next.size() - 1), next.data()));
  next.back() ^= 4;
  EXPECT_FALSE(coalescer.follow(next, next.data()));
  next.back() ^= 4;
  EXPECT_TRUE(coalescer.follow(next, next.data()));
}

// IP has no longer ones.
TEST_P(Coalescing, ASuperPacketHasItsEndAtTheLongestPacket) {
  std::vector<Bytes> packets;
  for (std::uint32_t i = 0; i < 50; ++i) {
    packets.push_back(tcp_packet(numbered(i), 1 + i * 1400, kAck, Bytes(1400, 1)));
  }
  const auto& list = join(packets);
  EXPECT_EQ(list.size(), 2U);
  EXPECT_EQ(cut(list), packets);
}

// Damage that happened before the tunnel must stay visible.
TEST_P(Coalescing, WrongChecksumsAreNotCoveredUp) {
  const Bytes payload(100, 1);
  const Bytes base = tcp_packet(numbered(0), 1, kAck, payload);
  Bytes damaged = tcp_packet(numbered(1), 101, kAck, payload);
  damaged.back() ^= 4;
  const Bytes after = tcp_packet(numbered(2), 201, kAck, payload);
  const auto& list = join({base, damaged, after});
  ASSERT_EQ(list.size(), 3U);
  EXPECT_TRUE(list[0].offload.checksum_valid);
  EXPECT_FALSE(list[1].offload.checksum_valid);
  EXPECT_EQ(to_bytes(list[1].bytes), damaged);
}

// A super-packet's header gets a new checksum, so a header with a wrong one must not become part of it.
TEST_P(CoalescingIpv4, WrongHeaderChecksumsAreNotCoveredUp) {
  const Bytes payload(100, 1);
  for (const std::size_t which : {0UL, 1UL}) {
    std::vector<Bytes> packets{tcp_packet(numbered(0), 1, kAck, payload), tcp_packet(numbered(1), 101, kAck, payload)};
    packets[which][11] ^= 1;
    const auto& list = join(packets);
    ASSERT_EQ(list.size(), 2U) << which;
    EXPECT_EQ(to_bytes(list[which].bytes), packets[which]);
    EXPECT_FALSE(list[which].offload.checksum_valid);
  }
}

TEST_P(Coalescing, PushAndShorterSegmentsEndASuperPacket) {
  const Bytes payload(100, 1);
  const std::vector<Bytes> packets = {
      tcp_packet(numbered(0), 1, kAck, payload),       tcp_packet(numbered(1), 101, kAckPush, payload),
      tcp_packet(numbered(2), 201, kAck, payload),     tcp_packet(numbered(3), 301, kAck, Bytes(99, 2)),
      tcp_packet(numbered(4), 400, kAckPush, payload), tcp_packet(numbered(5), 500, kAck, payload)};
  const auto& list = join(packets);
  EXPECT_EQ(list.size(), 4U);
  EXPECT_EQ(cut(list), packets);
}

TEST_P(Coalescing, DatagramsOfOneSizeBecomeOneAndCutAgainTheSame) {
  SeededRandom random(9);
  for (const std::size_t last : {1UL, 64UL}) {
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i < 40; ++i) {
      packets.push_back(udp_packet(numbered(i), random_bytes(random, i == 39 ? last : 64)));
    }
    const auto& list = join(packets);
    ASSERT_EQ(list.size(), 1U);
    EXPECT_EQ(list[0].offload.segmentation, Offload::Segmentation::udp);
    EXPECT_EQ(list[0].offload.segment_size, 64U);
    EXPECT_EQ(list[0].offload.header_length, packets[0].size() - 64);
    EXPECT_EQ(list[0].offload.checksum_offset, 6U);
    EXPECT_EQ(cut(list), packets);
    EXPECT_EQ(join(packets, false).size(), 40U);
  }
}

// Each in a receive buffer of its own, or some together: the same packets come out, in pieces.
TEST_P(Coalescing, PacketsOfSeveralBuffersBecomeOneInPieces) {
  SeededRandom random(10);
  for (const std::size_t per_buffer : {1UL, 3UL}) {
    std::vector<Bytes> packets;
    std::vector<Bytes> buffers;
    buffers.reserve(100);
    std::vector<InnerPacket> list;
    SegmentCoalescer coalescer(true);
    for (std::uint32_t i = 0; i < 99; ++i) {
      packets.push_back(tcp_packet(numbered(i), 1 + 100 * i, kAck, random_bytes(random, 100)));
      if (i % per_buffer == 0) buffers.emplace_back();
      Bytes& buffer = buffers.back();
      buffer.reserve(10 * (packets.back().size() + kGap));
      buffer.insert(buffer.end(), packets.back().begin(), packets.back().end());
      const MutableByteView view = MutableByteView(buffer).last(packets.back().size());
      if (i % 2 == 0 || !coalescer.follow(view, buffer.data())) {
        coalescer.add(view, net::parse_packet(view).value(), buffer.data(), list);
      }
      buffer.insert(buffer.end(), kGap, 0xdd);
    }
    // What has as many pieces as a packet may have is complete, the others are not.
    EXPECT_EQ(list.size(), per_buffer == 1 ? kMaxPieces : 0UL);
    coalescer.finish(list);
    std::vector<Bytes> joined;
    std::vector<InnerPacket> whole;
    put_together(list, whole, joined);
    EXPECT_EQ(whole.size(), per_buffer == 1 ? 2U : 1U);
    EXPECT_EQ(cut(whole), packets);
  }
}

TEST_P(Coalescing, DatagramsThatDifferStayApart) {
  const Bytes payload(100, 1);
  const Bytes base = udp_packet(numbered(0), payload);
  const Bytes next = udp_packet(numbered(1), payload);
  ASSERT_EQ(join({base, next}).size(), 1U);
  std::vector<Bytes> others;
  others.push_back(udp_packet(numbered(1), Bytes(101, 1)));  // longer
  others.push_back(udp_packet(numbered(1), {}));
  for (const bool source : {false, true}) {
    Flow other = numbered(1);
    (source ? other.source_port : other.destination_port) += 1;
    others.push_back(udp_packet(other, payload));
  }
  Flow other = numbered(1);
  other.tos = 3;
  others.push_back(udp_packet(other, payload));
  const std::size_t udp = net::ip_header_size(GetParam());
  Bytes without = next;  // no checksum
  store_be16(without.data() + udp + 6, 0);
  others.push_back(without);
  Bytes damaged = next;
  damaged.back() ^= 1;
  others.push_back(damaged);
  Bytes shorter = next;  // UDP's own length leaves a rest; the checksum covers what IP says
  store_be16(shorter.data() + udp + 4, 107);
  store_be16(shorter.data() + udp + 6, static_cast<std::uint16_t>(load_be16(shorter.data() + udp + 6) + 1));
  others.push_back(shorter);
  for (std::size_t i = 0; i < others.size(); ++i) {
    const auto& list = join({base, others[i]});
    ASSERT_EQ(list.size(), 2U) << i;
    EXPECT_EQ(to_bytes(list[0].bytes), base) << i;
    EXPECT_EQ(to_bytes(list[1].bytes), others[i]) << i;
  }
}

// The kernel takes no more in one super-packet.
TEST_P(Coalescing, DatagramsComeInSixtyFours) {
  std::vector<Bytes> packets;
  for (std::size_t i = 0; i < 130; ++i) packets.push_back(udp_packet(numbered(i), Bytes(10, 7)));
  const auto& list = join(packets);
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(cut(list), packets);
}

TEST_P(Coalescing, RandomStreamsSurvive) {
  SeededRandom random(11);
  std::size_t joined = 0;
  for (int round = 0; round < 300; ++round) {
    std::vector<Bytes> packets;
    std::uint32_t sequence[2] = {1, 0xffff'ff00};
    for (std::size_t i = 0; i < 30; ++i) {
      const std::size_t which = random.below(10) == 0 ? 1 : 0;
      Flow stream = numbered(i);
      stream.source_port = static_cast<std::uint16_t>(stream.source_port + which);
      stream.dont_fragment = true;
      const Bytes payload = random_bytes(random, random.below(6) == 0 ? random.below(1400) : 1400);
      packets.push_back(tcp_packet(stream, sequence[which], random.below(8) == 0 ? kAckPush : kAck, payload));
      if (random.below(20) != 0) sequence[which] += static_cast<std::uint32_t>(payload.size());
    }
    const auto& list = join(packets);
    joined += packets.size() - list.size();
    std::vector<Bytes> again = cut(list);
    ASSERT_EQ(again.size(), packets.size());
    // Of different flows the order may be another one.
    const std::size_t port = net::ip_header_size(GetParam()) + 1;
    for (std::vector<Bytes>* const all : {&again, &packets}) {
      std::ranges::stable_sort(*all, {}, [&](const Bytes& packet) { return packet[port]; });
    }
    // With DF the identification means nothing and is counted up by whoever cuts.
    for (std::size_t i = 0; i < again.size(); ++i) {
      if (GetParam() == net::Family::v4) {
        for (Bytes* packet : {&again[i], &packets[i]}) {
          store_be16(packet->data() + 4, 0);
          store_be16(packet->data() + 10, 0);
        }
      }
      ASSERT_EQ(again[i], packets[i]) << i;
    }
  }
  EXPECT_GT(joined, 2000U);
}

}  // namespace
}  // namespace culvert::ipsec
