#include <algorithm>
#include <array>

#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/key_exchanges.hpp"

namespace culvert::crypto::openssl {
namespace {

constexpr std::size_t kSize = 32;

class X25519 final : public KeyExchange {
 public:
  X25519(PublicKey key, const std::array<std::uint8_t, kSize>& public_value)
      : key_(std::move(key)), public_value_(public_value) {}

  [[nodiscard]] ByteView public_value() const override { return public_value_; }

  [[nodiscard]] Result<SecretBytes, CryptoError> derive(ByteView peer_public_value) override {
    const ErrorQueueGuard guard;
    if (peer_public_value.size() != kSize) return err(CryptoError::bad_public_value);
    const PublicKey peer(
        EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, peer_public_value.data(), peer_public_value.size()));
    const PublicKeyCtx context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
    if (!peer || !context || EVP_PKEY_derive_init(context.get()) != 1) return err(CryptoError::backend_failure);
    if (EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1) return err(CryptoError::bad_public_value);
    SecretBytes secret(kSize);
    std::size_t size = secret.size();
    // The library refuses a result of zeros; anything else cannot fail once the context stands.
    if (EVP_PKEY_derive(context.get(), secret.mutable_view().data(), &size) != 1 || size != kSize) {
      return err(CryptoError::bad_public_value);
    }
    // RFC 8031 5: an all-zero shared secret (RFC 7748 6.1) is refused, found without a branch on secret bytes.
    static constexpr std::array<std::uint8_t, kSize> kZeros{};
    if (constant_time_equal(secret.view(), kZeros)) return err(CryptoError::bad_public_value);
    return secret;
  }

 private:
  PublicKey key_;
  std::array<std::uint8_t, kSize> public_value_;
};

}  // namespace

MadeKeyExchange make_x25519(const PrivateValueSource& source) {
  const ErrorQueueGuard guard;
  SecretBytes scalar(kSize);
  if (source.random != nullptr) {
    source.random->fill(scalar.mutable_view());
  } else {
    if (source.private_value.size() != kSize) return err(CryptoError::bad_key_length);
    std::ranges::copy(source.private_value, scalar.mutable_view().begin());
  }
  PublicKey key(EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, scalar.view().data(), scalar.size()));
  std::array<std::uint8_t, kSize> public_value{};
  std::size_t size = public_value.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), public_value.data(), &size) != 1 || size != kSize) {
    return err(CryptoError::backend_failure);
  }
  return std::make_unique<X25519>(std::move(key), public_value);
}

}  // namespace culvert::crypto::openssl
