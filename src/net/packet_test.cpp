#include "net/packet.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "net/header_writer.hpp"

namespace culvert::net {
namespace {

const IpAddress kSource4 = *IpAddress::parse("192.0.2.1");
const IpAddress kDestination4 = *IpAddress::parse("198.51.100.7");
const IpAddress kSource6 = *IpAddress::parse("2001:db8::1");
const IpAddress kDestination6 = *IpAddress::parse("2001:db8::2");

Bytes packet(Family family, std::uint8_t protocol, ByteView payload) {
  Bytes out(ip_header_size(family) + payload.size());
  write_ip_header(out.data(), {.source = family == Family::v4 ? kSource4 : kSource6,
                               .destination = family == Family::v4 ? kDestination4 : kDestination6,
                               .protocol = protocol,
                               .tos = 0xb9,
                               .ttl = 61,
                               .payload_length = static_cast<std::uint16_t>(payload.size())});
  std::copy(payload.begin(), payload.end(), out.begin() + static_cast<std::ptrdiff_t>(ip_header_size(family)));
  return out;
}
Bytes hex(std::string_view text) { return *from_hex(text); }

const Bytes kUdp =
    hex("01f41194000a0000"
        "abcd");
const Bytes kTcp =
    hex("01bbc0000000000100000002"
        "6010"
        "ffff00000000"
        "0101080a"
        "ab");  // data offset 6

TEST(ParsePacket, UdpAndTcpInBothFamilies) {
  for (const Family family : {Family::v4, Family::v6}) {
    const auto udp = parse_packet(packet(family, 17, kUdp));
    ASSERT_TRUE(udp);
    EXPECT_EQ(udp->family, family);
    EXPECT_EQ(udp->source, family == Family::v4 ? kSource4 : kSource6);
    EXPECT_EQ(udp->destination, family == Family::v4 ? kDestination4 : kDestination6);
    EXPECT_EQ(udp->tos, 0xb9);
    EXPECT_EQ(udp->ttl, 61);
    EXPECT_EQ(udp->total_length, ip_header_size(family) + 10);
    EXPECT_EQ(udp->protocol, 17);
    EXPECT_EQ(udp->header_length, ip_header_size(family));
    EXPECT_EQ(udp->payload_header_length, 8);
    EXPECT_TRUE(udp->ports_visible);
    EXPECT_EQ(udp->source_port, 500);
    EXPECT_EQ(udp->destination_port, 4500);
    EXPECT_FALSE(udp->is_fragment);

    const auto tcp = parse_packet(packet(family, 6, kTcp));
    ASSERT_TRUE(tcp);
    EXPECT_EQ(tcp->payload_header_length, 24);
    EXPECT_EQ(tcp->source_port, 443);
    EXPECT_EQ(tcp->destination_port, 0xc000);
  }
}

// RFC 4301 4.4.1.1: ICMP type and code stand in the port selector; so does the Mobility Header's type.
TEST(ParsePacket, TypesInPlaceOfPorts) {
  const auto icmp = parse_packet(packet(Family::v4, 1, hex("0301000000000000")));
  ASSERT_TRUE(icmp);
  EXPECT_TRUE(icmp->ports_visible);
  EXPECT_EQ(icmp->source_port, 0x0301);
  EXPECT_EQ(icmp->destination_port, 0x0301);
  EXPECT_EQ(icmp->payload_header_length, 0);
  EXPECT_EQ(parse_packet(packet(Family::v6, 58, hex("8000000000000000")))->destination_port, 0x8000);
  EXPECT_EQ(parse_packet(packet(Family::v6, 135, hex("3b00050000000000")))->source_port, 0x0500);
}

TEST(ParsePacket, OtherProtocolsHaveNoPorts) {
  for (const auto protocol : std::initializer_list<std::uint8_t>{4, 41, 47, 50, 51, 59, 89, 255}) {
    const auto info = parse_packet(packet(Family::v6, protocol, hex("0102030405060708")));
    ASSERT_TRUE(info);
    EXPECT_EQ(info->protocol, protocol);
    EXPECT_FALSE(info->ports_visible);
    EXPECT_EQ(info->source_port, 0);
  }
  const auto sctp = parse_packet(packet(Family::v4, 132,
                                        hex("0001000200000000"
                                            "00000000")));
  ASSERT_TRUE(sctp);
  EXPECT_EQ(sctp->source_port, 1);
  EXPECT_EQ(sctp->destination_port, 2);
}

TEST(ParsePacket, TrailingBytesArePadding) {
  Bytes padded = packet(Family::v4, 17, kUdp);
  padded.resize(60);
  EXPECT_EQ(parse_packet(padded)->total_length, 30u);
}

TEST(ParsePacket, Ipv4OptionsAndFlags) {
  Bytes with_options = hex("46000020000040004011000001020304050607080101010001f4119400080000");
  const auto info = parse_packet(with_options);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->header_length, 24);
  EXPECT_TRUE(info->dont_fragment);
  EXPECT_FALSE(info->is_fragment) << "the DF bit is no fragment";
  EXPECT_EQ(info->destination_port, 4500);
}

TEST(ParsePacket, Ipv4Fragments) {
  Bytes first = packet(Family::v4, 17, kUdp);
  store_be16(first.data() + 6, 0x2000);
  auto info = parse_packet(first);
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->is_fragment);
  EXPECT_FALSE(info->is_later_fragment);
  EXPECT_TRUE(info->ports_visible);

