// ML-KEM without vectors: both sides agree, whatever else comes in is refused or agrees with nobody. The vectors are in
// tests/vectors/crypto_ml_kem_test.cpp.
#include "crypto/ml_kem.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "crypto/key_exchange.hpp"

namespace culvert::crypto {
namespace {

using ml_kem::ParameterSet;

struct Sizes {
  ParameterSet set;
  KeyExchangeId id;
  std::size_t encapsulation_key, decapsulation_key, ciphertext;
};
// FIPS 203 8, table 3.
constexpr Sizes kSizes[] = {{ParameterSet::ml_kem_512, KeyExchangeId::ml_kem_512, 800, 1632, 768},
                            {ParameterSet::ml_kem_768, KeyExchangeId::ml_kem_768, 1184, 2400, 1088},
                            {ParameterSet::ml_kem_1024, KeyExchangeId::ml_kem_1024, 1568, 3168, 1568}};

class MlKem : public ::testing::TestWithParam<Sizes> {
 protected:
  Bytes seed() {
    Bytes made(ml_kem::kSeedSize);
    random.fill(made);
    return made;
  }
  SeededRandom random{7};
};

TEST_P(MlKem, BothSidesAgree) {
  const Sizes& sizes = GetParam();
  for (int round = 0; round < 100; ++round) {
    const auto keys = ml_kem::generate(sizes.set, seed(), seed());
    EXPECT_EQ(keys.encapsulation_key.size(), sizes.encapsulation_key);
    EXPECT_EQ(keys.decapsulation_key.size(), sizes.decapsulation_key);
    EXPECT_TRUE(ml_kem::is_decapsulation_key(sizes.set, keys.decapsulation_key.view()));
    const auto made = ml_kem::encapsulate(sizes.set, keys.encapsulation_key, seed());
    ASSERT_TRUE(made);
    EXPECT_EQ(made->ciphertext.size(), sizes.ciphertext);
    const auto secret = ml_kem::decapsulate(sizes.set, keys.decapsulation_key.view(), made->ciphertext);
    ASSERT_TRUE(secret);
    EXPECT_EQ(secret->size(), ml_kem::kSharedSecretSize);
    EXPECT_TRUE(equal(secret->view(), made->shared_secret.view()));
  }
}

// FIPS 203 6.3: a ciphertext that was changed gives a secret all the same, another one, and always the same.
TEST_P(MlKem, ImplicitRejection) {
  const Sizes& sizes = GetParam();
  const auto keys = ml_kem::generate(sizes.set, seed(), seed());
  const auto made = ml_kem::encapsulate(sizes.set, keys.encapsulation_key, seed());
  ASSERT_TRUE(made);
  for (std::size_t at = 0; at < sizes.ciphertext; at += 7) {
    Bytes changed = made->ciphertext;
    changed[at] ^= static_cast<std::uint8_t>(1U << (at % 8));
    const auto secret = ml_kem::decapsulate(sizes.set, keys.decapsulation_key.view(), changed);
    ASSERT_TRUE(secret);
    EXPECT_FALSE(equal(secret->view(), made->shared_secret.view())) << at;
    const auto again = ml_kem::decapsulate(sizes.set, keys.decapsulation_key.view(), changed);
    EXPECT_TRUE(equal(secret->view(), again->view()));
  }
}

TEST_P(MlKem, LengthsAndCoefficients) {
  const Sizes& sizes = GetParam();
  auto keys = ml_kem::generate(sizes.set, seed(), seed());
  Bytes& key = keys.encapsulation_key;
  for (const std::size_t size : {std::size_t{0}, key.size() - 1}) {
    EXPECT_EQ(ml_kem::encapsulate(sizes.set, ByteView(key).first(size), seed()).error(), CryptoError::bad_public_value);
  }
  EXPECT_EQ(ml_kem::decapsulate(sizes.set, keys.decapsulation_key.view(), Bytes(sizes.ciphertext - 1)).error(),
            CryptoError::bad_public_value);
  // FIPS 203 7.2: 3329 is no coefficient.
  key[0] = 0x01;
  key[1] = static_cast<std::uint8_t>((key[1] & 0xf0) | 0x0d);
  EXPECT_EQ(ml_kem::encapsulate(sizes.set, key, seed()).error(), CryptoError::bad_public_value);
  key[0] = 0x00;
  EXPECT_TRUE(ml_kem::encapsulate(sizes.set, key, seed()));
}

TEST_P(MlKem, AsAKeyExchange) {
  const Sizes& sizes = GetParam();
  auto initiator = make_key_exchange(sizes.id, random);
  auto responder = make_key_exchange_answer(sizes.id, random);
  ASSERT_TRUE(initiator && responder);
  EXPECT_EQ((*initiator)->public_value().size(), public_value_size(sizes.id));
  const auto theirs = (*responder)->derive((*initiator)->public_value());
  ASSERT_TRUE(theirs);
  EXPECT_EQ((*responder)->public_value().size(), sizes.ciphertext);
  const auto ours = (*initiator)->derive((*responder)->public_value());
  ASSERT_TRUE(ours);
  EXPECT_TRUE(equal(ours->view(), theirs->view()));
  EXPECT_FALSE(make_key_exchange_from_private(sizes.id, Bytes(32)));
}

INSTANTIATE_TEST_SUITE_P(Sets, MlKem, ::testing::ValuesIn(kSizes));

}  // namespace
}  // namespace culvert::crypto
