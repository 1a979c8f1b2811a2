#include <algorithm>
#include <utility>

#include "crypto/openssl/handles.hpp"
#include "crypto/openssl/key_exchanges.hpp"

namespace culvert::crypto::openssl {
namespace {

const char* name_of(KeyExchangeId id) { return id == KeyExchangeId::x25519 ? "X25519" : "X448"; }

class Montgomery final : public KeyExchange {
 public:
  Montgomery(KeyExchangeId id, PublicKey key, Bytes public_value)
      : id_(id), key_(std::move(key)), public_value_(std::move(public_value)) {}

  [[nodiscard]] ByteView public_value() const override { return public_value_; }

  [[nodiscard]] Result<SecretBytes, CryptoError> derive(ByteView peer_public_value) override {
    const ErrorQueueGuard guard;
    const std::size_t length = public_value_.size();
    if (peer_public_value.size() != length) return err(CryptoError::bad_public_value);
    const PublicKey peer(
        EVP_PKEY_new_raw_public_key_ex(nullptr, name_of(id_), nullptr, peer_public_value.data(), length));
    const PublicKeyCtx context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
    if (!peer || !context || EVP_PKEY_derive_init(context.get()) != 1) return err(CryptoError::backend_failure);
    // Without the library's validation of the peer's value: any octets are one (RFC 7748 5), and what comes of a wrong
    // one is refused below.
    if (EVP_PKEY_derive_set_peer_ex(context.get(), peer.get(), 0) != 1) return err(CryptoError::bad_public_value);
    SecretBytes secret(length);
    std::size_t size = secret.size();
    // The library refuses a result of zeros; anything else cannot fail once the context stands.
    if (EVP_PKEY_derive(context.get(), secret.mutable_view().data(), &size) != 1 || size != length) {
      return err(CryptoError::bad_public_value);
    }
    // RFC 8031 5: an all-zero shared secret (RFC 7748 6.1, 6.2) is refused, found without a branch on secret bytes.
    if (constant_time_equal(secret.view(), Bytes(length))) return err(CryptoError::bad_public_value);
    return secret;
  }

 private:
  KeyExchangeId id_;
  PublicKey key_;
  Bytes public_value_;
};

}  // namespace

MadeKeyExchange make_montgomery(KeyExchangeId id, const PrivateValueSource& source) {
  const ErrorQueueGuard guard;
  const std::size_t length = public_value_size(id);
  SecretBytes scalar(length);
  if (source.random != nullptr) {
    source.random->fill(scalar.mutable_view());
  } else {
    if (source.private_value.size() != length) return err(CryptoError::bad_key_length);
    std::ranges::copy(source.private_value, scalar.mutable_view().begin());
  }
  PublicKey key(EVP_PKEY_new_raw_private_key_ex(nullptr, name_of(id), nullptr, scalar.view().data(), scalar.size()));
  Bytes public_value(length);
  std::size_t size = length;
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), public_value.data(), &size) != 1 || size != length)
    return err(CryptoError::backend_failure);
  return std::make_unique<Montgomery>(id, std::move(key), std::move(public_value));
}

}  // namespace culvert::crypto::openssl
