// Key exchange methods of IKEv2: X25519 and X448 (RFC 8031), NIST's curves (RFC 5903), Brainpool's (RFC 6954), MODP
// groups (RFC 3526; RFC 2409 6.2), and key encapsulation by ML-KEM (FIPS 203).
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/error.hpp"

namespace culvert::crypto {

enum class KeyExchangeId : std::uint8_t {
  x25519,
  ecp_256,
  ecp_384,
  ecp_521,
  brainpool_p256r1,
  brainpool_p384r1,
  brainpool_p512r1,
  x448,
  modp_1024,
  modp_1536,
  modp_2048,
  modp_3072,
  modp_4096,
  modp_6144,
  modp_8192,
  ml_kem_512,
  ml_kem_768,
  ml_kem_1024
};

/// One ephemeral key pair. The private value comes from the random source given, dies with the object and is used once.
class KeyExchange {
 public:
  virtual ~KeyExchange() = default;
  /// The octets for the KE payload: X25519 32; X448 56; ECP x|y, 64 to 132 (RFC 5903 7, RFC 6954 2.2); MODP padded to
  /// the prime's size (RFC 7296 2.14); ML-KEM the encapsulation key, as responder the ciphertext, which is there after
  /// derive() only.
  [[nodiscard]] virtual ByteView public_value() const = 0;
  /// The shared secret in the form SKEYSEED wants: X25519 32 octets, X448 56; ECP the x coordinate (RFC 5903 9); MODP
  /// padded to the prime; ML-KEM 32 octets. `bad_public_value` for a wrong length, a point off the curve, a MODP value
  /// outside [2, p-2], an all-zero X25519 or X448 result (RFC 8031 5), an ML-KEM key with coefficients that are not
  /// reduced.
  [[nodiscard]] virtual Result<SecretBytes, CryptoError> derive(ByteView peer_public_value) = 0;
};

[[nodiscard]] Result<std::unique_ptr<KeyExchange>, CryptoError> make_key_exchange(KeyExchangeId id,
                                                                                  RandomSource& random);
/// For who has the initiator's public value before it makes its own: the same, but with ML-KEM the part that
/// encapsulates, once.
[[nodiscard]] Result<std::unique_ptr<KeyExchange>, CryptoError> make_key_exchange_answer(KeyExchangeId id,
                                                                                         RandomSource& random);
/// Octets of the initiator's public value: what its KE payload must hold.
[[nodiscard]] std::size_t public_value_size(KeyExchangeId id);

/// Computed by code of our own, not by OpenSSL.
[[nodiscard]] bool is_own(KeyExchangeId id);

/// For known-answer tests only: a key pair with the given private value (big-endian scalar; X25519: 32 octets as RFC
/// 7748 has them). Not for ML-KEM.
[[nodiscard]] Result<std::unique_ptr<KeyExchange>, CryptoError> make_key_exchange_from_private(KeyExchangeId id,
                                                                                               ByteView private_value);

}  // namespace culvert::crypto
