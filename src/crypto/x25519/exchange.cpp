#include "crypto/x25519/exchange.hpp"

#include <array>
#include <utility>

#include "crypto/x25519/x25519.hpp"

namespace culvert::crypto::x25519 {
namespace {

class Exchange final : public KeyExchange {
 public:
  explicit Exchange(SecretBytes scalar) : scalar_(std::move(scalar)) { x25519::public_value(scalar_.view(), public_); }

  [[nodiscard]] ByteView public_value() const override { return public_; }

  // Any octets are a value (RFC 7748 5), and what comes of a wrong one is refused.
  [[nodiscard]] Result<SecretBytes, CryptoError> derive(ByteView peer_public_value) override {
    if (peer_public_value.size() != kSize) return err(CryptoError::bad_public_value);
    SecretBytes secret(kSize);
    shared_secret(scalar_.view(), peer_public_value, secret.mutable_view());
    // RFC 8031 5: an all-zero shared secret (RFC 7748 6.1) is refused, found without a branch on secret bytes.
    constexpr std::array<std::uint8_t, kSize> kZeros{};
    if (constant_time_equal(secret.view(), kZeros)) return err(CryptoError::bad_public_value);
    return secret;
  }

 private:
  SecretBytes scalar_;
  std::array<std::uint8_t, kSize> public_{};
};

}  // namespace

std::unique_ptr<KeyExchange> make_exchange(SecretBytes scalar) { return std::make_unique<Exchange>(std::move(scalar)); }

}  // namespace culvert::crypto::x25519
