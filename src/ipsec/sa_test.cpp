#include "ipsec/sa.hpp"

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

TEST(EspLayout, SealedSizes) {
  const EspLayout gcm{.iv = 8, .icv = 16, .alignment = 4};
  // 8 ESP header, 8 IV, 64 packet, 2 trailer, 2 padding, 16 ICV
  EXPECT_EQ(gcm.sealed(64), 100U);
  EXPECT_EQ(gcm.sealed(66), 100U);
  EXPECT_EQ(gcm.sealed(67), 104U);
  const EspLayout cbc{.iv = 16, .icv = 16, .alignment = 16, .aead = false, .random_iv = true};
  EXPECT_EQ(cbc.sealed(64), 8U + 16 + 80 + 16);
  EXPECT_EQ(cbc.sealed(62), 8U + 16 + 64 + 16);
}

}  // namespace
}  // namespace culvert::ipsec
