#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/key_exchanges.hpp"

namespace culvert::crypto::openssl {
namespace {

/// The octets of an exponent are at least twice the group's strength: RFC 3526 8, its larger estimates, 240 bits for
/// 1536 to 620 for 8192. What it does not list, the weakest, has as many as the next.
struct GroupFacts {
  BIGNUM* (*prime)(BIGNUM*);
  std::size_t exponent_size;
};

GroupFacts facts_of(KeyExchangeId id) {
  switch (id) {
    case KeyExchangeId::modp_1024: return {BN_get_rfc2409_prime_1024, 30};
    case KeyExchangeId::modp_1536: return {BN_get_rfc3526_prime_1536, 30};
    case KeyExchangeId::modp_2048: return {BN_get_rfc3526_prime_2048, 40};
    case KeyExchangeId::modp_3072: return {BN_get_rfc3526_prime_3072, 53};
    case KeyExchangeId::modp_4096: return {BN_get_rfc3526_prime_4096, 60};
    case KeyExchangeId::modp_6144: return {BN_get_rfc3526_prime_6144, 68};
    default: return {BN_get_rfc3526_prime_8192, 78};
  }
}

/// A group of RFC 3526 or RFC 2409 6.2: a safe prime, generator 2.
struct Group {
  BigNumber prime;
  BigNumber prime_minus_one;
  BigNumber generator;
  BigNumberCtx context;
  std::size_t size;

  explicit Group(KeyExchangeId id)
      : prime(facts_of(id).prime(nullptr)),
        prime_minus_one(prime ? BN_dup(prime.get()) : nullptr),
        generator(BN_new()),
        context(BN_CTX_secure_new()),
        size(public_value_size(id)) {}

  [[nodiscard]] bool ready() const {
    return prime && prime_minus_one && generator && context && BN_sub_word(prime_minus_one.get(), 1) == 1 &&
           BN_set_word(generator.get(), 2) == 1;
  }

  /// base^exponent, padded to the prime's size (RFC 7296 2.14), in time that does not depend on the exponent's bits.
  [[nodiscard]] bool power(const BIGNUM* base, const BIGNUM* exponent, MutableByteView out) const {
    const BigNumber result(BN_secure_new());
    return result &&
           BN_mod_exp_mont_consttime(result.get(), base, exponent, prime.get(), context.get(), nullptr) == 1 &&
           BN_bn2binpad(result.get(), out.data(), static_cast<int>(out.size())) == static_cast<int>(size);
  }
};

class Modp final : public KeyExchange {
 public:
  Modp(Group group, BigNumber exponent, Bytes public_value)
      : group_(std::move(group)), exponent_(std::move(exponent)), public_value_(std::move(public_value)) {}

  [[nodiscard]] ByteView public_value() const override { return public_value_; }

  [[nodiscard]] Result<SecretBytes, CryptoError> derive(ByteView peer_public_value) override {
    const ErrorQueueGuard guard;
    // RFC 7296 3.4: the value is as long as the prime, padded in front.
    if (peer_public_value.size() != group_.size) return err(CryptoError::bad_public_value);
    const BigNumber peer(BN_bin2bn(peer_public_value.data(), static_cast<int>(peer_public_value.size()), nullptr));
    if (!peer) return err(CryptoError::backend_failure);
    // RFC 6989 2.1: 1 < value < p - 1.
    if (BN_is_zero(peer.get()) || BN_is_one(peer.get()) || BN_cmp(peer.get(), group_.prime_minus_one.get()) >= 0) {
      return err(CryptoError::bad_public_value);
    }
    SecretBytes secret(group_.size);
    if (!group_.power(peer.get(), exponent_.get(), secret.mutable_view())) return err(CryptoError::backend_failure);
    return secret;
  }

 private:
  Group group_;
  BigNumber exponent_;
  Bytes public_value_;
};

}  // namespace

MadeKeyExchange make_modp(KeyExchangeId id, const PrivateValueSource& source) {
  const ErrorQueueGuard guard;
  Group group(id);
  BigNumber exponent(BN_secure_new());
  if (!group.ready() || !exponent) return err(CryptoError::backend_failure);
  if (source.random != nullptr) {
    SecretBytes drawn(facts_of(id).exponent_size);
    source.random->fill(drawn.mutable_view());
    drawn.mutable_view()[0] |= 0x80;  // one length for all exponents: the time of a power depends on it
    BN_bin2bn(drawn.view().data(), static_cast<int>(drawn.size()), exponent.get());
  } else {
    if (source.private_value.size() > group.size) return err(CryptoError::bad_key_length);
    BN_bin2bn(source.private_value.data(), static_cast<int>(source.private_value.size()), exponent.get());
    if (BN_is_zero(exponent.get())) return err(CryptoError::bad_key_length);
  }
  BN_set_flags(exponent.get(), BN_FLG_CONSTTIME);
  Bytes public_value(group.size);
  if (!group.power(group.generator.get(), exponent.get(), public_value)) return err(CryptoError::backend_failure);
  return std::make_unique<Modp>(std::move(group), std::move(exponent), std::move(public_value));
}

}  // namespace culvert::crypto::openssl
