#include "ipsec/path_room.hpp"

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

// AES-GCM in UDP over IPv4: 20 + 8 + 8 + 8 + 16 octets around, 4 octets of alignment.
TEST(PathRoom, KnownFigures) {
  const PathRoom gcm_in_udp{.around = 60, .alignment = 4, .trailer = 2};
  EXPECT_EQ(gcm_in_udp.longest_inner(1500), 1438U);
  EXPECT_EQ(gcm_in_udp.outer(1438), 1500U);
  EXPECT_EQ(gcm_in_udp.outer(1439), 1504U);
  // AES-CBC with HMAC-SHA2-256-128 right over IPv4: 20 + 8 + 16 + 16 octets around, blocks of 16.
  const PathRoom cbc{.around = 60, .alignment = 16, .trailer = 2};
  EXPECT_EQ(cbc.longest_inner(1500), 1438U);
  EXPECT_EQ(cbc.longest_inner(1499), 1422U);
}

TEST(PathRoom, LongestIsTheLongestThatFits) {
  for (const std::size_t alignment : {1, 4, 8, 16}) {
    for (const std::size_t stripped : {0, 20, 40}) {
      const PathRoom room{.around = 60 + stripped, .alignment = alignment, .trailer = 2, .stripped = stripped};
      for (std::size_t mtu = 0; mtu < 2000; ++mtu) {
        const std::size_t longest = room.longest_inner(mtu);
        if (longest == 0) continue;
        EXPECT_LE(room.outer(longest), mtu);
        EXPECT_GT(room.outer(longest + 1), mtu);
      }
      EXPECT_EQ(room.longest_inner(59), 0U);
      EXPECT_EQ(room.longest_inner(10'000'000), kMaxInnerPacket);
    }
  }
}

}  // namespace
}  // namespace culvert::ipsec
