#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/key_exchanges.hpp"

namespace culvert::crypto::openssl {
namespace {

/// A group of RFC 3526: a safe prime, generator 2.
struct Group {
  BigNumber prime;
  BigNumber prime_minus_one;
  BigNumber generator;
  BigNumberCtx context;
  std::size_t size;

  explicit Group(KeyExchangeId id)
      : prime(id == KeyExchangeId::modp_2048 ? BN_get_rfc3526_prime_2048(nullptr) : BN_get_rfc3526_prime_3072(nullptr)),
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

/// RFC 3526 8: exponents of at least twice the group's strength; its larger estimates are 320 bits for 2048 and 420 for
/// 3072.
std::size_t exponent_size(KeyExchangeId id) { return id == KeyExchangeId::modp_2048 ? 40 : 53; }

}  // namespace

MadeKeyExchange make_modp(KeyExchangeId id, const PrivateValueSource& source) {
  const ErrorQueueGuard guard;
  Group group(id);
  BigNumber exponent(BN_secure_new());
  if (!group.ready() || !exponent) return err(CryptoError::backend_failure);
  if (source.random != nullptr) {
    SecretBytes drawn(exponent_size(id));
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