  for (const auto fragment : std::initializer_list<std::uint16_t>{0x2001, 0x0001, 0x1fff}) {
    Bytes later = packet(Family::v4, 6, hex("01"));
    store_be16(later.data() + 6, fragment);
    info = parse_packet(later);
    ASSERT_TRUE(info);
    EXPECT_TRUE(info->is_fragment);
    EXPECT_TRUE(info->is_later_fragment);
    EXPECT_FALSE(info->ports_visible);
    EXPECT_EQ(info->payload_header_length, 0);
  }
}

// RFC 1858 3: a first fragment too small for its transport header would slip past a port selector.
TEST(ParsePacket, TinyFirstFragmentIsRefused) {
  Bytes tiny = packet(Family::v4, 6, ByteView(kTcp).first(8));
  store_be16(tiny.data() + 6, 0x2000);
  EXPECT_EQ(parse_packet(tiny).error(), PacketError::truncated);
}

TEST(ParsePacket, Ipv6ExtensionChain) {
  // hop-by-hop, destination options of 16 octets, routing, first fragment, UDP
  const Bytes chain = concat({hex("3c00010400000000"),
                              hex("2b01010c00000000"
                                  "0000000000000000"),
                              hex("2c00000000000000"), hex("1100000100000007"), kUdp});
  const auto info = parse_packet(packet(Family::v6, 0, chain));
  ASSERT_TRUE(info);
  EXPECT_EQ(info->protocol, 17);
  EXPECT_EQ(info->header_length, 80);
  EXPECT_TRUE(info->is_fragment);
  EXPECT_FALSE(info->is_later_fragment);
  EXPECT_EQ(info->destination_port, 4500);
}

TEST(ParsePacket, Ipv6LaterAndAtomicFragments) {
  const auto later = parse_packet(packet(Family::v6, 44, concat({hex("3c00000900000007"), hex("ff")})));
  ASSERT_TRUE(later);
  EXPECT_EQ(later->protocol, 60) << "the payload of a later fragment is not followed as an extension header";
  EXPECT_EQ(later->header_length, 48);
  EXPECT_TRUE(later->is_later_fragment);
  EXPECT_FALSE(later->ports_visible);

  const auto atomic = parse_packet(packet(Family::v6, 44, concat({hex("1100000000000007"), kUdp})));
  ASSERT_TRUE(atomic);
  EXPECT_FALSE(atomic->is_fragment);
  EXPECT_TRUE(atomic->ports_visible);
}

TEST(ParsePacket, ExtensionChainIsBounded) {
  Bytes chain;
  for (unsigned i = 0; i < kMaxIpv6Extensions - 1; ++i) chain = concat({chain, hex("3c00000000000000")});
  const Bytes allowed = concat({chain, hex("1100000000000000"), kUdp});
  EXPECT_TRUE(parse_packet(packet(Family::v6, 60, allowed)));
  const Bytes one_more = concat({hex("3c00000000000000"), allowed});
  EXPECT_EQ(parse_packet(packet(Family::v6, 60, one_more)).error(), PacketError::too_many_extensions);
}

