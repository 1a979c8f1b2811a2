#include "crypto/ml_kem_exchange.hpp"

#include <utility>

#include "base/check.hpp"
#include "crypto/ml_kem.hpp"
#include "crypto/openssl/ml_kem.hpp"

namespace culvert::crypto {
namespace {

ml_kem::ParameterSet set_of(KeyExchangeId id) {
  switch (id) {
    case KeyExchangeId::ml_kem_512: return ml_kem::ParameterSet::ml_kem_512;
    case KeyExchangeId::ml_kem_768: return ml_kem::ParameterSet::ml_kem_768;
    case KeyExchangeId::ml_kem_1024: return ml_kem::ParameterSet::ml_kem_1024;
    default: break;
  }
  CHECK(false);
  return {};
}

SecretBytes random_seed(RandomSource& random) {
  SecretBytes seed(ml_kem::kSeedSize);
  random.fill(seed.mutable_view());
  return seed;
}

class Initiator final : public KeyExchange {
 public:
  Initiator(ml_kem::ParameterSet set, RandomSource& random) : set_(set) {
    const SecretBytes d = random_seed(random);
    const SecretBytes z = random_seed(random);
    keys_ = ml_kem::generate(set, d.view(), z.view());
  }
  [[nodiscard]] ByteView public_value() const override { return keys_.encapsulation_key; }
  [[nodiscard]] Result<SecretBytes, CryptoError> derive(ByteView ciphertext) override {
    return ml_kem::decapsulate(set_, keys_.decapsulation_key.view(), ciphertext);
  }

 private:
  ml_kem::ParameterSet set_;
  ml_kem::KeyPair keys_;
};

// The same by OpenSSL, from the same random octets.
class LibraryInitiator final : public KeyExchange {
 public:
  [[nodiscard]] static Result<std::unique_ptr<KeyExchange>, CryptoError> make(ml_kem::ParameterSet set,
                                                                              RandomSource& random) {
    const SecretBytes d = random_seed(random);
    const SecretBytes z = random_seed(random);
    auto key = openssl::MlKemKey::from_seeds(set, d.view(), z.view());
    if (!key) return err(key.error());
    auto value = key->encapsulation_key();
    if (!value) return err(value.error());
    return std::unique_ptr<KeyExchange>(new LibraryInitiator(std::move(*key), std::move(*value)));
  }
  [[nodiscard]] ByteView public_value() const override { return value_; }
  [[nodiscard]] Result<SecretBytes, CryptoError> derive(ByteView ciphertext) override {
    return key_.decapsulate(ciphertext);
  }

 private:
  LibraryInitiator(openssl::MlKemKey key, Bytes value) : key_(std::move(key)), value_(std::move(value)) {}
  openssl::MlKemKey key_;
  Bytes value_;
};

Result<ml_kem::Encapsulated, CryptoError> encapsulate_to(ml_kem::ParameterSet set, ByteView key, ByteView m) {
  if (!openssl::has_ml_kem(set)) return ml_kem::encapsulate(set, key, m);
  const auto imported = openssl::MlKemKey::from_encapsulation_key(set, key);
  if (!imported) return err(imported.error());
  return imported->encapsulate(m);
}

class Responder final : public KeyExchange {
 public:
  Responder(ml_kem::ParameterSet set, RandomSource& random) : set_(set), m_(random_seed(random)) {}
  [[nodiscard]] ByteView public_value() const override { return ciphertext_; }
  [[nodiscard]] Result<SecretBytes, CryptoError> derive(ByteView encapsulation_key) override {
    // FIPS 203 3.3: the random octets are for one encapsulation.
    CHECK(!m_.empty());
    auto made = encapsulate_to(set_, encapsulation_key, std::exchange(m_, SecretBytes()).view());
    if (!made) return err(made.error());
    ciphertext_ = std::move(made->ciphertext);
    return std::move(made->shared_secret);
  }

 private:
  ml_kem::ParameterSet set_;
  SecretBytes m_;
  Bytes ciphertext_;
};

}  // namespace

Result<std::unique_ptr<KeyExchange>, CryptoError> make_ml_kem_initiator(KeyExchangeId id, RandomSource& random) {
  if (openssl::has_ml_kem(set_of(id))) return LibraryInitiator::make(set_of(id), random);
  return std::make_unique<Initiator>(set_of(id), random);
}

std::unique_ptr<KeyExchange> make_ml_kem_responder(KeyExchangeId id, RandomSource& random) {
  return std::make_unique<Responder>(set_of(id), random);
}

bool is_own_ml_kem(KeyExchangeId id) { return !openssl::has_ml_kem(set_of(id)); }

std::size_t ml_kem_public_value_size(KeyExchangeId id, bool responder) {
  return responder ? ml_kem::ciphertext_size(set_of(id)) : ml_kem::encapsulation_key_size(set_of(id));
}

}  // namespace culvert::crypto
