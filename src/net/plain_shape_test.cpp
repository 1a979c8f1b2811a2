#include "net/plain_shape.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "net/header_writer.hpp"

namespace culvert::net {
namespace {

Bytes packet(std::uint8_t protocol, std::size_t payload) {
  Bytes out(kIpv4HeaderSize + payload);
  write_ip_header(out.data(), {.source = *IpAddress::parse("192.0.2.1"),
                               .destination = *IpAddress::parse("198.51.100.7"),
                               .protocol = protocol,
                               .tos = 0xb9,
                               .ttl = 61,
                               .payload_length = static_cast<std::uint16_t>(payload)});
  if (protocol == 6 && payload >= kTcpHeaderSize) out[kIpv4HeaderSize + 12] = 0x60;
  return out;
}

// What has a plain packet's shape is plain, and nothing that an outer header may ask for differs.
TEST(PlainShape, FindsOnlyPacketsOfWhichTheSameIsTrue) {
  SeededRandom random(42);
  int alike = 0;
  for (int round = 0; round < 300'000; ++round) {
    const auto protocol = static_cast<std::uint8_t>(random.below(2) == 0 ? 6 : 17);
    const std::size_t size = kIpv4HeaderSize + (protocol == 6 ? 24 : 8) + random.below(12);
    Bytes first = packet(protocol, size - kIpv4HeaderSize);
    const std::size_t before = random.below(3);
    // What stands behind the packet says nothing.
    first.resize(std::max(size, PlainShape::kReads) + 4);
    if (random.below(2) == 0) first[33] = static_cast<std::uint8_t>(random.u64());
    Bytes second = first;
    for (std::size_t changes = before; changes > 0; --changes) {
      second[random.below(second.size())] ^= static_cast<std::uint8_t>(1U << random.below(8));
    }
    const std::size_t second_size = random.below(50) == 0 ? size - 1 : size;
    PlainPacket plain;
    ASSERT_TRUE(read_plain(ByteView(first).first(size), plain));
    PlainShape shape;
    ASSERT_FALSE(shape.of(ByteView(second).first(second_size)));
    shape.set(ByteView(first).first(size), plain);
    if (second == first) {
      ASSERT_EQ(shape.of(ByteView(second).first(second_size)), second_size == size);
    }
    if (!shape.of(ByteView(second).first(second_size))) continue;
    ++alike;
    PlainPacket other;
    ASSERT_TRUE(read_plain(ByteView(second).first(second_size), other)) << to_hex(first) << '\n' << to_hex(second);
    ASSERT_EQ(other.total_length, plain.total_length);
    ASSERT_EQ(other.outer, plain.outer);
    ASSERT_EQ(other.protocol, plain.protocol);
    ASSERT_EQ(other.syn, plain.syn);
  }
  EXPECT_GT(alike, 100'000);
}

TEST(PlainShape, DiffersInNothingButFlowNumbersAndText) {
  Bytes first = packet(6, 40);
  PlainPacket plain;
  ASSERT_TRUE(read_plain(first, plain));
  PlainShape shape;
  shape.set(first, plain);
  Bytes second = first;
  second[4] ^= 1;    // identification
  second[8] ^= 1;    // TTL
  second[11] ^= 1;   // checksum
  second[15] ^= 1;   // source
  second[19] ^= 1;   // destination
  second[21] ^= 1;   // source port
  second[23] ^= 1;   // destination port
  second[27] ^= 1;   // TCP's sequence number
  second[33] ^= 8;   // PSH
  second[45] ^= 99;  // payload
  EXPECT_TRUE(shape.of(second));
  second[33] ^= 2;  // SYN
  EXPECT_FALSE(shape.of(second));
  shape.clear();
  EXPECT_FALSE(shape.of(first));
}

}  // namespace
}  // namespace culvert::net