TEST(ParsePacket, Errors) {
  EXPECT_EQ(parse_packet({}).error(), PacketError::truncated);
  EXPECT_EQ(parse_packet(hex("50000000")).error(), PacketError::bad_version);
  EXPECT_EQ(parse_packet(hex("45")).error(), PacketError::truncated);
  EXPECT_EQ(parse_packet(hex("60")).error(), PacketError::truncated);

  Bytes bad = packet(Family::v4, 17, kUdp);
  bad[0] = 0x44;
  EXPECT_EQ(parse_packet(bad).error(), PacketError::bad_header_length);
  bad[0] = 0x4f;
  EXPECT_EQ(parse_packet(bad).error(), PacketError::truncated);
  bad[0] = 0x45;
  bad[3] = 31;
  EXPECT_EQ(parse_packet(bad).error(), PacketError::bad_total_length);
  bad[3] = 19;
  EXPECT_EQ(parse_packet(bad).error(), PacketError::bad_total_length);
  bad[3] = 27;
  EXPECT_EQ(parse_packet(bad).error(), PacketError::truncated) << "bytes behind the packet are not its UDP header";

  bad = packet(Family::v6, 17, kUdp);
  bad[5] = 11;
  EXPECT_EQ(parse_packet(bad).error(), PacketError::bad_total_length);

  Bytes tcp = kTcp;
  tcp[12] = 0x40;
  EXPECT_EQ(parse_packet(packet(Family::v4, 6, tcp)).error(), PacketError::bad_header_length);
  tcp[12] = 0x70;
  EXPECT_EQ(parse_packet(packet(Family::v4, 6, tcp)).error(), PacketError::truncated);

  // An extension header that runs past the end, and one whose fixed part is cut.
  EXPECT_EQ(parse_packet(packet(Family::v6, 60, hex("1101000000000000"))).error(), PacketError::truncated);
  EXPECT_EQ(parse_packet(packet(Family::v6, 60, hex("110000"))).error(), PacketError::truncated);
  EXPECT_EQ(parse_packet(packet(Family::v6, 44, hex("110000"))).error(), PacketError::truncated);
}

TEST(ParsePacket, EveryTruncationIsRefusedAndNeverReadPastTheEnd) {
  const Bytes whole = packet(Family::v6, 0, concat({hex("3c00010400000000"), hex("0600010400000000"), kTcp}));
  ASSERT_TRUE(parse_packet(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(),
                    whole.begin() + static_cast<std::ptrdiff_t>(size));  // exact allocation, for the sanitizer
    EXPECT_FALSE(parse_packet(cut)) << size;
  }
}

TEST(ParsePacket, RandomBytesKeepTheInvariants) {
  SeededRandom random(3);
  unsigned accepted = 0;
  for (int i = 0; i < 50'000; ++i) {
    Bytes data(random.below(120));
    random.fill(data);
    if (!data.empty())
      data[0] = static_cast<std::uint8_t>((random.below(2) ? 0x45 : 0x60) | (random.below(4) == 0 ? 0x02 : 0));
    if (data.size() > 6 && random.below(8) != 0) {
      data[2] = data[4] = 0;
      data[3] = static_cast<std::uint8_t>(data.size());
      data[5] = static_cast<std::uint8_t>(data.size() - std::min<std::size_t>(data.size(), 40));
      data[6] = static_cast<std::uint8_t>(random.below(2) ? random.below(64) : data[6]);
    }
    const auto info = parse_packet(data);
    if (!info) continue;
    ++accepted;
    ASSERT_LE(info->total_length, data.size());
    ASSERT_LE(info->header_length + info->payload_header_length, info->total_length);
    ASSERT_FALSE(info->is_later_fragment && info->ports_visible);
    ASSERT_FALSE(info->is_later_fragment && !info->is_fragment);
  }
  EXPECT_GT(accepted, 1000u);
}

}  // namespace
}  // namespace culvert::net
