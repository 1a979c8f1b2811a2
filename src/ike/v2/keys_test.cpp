#include "ike/v2/keys.hpp"

#include <string>

#include <gtest/gtest.h>

namespace culvert::ike::v2 {
namespace {

using crypto::CipherId;
using crypto::HashId;
using crypto::IntegrityId;
using crypto::PacketSuite;
using model::Role;

const Bytes kNonceI(32, 0x11);
const Bytes kNonceR(32, 0x22);
const Bytes kSecret(32, 0x33);
constexpr PacketSuite kGcm{CipherId::aes_gcm_16, 256, IntegrityId::none};
constexpr PacketSuite kCbc{CipherId::aes_cbc, 256, IntegrityId::hmac_sha2_512_256};

std::string text(const SecretBytes& secret) { return to_hex(secret.view()); }
std::string text(ByteView octets) { return to_hex(octets); }

// RFC 7296 2.13: T1 = prf(K, S | 0x01), T2 = prf(K, T1 | S | 0x02).
TEST(PrfPlus, IsTheChainOfTheRfc) {
  const Bytes key{1}, one{1}, two{2};
  const SecretBytes t1 = crypto::hmac(HashId::sha2_256, key, {kNonceI, kNonceR, one});
  const SecretBytes t2 = crypto::hmac(HashId::sha2_256, key, {t1.view(), kNonceI, kNonceR, two});
  EXPECT_EQ(text(prf_plus(HashId::sha2_256, key, {kNonceI, kNonceR}, 64)), text(t1) + text(t2));
}

TEST(PrfPlus, ShorterIsAPrefix) {
  const Bytes key{1};
  const std::string longest = text(prf_plus(HashId::sha2_384, key, {kNonceI}, 255 * 48));
  EXPECT_EQ(longest.size(), 2U * 255 * 48);
  for (const std::size_t length : {0, 1, 47, 48, 49, 100, 1000}) {
    EXPECT_EQ(text(prf_plus(HashId::sha2_384, key, {kNonceI}, length)), longest.substr(0, 2 * length));
  }
}

// RFC 7296 2.14: prf(Ni | Nr, g^ir). RFC 7296 2.18: prf(SK_d (old), g^ir (new) | Ni | Nr).
TEST(Skeyseed, InitialAndRekey) {
  EXPECT_EQ(text(skeyseed_initial(HashId::sha2_256, kNonceI, kNonceR, kSecret)),
            text(crypto::hmac(HashId::sha2_256, concat({kNonceI, kNonceR}), {kSecret})));
  // RFC 7296 2.14: of the nonces 64 bits each, where the prf is one of AES's.
  for (const crypto::Prf& prf : {crypto::Prf::aes128_xcbc(), crypto::Prf::aes128_cmac()}) {
    const Bytes key = concat({kNonceI, kNonceR});
    const Bytes half = concat({ByteView(kNonceI).first(8), ByteView(kNonceR).first(8)});
    EXPECT_EQ(text(skeyseed_initial(prf, kNonceI, kNonceR, kSecret)), text(prf(half, {kSecret})));
    EXPECT_NE(text(skeyseed_initial(prf, kNonceI, kNonceR, kSecret)), text(prf(key, {kSecret})));
  }
  EXPECT_EQ(text(skeyseed_rekey(HashId::sha2_512, Bytes(64, 5), kSecret, kNonceI, kNonceR)),
            text(crypto::hmac(HashId::sha2_512, Bytes(64, 5), {concat({kSecret, kNonceI, kNonceR})})));
}

TEST(SkKeys, SizesAndOrder) {
  const Bytes seed(32, 7);
  const model::IkeSpi spi_i(0x0102030405060708), spi_r(0x1112131415161718);
  const Bytes spis = from_hex("01020304050607081112131415161718").value();

  const SkKeys gcm = derive_sk_keys(HashId::sha2_256, kGcm, seed, kNonceI, kNonceR, spi_i, spi_r);
  EXPECT_EQ(gcm.sk_ai().size() + gcm.sk_ar().size(), 0U);
  EXPECT_EQ(text(gcm.sk_d()) + text(gcm.sk_ei()) + text(gcm.sk_er()) + text(gcm.sk_pi()) + text(gcm.sk_pr()),
            text(prf_plus(HashId::sha2_256, seed, {kNonceI, kNonceR, spis}, 3 * 32 + 2 * 36)));

  const SkKeys cbc = derive_sk_keys(HashId::sha2_384, kCbc, seed, kNonceI, kNonceR, spi_i, spi_r);
  EXPECT_EQ(cbc.sk_d().size(), 48U);
  EXPECT_EQ(cbc.sk_pi().size(), 48U);
  EXPECT_EQ(text(cbc.sk_d()) + text(cbc.sk_ai()) + text(cbc.sk_ar()) + text(cbc.sk_ei()) + text(cbc.sk_er()) +
                text(cbc.sk_pi()) + text(cbc.sk_pr()),
            text(prf_plus(HashId::sha2_384, seed, {kNonceI, kNonceR, spis}, 3 * 48 + 2 * 64 + 2 * 32)));
  EXPECT_EQ(text(cbc.sk_e(Role::initiator)), text(cbc.sk_ei()));
  EXPECT_EQ(text(cbc.sk_a(Role::responder)), text(cbc.sk_ar()));
  EXPECT_EQ(text(cbc.sk_p(Role::responder)), text(cbc.sk_pr()));
}

TEST(SkKeys, TheBlockChangesAndShrinks) {
  const model::IkeSpi spi_i(1), spi_r(2);
  for (const PacketSuite& suite : {kGcm, kCbc}) {
    SkKeys keys = derive_sk_keys(HashId::sha2_256, suite, Bytes(32, 7), kNonceI, kNonceR, spi_i, spi_r);
    const std::string for_messages = text(keys.sk_ai()) + text(keys.sk_ar()) + text(keys.sk_ei()) + text(keys.sk_er());
    keys.replace_prf_keys(Bytes(32, 1), Bytes(32, 2), Bytes(32, 3));
    EXPECT_EQ(text(keys.sk_d()), text(Bytes(32, 1)));
    EXPECT_EQ(text(keys.sk_pi()), text(Bytes(32, 2)));
    EXPECT_EQ(text(keys.sk_pr()), text(Bytes(32, 3)));
    keys.forget_auth_keys();
    EXPECT_TRUE(keys.sk_pi().empty());
    EXPECT_TRUE(keys.sk_p(Role::responder).empty());
    EXPECT_EQ(text(keys.sk_d()), text(Bytes(32, 1)));
    EXPECT_EQ(text(keys.sk_ai()) + text(keys.sk_ar()) + text(keys.sk_ei()) + text(keys.sk_er()), for_messages);
    const SkKeys moved = std::move(keys);
    EXPECT_EQ(text(moved.sk_d()), text(Bytes(32, 1)));
    EXPECT_TRUE(keys.sk_d().empty());  // NOLINT(bugprone-use-after-move): it has no keys any more
  }
}

// RFC 7296 2.17: what one side sends with, the other receives with; encryption before integrity, initiator's direction
// first.
TEST(ChildKeys, RolesMirror) {
  for (const PacketSuite& suite : {kGcm, kCbc}) {
    for (const Bytes& secret : {Bytes{}, kSecret}) {
      const Bytes sk_d(32, 9);
      const ChildKeys ours =
          derive_child_keys(HashId::sha2_256, suite, sk_d, secret, kNonceI, kNonceR, Role::initiator);
      const ChildKeys theirs =
          derive_child_keys(HashId::sha2_256, suite, sk_d, secret, kNonceI, kNonceR, Role::responder);
      EXPECT_EQ(text(ours.inbound.encryption), text(theirs.outbound.encryption));
      EXPECT_EQ(text(ours.inbound.integrity), text(theirs.outbound.integrity));
      EXPECT_EQ(text(ours.outbound.encryption), text(theirs.inbound.encryption));
      EXPECT_EQ(text(ours.outbound.integrity), text(theirs.inbound.integrity));

      const std::string all = text(ours.outbound.encryption) + text(ours.outbound.integrity) +
                              text(ours.inbound.encryption) + text(ours.inbound.integrity);
      EXPECT_EQ(all, text(prf_plus(HashId::sha2_256, sk_d, {secret, kNonceI, kNonceR}, all.size() / 2)));
      const crypto::SuiteSizes sizes = crypto::sizes_of(suite);
      EXPECT_EQ(all.size(), 4 * (sizes.encryption_key + sizes.integrity_key));
    }
  }
}

}  // namespace
}  // namespace culvert::ike::v2
