#include "crypto/prf.hpp"

#include <cstdlib>

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "crypto/available.hpp"
#include "crypto/openssl/packet_mac.hpp"
#include "crypto/random.hpp"

namespace culvert::crypto {
namespace {

std::string hmac_hex(HashId id, ByteView key, ByteView message) { return to_hex(hmac(id, key, {message}).view()); }

// FIPS 180-4, the message "abc".
TEST(Hash, KnownAnswers) {
  const auto digest = [](HashId id) { return to_hex(hash(id, {as_bytes("a"), {}, as_bytes("bc")})); };
  EXPECT_EQ(digest(HashId::sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(digest(HashId::sha2_256), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest(HashId::sha2_384),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
  EXPECT_EQ(digest(HashId::sha2_512),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d442364"
            "3ce80e2a9ac"
            "94fa54ca49f");
  EXPECT_EQ(to_hex(hash(HashId::sha2_256, {})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (const HashId id : {HashId::sha1, HashId::sha2_256, HashId::sha2_384, HashId::sha2_512}) {
    EXPECT_EQ(hash(id, {}).size(), hash_size(id));
  }
}

// RFC 4231 4.2 and 4.3, which RFC 4868 2.7.1 repeats for the PRFs.
TEST(Hmac, Rfc4231) {
  const Bytes key(20, 0x0b);
  EXPECT_EQ(hmac_hex(HashId::sha2_256, key, as_bytes("Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac_hex(HashId::sha2_384, key, as_bytes("Hi There")),
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6");
  EXPECT_EQ(hmac_hex(HashId::sha2_512, key, as_bytes("Hi There")),
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb"
            "61f1702e696c20"
            "3a126854");
  EXPECT_EQ(
      to_hex(hmac(HashId::sha2_256, as_bytes("Jefe"), {as_bytes("what do ya want "), as_bytes("for nothing?")}).view()),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

// RFC 2202 3, test case 1; and RFC 4231 4.7, a key longer than the block.
TEST(Hmac, OtherSizes) {
  EXPECT_EQ(hmac_hex(HashId::sha1, Bytes(20, 0x0b), as_bytes("Hi There")), "b617318655057264e28bc0b6fb378c8ef146be00");
  EXPECT_EQ(
      hmac_hex(HashId::sha2_256, Bytes(131, 0xaa), as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hmac, EmptyKeyAndEmptyMessage) {
  EXPECT_EQ(hmac_hex(HashId::sha2_256, {}, {}), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
  EXPECT_EQ(to_hex(hmac(HashId::sha2_256, {}, {}).view()), hmac_hex(HashId::sha2_256, Bytes(64, 0), {}))
      << "a key is padded with zeros";
}

std::string prf_hex(const Prf& prf, std::string_view key, std::initializer_list<ByteView> parts) {
  return to_hex(prf(from_hex(key).value(), parts).view());
}

// RFC 4434 2.1 and RFC 4615 4: keys of 16, 10 and 18 octets, one message, here also in pieces.
TEST(Prf, AesXcbcAndCmac) {
  const Bytes message = from_hex("000102030405060708090a0b0c0d0e0f10111213").value();
  const ByteView view(message);
  const std::string_view keys[] = {"000102030405060708090a0b0c0d0e0f", "00010203040506070809",
                                   "000102030405060708090a0b0c0d0e0fedcb"};
  const std::string_view xcbc[] = {"47f51b4564966215b8985c63055ed308", "0fa087af7d866e7653434e602fdde835",
                                   "8cd3c93ae598a9803006ffb67c40e9e4"};
  const std::string_view cmac[] = {"980ae87b5f4c9c5214f5b6a8455e4c2d", "290d9e112edb09ee141fcf64c0b72f3d",
                                   "84a348a4a45d235babfffc0d2b4da09a"};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(prf_hex(Prf::aes128_xcbc(), keys[i], {view}), xcbc[i]) << i;
    EXPECT_EQ(prf_hex(Prf::aes128_cmac(), keys[i], {view}), cmac[i]) << i;
    EXPECT_EQ(prf_hex(Prf::aes128_xcbc(), keys[i], {view.first(3), {}, view.subspan(3)}), xcbc[i]) << i;
    EXPECT_EQ(prf_hex(Prf::aes128_cmac(), keys[i], {view.first(16), view.subspan(16)}), cmac[i]) << i;
  }
  EXPECT_EQ(Prf::aes128_xcbc().size(), 16U);
  EXPECT_EQ(Prf::aes128_cmac().size(), 16U);
  EXPECT_EQ(prf_hex(Prf::aes128_cmac(), "", {}).size(), 32U) << "an empty key is a key";
}

TEST(Prf, OfAHashIsHmac) {
  const Prf prf = HashId::sha2_384;
  EXPECT_TRUE(prf.is_hmac());
  EXPECT_EQ(prf.size(), 48U);
  EXPECT_EQ(to_hex(prf(as_bytes("key"), {as_bytes("text")}).view()),
            hmac_hex(HashId::sha2_384, as_bytes("key"), as_bytes("text")));
  EXPECT_FALSE(Prf::aes128_cmac().is_hmac());
  EXPECT_NE(Prf::aes128_cmac(), Prf::aes128_xcbc());
}

/// Whether all is as it should be where the policy of the machine refuses every algorithm.
bool refuses_cleanly() {
  if (EVP_set_default_properties(nullptr, "fips=yes") != 1) return false;
  for (const HashId id : {HashId::sha1, HashId::sha2_256, HashId::sha2_384, HashId::sha2_512, HashId::md5}) {
    if (is_available(id) || is_available(Prf(id))) return false;
  }
  if (is_available(Prf::aes128_xcbc()) || is_available(Prf::aes128_cmac())) return false;
  for (const IntegrityId id : {IntegrityId::hmac_md5_96, IntegrityId::hmac_sha2_256_128, IntegrityId::aes_cmac_96}) {
    if (openssl::make_packet_mac(id, Bytes(32)).error() != CryptoError::unsupported) return false;
  }
  // What RADIUS and EAP need of MD5 is there all the same.
  return to_hex(hash(HashId::md5, {as_bytes("abc")})) == "900150983cd24fb0d6963f7d28e17f72";
}

// CVE-2018-10811: a prf that the library refuses, as it does MD5 in FIPS mode. In a process of its own: what the
// library has is looked up once.
TEST(PrfDeathTest, WhatTheLibraryRefusesIsNotThereAndNothingMore) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(refuses_cleanly() ? 0 : 1), ::testing::ExitedWithCode(0), "");
  EXPECT_TRUE(is_available(HashId::md5));
  EXPECT_TRUE(is_available(Prf(HashId::sha2_256)));
  EXPECT_TRUE(is_available(Prf::aes128_xcbc()));
  EXPECT_TRUE(is_available(Prf::aes128_cmac()));
}

TEST(SystemRandom, FillsAndDiffers) {
  SystemRandom random;
  Bytes a(1000, 0);
  Bytes b(1000, 0);
  random.fill(a);
  random.fill(b);
  random.fill({});
  EXPECT_NE(a, b);
  EXPECT_NE(a, Bytes(1000, 0));
  EXPECT_NE(random.u64(), random.u64());
}

}  // namespace
}  // namespace culvert::crypto
