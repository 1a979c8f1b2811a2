#include "net/plain_packet.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "net/header_writer.hpp"
#include "net/packet.hpp"

namespace culvert::net {
namespace {

Bytes packet(Family family, std::uint8_t protocol, std::size_t payload) {
  const bool v4 = family == Family::v4;
  Bytes out(ip_header_size(family) + payload);
  write_ip_header(out.data(), {.source = *IpAddress::parse(v4 ? "192.0.2.1" : "2001:db8::1"),
                               .destination = *IpAddress::parse(v4 ? "198.51.100.7" : "2001:db8::2"),
                               .protocol = protocol,
                               .tos = 0xb9,
                               .ttl = 61,
                               .payload_length = static_cast<std::uint16_t>(payload)});
  if (protocol == 6 && payload >= kTcpHeaderSize) out[ip_header_size(family) + 12] = 0x60;
  return out;
}

// Whatever bytes: what is plain is a packet to `parse_packet`, too, and one with the same facts.
TEST(PlainPacket, SaysWhatParsePacketSays) {
  SeededRandom random(41);
  int plain_ones = 0;
  for (int round = 0; round < 300'000; ++round) {
    const Family family = random.below(2) == 0 ? Family::v4 : Family::v6;
    const auto protocol = static_cast<std::uint8_t>(random.below(3) == 0 ? 6 : 17);
    Bytes bytes = packet(family, protocol, random.below(70));
    for (auto changes = random.below(4); changes > 0; --changes) {
      bytes[random.below(std::min<std::size_t>(bytes.size(), 54))] = static_cast<std::uint8_t>(random.u64());
    }
    if (random.below(4) == 0) bytes.resize(random.below(bytes.size() + 1));
    PlainPacket plain;
    if (!read_plain(bytes, plain)) continue;
    ++plain_ones;
    const auto info = parse_packet(bytes);
    ASSERT_TRUE(info) << to_hex(bytes);
    ASSERT_EQ(plain.family(), info->family);
    ASSERT_EQ(plain.total_length, info->total_length);
    ASSERT_EQ(plain.protocol, info->protocol);
    ASSERT_EQ(plain.tos(), info->tos);
    ASSERT_EQ(plain.dont_fragment(), info->dont_fragment);
    ASSERT_EQ(plain.header_length(), info->header_length);
    ASSERT_FALSE(info->is_fragment);
    ASSERT_TRUE(info->ports_visible);
    ASSERT_EQ(plain.syn, info->protocol == 6 && (bytes[info->header_length + 13] & 2) != 0);
  }
  EXPECT_GT(plain_ones, 50'000);
}

// What is like a plain packet is plain, and nothing that a selector or an outer header may ask for differs.
TEST(PlainLikeness, FindsOnlyPacketsOfWhichTheSameIsTrue) {
  SeededRandom random(42);
  int alike = 0;
  for (int round = 0; round < 300'000; ++round) {
    const auto protocol = static_cast<std::uint8_t>(random.below(2) == 0 ? 6 : 17);
    const std::size_t size = kIpv4HeaderSize + (protocol == 6 ? 24 : 8) + random.below(12);
    Bytes first = packet(Family::v4, protocol, size - kIpv4HeaderSize);
    const std::size_t before = random.below(3);
    // What stands behind the packet says nothing.
    first.resize(std::max(size, PlainLikeness::kReads) + 4);
    if (random.below(2) == 0) first[33] = static_cast<std::uint8_t>(random.u64());
    Bytes second = first;
    for (std::size_t changes = before; changes > 0; --changes) {
      second[random.below(second.size())] ^= static_cast<std::uint8_t>(1U << random.below(8));
    }
    const std::size_t second_size = random.below(50) == 0 ? size - 1 : size;
    PlainPacket plain;
    ASSERT_TRUE(read_plain(ByteView(first).first(size), plain));
    PlainLikeness likeness;
    ASSERT_FALSE(likeness.of(ByteView(second).first(second_size)));
    likeness.set(ByteView(first).first(size), plain);
    if (second == first) {
      ASSERT_EQ(likeness.of(ByteView(second).first(second_size)), second_size == size);
    }
    if (!likeness.of(ByteView(second).first(second_size))) continue;
    ++alike;
    PlainPacket other;
    ASSERT_TRUE(read_plain(ByteView(second).first(second_size), other)) << to_hex(first) << '\n' << to_hex(second);
    ASSERT_EQ(other.total_length, plain.total_length);
    ASSERT_EQ(other.outer, plain.outer);
    ASSERT_EQ(other.protocol, plain.protocol);
    ASSERT_EQ(other.syn, plain.syn);
    ASSERT_TRUE(std::equal(first.begin() + 12, first.begin() + 24, second.begin() + 12));
  }
  EXPECT_GT(alike, 100'000);
}

TEST(PlainLikeness, PacketsOfOneFlowAreAlike) {
  Bytes first = packet(Family::v4, 6, 40);
  PlainPacket plain;
  ASSERT_TRUE(read_plain(first, plain));
  PlainLikeness likeness;
  likeness.set(first, plain);
  Bytes second = first;
  second[4] ^= 1;    // identification
  second[8] ^= 1;    // TTL
  second[11] ^= 1;   // checksum
  second[27] ^= 1;   // TCP's sequence number
  second[33] ^= 8;   // PSH
  second[45] ^= 99;  // payload
  EXPECT_TRUE(likeness.of(second));
  second[33] ^= 2;  // SYN
  EXPECT_FALSE(likeness.of(second));
  likeness.clear();
  EXPECT_FALSE(likeness.of(first));
}

TEST(PlainPacket, OthersAreLeftToParsePacket) {
  PlainPacket plain;
  for (const Family family : {Family::v4, Family::v6}) {
    EXPECT_TRUE(read_plain(packet(family, 17, 8), plain));
    EXPECT_TRUE(read_plain(packet(family, 6, 24), plain));
    EXPECT_FALSE(read_plain(packet(family, 6, 23), plain));  // shorter than its data offset says
    EXPECT_FALSE(read_plain(packet(family, 1, 8), plain));
    EXPECT_FALSE(read_plain(packet(family, 0, 16), plain));
    EXPECT_FALSE(read_plain(packet(family, 44, 16), plain));
  }
  Bytes fragment = packet(Family::v4, 17, 16);
  fragment[6] = 0x20;
  EXPECT_FALSE(read_plain(fragment, plain));
  Bytes options = packet(Family::v4, 17, 16);
  options[0] = 0x46;
  EXPECT_FALSE(read_plain(options, plain));
  EXPECT_FALSE(read_plain({}, plain));
}

}  // namespace
}  // namespace culvert::net
