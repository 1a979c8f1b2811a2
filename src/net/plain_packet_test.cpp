#include "net/plain_packet.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "net/packet.hpp"
#include "net/testing/plain_packets.hpp"

namespace culvert::net {
namespace {

using testing::packet;

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
