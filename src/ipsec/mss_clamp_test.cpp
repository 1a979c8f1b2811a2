#include "ipsec/mss_clamp.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;

const Flow kV4{address("10.1.0.1"), address("10.2.0.1")};
const Flow kV6{address("2001:db8:1::1"), address("2001:db8:2::1")};

/// A SYN with these options, a multiple of 4 octets, and a right checksum.
Bytes syn(const Flow& flow, const Bytes& options, std::uint8_t flags = 0x02) {
  Bytes segment(20);
  store_be16(segment.data(), flow.source_port);
  store_be16(segment.data() + 2, flow.destination_port);
  segment[12] = static_cast<std::uint8_t>((20 + options.size()) / 4 << 4);
  segment[13] = flags;
  segment.insert(segment.end(), options.begin(), options.end());
  const std::uint64_t pseudo =
      net::pseudo_header_sum(flow.source, flow.destination, 6, static_cast<std::uint32_t>(segment.size()));
  store_be16(segment.data() + 16, net::checksum_finish(net::checksum_add(pseudo, segment)));
  return with_ip_header(flow, net::IpProtocol::tcp, segment);
}

bool checksum_right(const Flow& flow, const Bytes& packet) {
  const std::size_t header = net::ip_header_size(flow.source.family());
  const ByteView segment = ByteView(packet).subspan(header);
  const std::uint64_t pseudo =
      net::pseudo_header_sum(flow.source, flow.destination, 6, static_cast<std::uint32_t>(segment.size()));
  return net::checksum_finish(net::checksum_add(pseudo, segment)) == 0;
}

bool clamp(Bytes& packet, std::uint16_t limit, bool partial = false) {
  const net::PacketInfo info = net::parse_packet(packet).value();
  EXPECT_TRUE(is_tcp_syn(packet, info));
  return clamp_mss(packet, info, limit, partial);
}

TEST(MssClamp, LowersAtAnyPlaceAndKeepsTheChecksumRight) {
  const Bytes mss{2, 4, 0x05, 0xb4};
  const std::vector<Bytes> option_lists{mss, concat({Bytes{1}, mss, Bytes{1, 1, 0}}),
                                        concat({Bytes{4, 2}, mss, Bytes{1, 0}}),
                                        concat({Bytes{3, 3, 7}, mss, Bytes{0}})};
  for (const Flow& flow : {kV4, kV6}) {
    for (const Bytes& options : option_lists) {
      for (const std::uint16_t limit : std::initializer_list<std::uint16_t>{1459, 1340, 1, 256, 0x0101}) {
        Bytes packet = syn(flow, options);
        EXPECT_TRUE(clamp(packet, limit));
        EXPECT_TRUE(checksum_right(flow, packet));
        Bytes wanted = options;
        for (std::size_t i = 0; i + 3 < wanted.size(); ++i) {
          if (Bytes(wanted.begin() + static_cast<std::ptrdiff_t>(i),
                    wanted.begin() + static_cast<std::ptrdiff_t>(i) + 4) == mss) {
            store_be16(wanted.data() + i + 2, limit);
            break;
          }
        }
        EXPECT_EQ(packet, syn(flow, wanted));
      }
    }
  }
}

TEST(MssClamp, LeavesAloneWhatFitsOrHasNoOption) {
  for (const Bytes& options : {Bytes{2, 4, 0x05, 0xb4}, Bytes{}, Bytes{1, 1, 1, 1}, Bytes{0, 2, 4, 9},
                               Bytes{2, 3, 9, 9}, Bytes{1, 1, 1, 2}, Bytes{8, 0, 2, 4}, Bytes{1, 2, 9, 9}}) {
    Bytes packet = syn(kV4, options);
    EXPECT_FALSE(clamp(packet, 1460));
    EXPECT_EQ(packet, syn(kV4, options));
  }
}

TEST(MssClamp, APartialChecksumKnowsNothingOfOptions) {
  Bytes packet = syn(kV4, {2, 4, 0x05, 0xb4}, 0x12);
  store_be16(packet.data() + 36, 0x1234);
  EXPECT_TRUE(clamp(packet, 1300, true));
  EXPECT_EQ(load_be16(packet.data() + 36), 0x1234);
  EXPECT_EQ(load_be16(packet.data() + 42), 1300);
}

TEST(MssClamp, OnlySyns) {
  const Bytes ack = syn(kV4, {2, 4, 0x05, 0xb4}, 0x10);
  EXPECT_FALSE(is_tcp_syn(ack, net::parse_packet(ack).value()));
  const Bytes udp = udp_packet(kV4, Bytes(20, 0xff));
  EXPECT_FALSE(is_tcp_syn(udp, net::parse_packet(udp).value()));
}

TEST(MssClamp, WhatFits) {
  EXPECT_EQ(mss_for(1400, net::Family::v4), 1360);
  EXPECT_EQ(mss_for(1400, net::Family::v6), 1340);
  EXPECT_EQ(mss_for(40, net::Family::v4), 0);
  EXPECT_EQ(mss_for(100'000, net::Family::v6), 0xffff);
}

}  // namespace
}  // namespace culvert::ipsec
