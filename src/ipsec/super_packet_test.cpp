#include "ipsec/super_packet.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"
#include "ipsec/segment_coalescer.hpp"
#include "ipsec/testing/super_packets.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

constexpr std::size_t kTcpFlagsAt = 13;

// Packets of some flows in one receive buffer after the other, and what becomes of them.
class SuperPackets : public testing::TestWithParam<net::Family> {
 protected:
  Bytes segment(std::size_t flow, std::uint8_t flags, ByteView payload) {
    if (next_.size() <= flow) next_.resize(flow + 1, 0xffff'f000);
    Flow one;
    if (GetParam() == net::Family::v4) {
      one = {.source = address("10.1.0.1"), .destination = address("10.2.0.1")};
    } else {
      one = {.source = address("2001:db8:1::1"), .destination = address("2001:db8:2::1")};
    }
    one.source_port = static_cast<std::uint16_t>(1000 + flow);
    one.dont_fragment = true;
    const std::uint32_t sequence = next_[flow];
    next_[flow] += static_cast<std::uint32_t>(payload.size());
    return tcp_packet(one, sequence, flags, payload);
  }
  void add(const Bytes& packet) {
    if (at_ + packet.size() + kGap > kBuffer) {
      buffers_.emplace_back(kBuffer, 0xdd);
      at_ = 0;
    }
    const MutableByteView view = MutableByteView(buffers_.back()).subspan(at_, packet.size());
    std::ranges::copy(packet, view.begin());
    at_ += packet.size() + kGap;
    if (coalescer_.follow(view, buffers_.back().data())) return;
    coalescer_.add(view, net::parse_packet(view).value(), buffers_.back().data(), list_);
  }
  const std::vector<InnerPacket>& finish() {
    coalescer_.finish(list_);
    put_together(list_, whole_, bytes_);
    return whole_;
  }
  std::size_t headers() const { return net::ip_header_size(GetParam()) + net::kTcpHeaderSize; }
  std::uint16_t port_of(ByteView packet) const { return load_be16(packet.data() + net::ip_header_size(GetParam())); }

  static constexpr std::size_t kBuffer = 65536;
  SeededRandom random_{12};
  SegmentCoalescer coalescer_{true};
  std::vector<std::uint32_t> next_;  // sequence numbers
  std::vector<Bytes> buffers_{Bytes(kBuffer, 0xdd)};
  std::size_t at_ = 0;
  std::vector<InnerPacket> list_;
  std::vector<InnerPacket> whole_;
  std::vector<Bytes> bytes_;
};

// Where there is nothing of the kind in IPv6, or it looks otherwise.
class SuperPacketsOfIpv4 : public SuperPackets {};

INSTANTIATE_TEST_SUITE_P(Ipv4, SuperPacketsOfIpv4, testing::Values(net::Family::v4));
INSTANTIATE_TEST_SUITE_P(Both, SuperPackets, testing::Values(net::Family::v4, net::Family::v6));

// What lies between two packets of a flow in their buffer is still wanted.
TEST_P(SuperPackets, FlowsBetweenEachOtherAreJoinedEachForItself) {
  std::vector<std::vector<Bytes>> sent(4);
  for (std::size_t i = 0; i < 160; ++i) {
    const std::size_t flow = random_.below(4);
    sent[flow].push_back(segment(flow, kAck, random_bytes(random_, 1000)));
    add(sent[flow].back());
  }
  ASSERT_EQ(finish().size(), 4U);
  for (const InnerPacket& super : whole_) {
    std::vector<Bytes>& of_flow = sent[port_of(super.bytes) - 1000];
    std::vector<Bytes> again = cut({super});
    for (std::vector<Bytes>* const all : {&again, &of_flow}) {
      for (Bytes& packet : *all) {
        if (GetParam() == net::Family::v6) continue;
        store_be16(packet.data() + 4, 0);  // identifications mean nothing with DF
        store_be16(packet.data() + 10, 0);
      }
    }
    EXPECT_EQ(again, of_flow);
  }
}

TEST_P(SuperPackets, WhatIsNotJoinedComesBehindWhatCameBeforeOfItsFlow) {
  for (std::size_t flow = 0; flow < 3; ++flow) {
    add(segment(flow, kAck, Bytes(100, 1)));
    add(segment(flow, kAck, Bytes(100, 2)));
  }
  const Bytes fin = segment(1, 0x11, Bytes(100, 3));
  add(fin);
  ASSERT_EQ(list_.size(), 2U);
  EXPECT_EQ(port_of(list_[0].bytes), 1001);
  EXPECT_EQ(list_[0].bytes.size(), headers() + 200);
  EXPECT_EQ(to_bytes(list_[1].bytes), fin);
  // The others still grow.
  add(segment(2, kAck, Bytes(100, 4)));
  add(segment(0, kAck, Bytes(100, 4)));
  ASSERT_EQ(finish().size(), 4U);
  EXPECT_EQ(port_of(whole_[2].bytes), 1000);
  EXPECT_EQ(whole_[2].bytes.size(), headers() + 300);
  EXPECT_EQ(whole_[3].bytes.size(), headers() + 300);
}

// Of a fragment nobody knows whose it is: it may be of any flow between its addresses.
TEST_P(SuperPacketsOfIpv4, APacketWithoutPortsComesBehindAllBetweenItsAddresses) {
  for (std::size_t flow = 0; flow < 3; ++flow) add(segment(flow, kAck, Bytes(100, 1)));
  Bytes fragment = segment(7, kAck, Bytes(100, 1));
  store_be16(fragment.data() + 6, 5);  // an offset
  store_be16(fragment.data() + 10, 0);
  store_be16(fragment.data() + 10, net::ipv4_header_checksum(ByteView(fragment).first(net::kIpv4HeaderSize)));
  add(fragment);
  ASSERT_EQ(list_.size(), 4U);
  EXPECT_EQ(to_bytes(list_[3].bytes), fragment);
}

TEST_P(SuperPackets, MoreFlowsThanThereIsRoomForLoseNothing) {
  std::vector<std::vector<Bytes>> sent(20);
  for (std::size_t i = 0; i < 400; ++i) {
    const std::size_t flow = random_.below(20);
    sent[flow].push_back(segment(flow, random_.below(5) == 0 ? kAckPush : kAck, random_bytes(random_, 200)));
    add(sent[flow].back());
  }
  finish();
  EXPECT_LT(whole_.size(), 400U);
  std::vector<std::size_t> seen(20);
  for (const Bytes& packet : cut(whole_)) {
    const std::size_t flow = port_of(packet) - 1000U;
    const Bytes& expected = sent[flow][seen[flow]++];
    EXPECT_EQ(to_bytes(ByteView(packet).subspan(headers())), to_bytes(ByteView(expected).subspan(headers())));
    EXPECT_EQ(packet[headers() - 7], expected[headers() - 7]) << "the flags";
  }
  for (std::size_t flow = 0; flow < 20; ++flow) EXPECT_EQ(seen[flow], sent[flow].size());
}

// RFC 9293 3.9.1.3. For this host's own TCP several pushes are one at the end; what is cut again differs in that alone.
TEST_P(SuperPackets, PushEndsNothingThatStaysHere) {
  coalescer_.set_joining(GetParam(), {.over_push = true});
  std::vector<Bytes> sent;
  for (std::size_t i = 0; i < 40; ++i) {
    sent.push_back(segment(0, i % 10 == 0 ? kAckPush : kAck, random_bytes(random_, 1000)));
    add(sent.back());
  }
  ASSERT_EQ(finish().size(), 1U);
  const std::vector<Bytes> again = cut(whole_);
  ASSERT_EQ(again.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(again[i][net::ip_header_size(GetParam()) + kTcpFlagsAt], i + 1 == sent.size() ? kAckPush : kAck) << i;
    EXPECT_EQ(to_bytes(ByteView(again[i]).subspan(headers())), to_bytes(ByteView(sent[i]).subspan(headers()))) << i;
  }
}

// As Linux has it: the header's length is 0, the pseudo header's is the true one.
TEST_P(SuperPacketsOfIpv4, LongOnesHaveNoLengthInTheirHeader) {
  coalescer_.set_joining(GetParam(), {.longest = kMaxSuperPacket, .over_push = true});
  Bytes sent;
  for (std::size_t i = 0; i < 300; ++i) {
    const Bytes payload = random_bytes(random_, 1348);
    sent.insert(sent.end(), payload.begin(), payload.end());
    add(segment(0, i % 90 == 89 ? kAckPush : kAck, payload));
  }
  ASSERT_EQ(finish().size(), 2U);
  EXPECT_LE(whole_[0].bytes.size(), kMaxSuperPacket);
  EXPECT_GT(whole_[0].bytes.size() + 1348, kMaxSuperPacket);
  Bytes got;
  for (const InnerPacket& super : whole_) {
    const ByteView bytes = super.bytes;
    EXPECT_EQ(load_be16(bytes.data() + 2), 0U);
    EXPECT_EQ(net::ipv4_header_checksum(bytes.first(net::kIpv4HeaderSize)), 0U);
    const auto pseudo = net::pseudo_header_sum(address("10.1.0.1"), address("10.2.0.1"), 6,
                                               static_cast<std::uint32_t>(bytes.size() - 20));
    EXPECT_EQ(load_be16(bytes.data() + 20 + 16), static_cast<std::uint16_t>(~net::checksum_finish(pseudo)));
    EXPECT_EQ(super.offload.segment_size, 1348U);
    EXPECT_EQ(super.offload.segmentation, Offload::Segmentation::tcp4);
    EXPECT_TRUE(super.offload.checksum_partial);
    got.insert(got.end(), bytes.begin() + static_cast<std::ptrdiff_t>(headers()), bytes.end());
  }
  EXPECT_EQ(got, sent);
}

TEST_P(SuperPackets, DatagramsNeverBecomeLongOnes) {
  coalescer_.set_joining(GetParam(), {.longest = kMaxSuperPacket, .over_push = true});
  Flow flow{.source = address("10.1.0.1"), .destination = address("10.2.0.1")};
  if (GetParam() == net::Family::v6) flow = {.source = address("2001:db8::1"), .destination = address("2001:db8::2")};
  flow.dont_fragment = true;
  for (std::size_t i = 0; i < 100; ++i) add(udp_packet(flow, Bytes(1300, 1)));
  finish();
  EXPECT_EQ(cut(whole_).size(), 100U);
  for (const InnerPacket& super : whole_) EXPECT_LE(super.bytes.size(), kMaxInnerPacket);
}

}  // namespace
}  // namespace culvert::ipsec
