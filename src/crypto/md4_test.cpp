#include "crypto/md4.hpp"

#include <string>

#include <gtest/gtest.h>

#include "crypto/des.hpp"

namespace culvert::crypto {
namespace {

std::string digest_of(std::string_view text) { return to_hex(md4(as_bytes(text))); }

// RFC 1320 A.5: the test suite.
TEST(Md4, KnownAnswers) {
  EXPECT_EQ(digest_of(""), "31d6cfe0d16ae931b73c59d7e0c089c0");
  EXPECT_EQ(digest_of("a"), "bde52cb31de33e46245e05fbdbd6fb24");
  EXPECT_EQ(digest_of("abc"), "a448017aaf21d8525fc10ae87aa6729d");
  EXPECT_EQ(digest_of("message digest"), "d9130a8164549fe818874806e1c7014b");
  EXPECT_EQ(digest_of("abcdefghijklmnopqrstuvwxyz"), "d79e1c308aa5bbcdeea8ed63df412da9");
  EXPECT_EQ(digest_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
            "043f8582f241db351ce627e153e7f0e4");
  EXPECT_EQ(digest_of("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "e33b4ddc9c38f2199c3e7b164fcc0536");
}

// Around the places where the length needs a further block, no two digests may be the same.
TEST(Md4, LengthsAroundABlock) {
  std::string last;
  for (std::size_t size = 50; size < 70; ++size) {
    const std::string digest = digest_of(std::string(size, 'x'));
    EXPECT_NE(digest, last) << size;
    last = digest;
  }
}

// FIPS 46-3 in its usual worked example: the key 13345779 9bbcdff1 without its parity bits.
TEST(Des, KnownAnswer) {
  const auto key = *from_hex("12695bc9b7b7f8");
  std::array<std::uint8_t, 7> seven;
  std::copy(key.begin(), key.end(), seven.begin());
  EXPECT_EQ(to_hex(des_encrypt(seven, {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef})), "85e813540f0ab405");
}

}  // namespace
}  // namespace culvert::crypto
