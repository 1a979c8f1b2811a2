// Public and private keys and the signatures that IKEv2 authenticates with: RSA (RFC 8017), ECDSA on the NIST curves
// (FIPS 186-4), Ed25519 and Ed448 (RFC 8032). Which of them a peer may use is not decided here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/error.hpp"

namespace culvert::crypto {

/// What a key can sign with; `other` for all that IKEv2 has no use for (DSA, other curves, keys of X.509's odder
/// sorts).
enum class KeyKind : std::uint8_t { rsa, ecdsa_p256, ecdsa_p384, ecdsa_p521, ed25519, ed448, other };
[[nodiscard]] std::string_view name_of(KeyKind kind);

/// A signature algorithm with its hash. PSS has MGF1 with the same hash and a salt of the hash's length.
enum class SignatureScheme : std::uint8_t {
  rsa_pkcs1_sha1,
  rsa_pkcs1_sha2_256,
  rsa_pkcs1_sha2_384,
  rsa_pkcs1_sha2_512,
  rsa_pss_sha2_256,
  rsa_pss_sha2_384,
  rsa_pss_sha2_512,
  ecdsa_sha2_256,
  ecdsa_sha2_384,
  ecdsa_sha2_512,
  ed25519,
  ed448
};
[[nodiscard]] std::string_view name_of(SignatureScheme scheme);
/// True when a key of that kind makes such signatures; ECDSA goes with any hash.
[[nodiscard]] bool fits(SignatureScheme scheme, KeyKind kind);

/// A key of OpenSSL's; only the backend looks inside.
struct KeyHandle;

class PublicKey {
 public:
  /// From a SubjectPublicKeyInfo in DER (RFC 5280 4.1.2.7), without octets behind it.
  [[nodiscard]] static Result<PublicKey, CryptoError> from_spki(ByteView der);
  /// From the content of a file: a SubjectPublicKeyInfo, in PEM ("BEGIN PUBLIC KEY") or DER. The error is the end of a
  /// sentence about that file.
  [[nodiscard]] static Result<PublicKey, std::string> parse(ByteView content);
  explicit PublicKey(std::shared_ptr<const KeyHandle> handle) : handle_(std::move(handle)) {}

  /// The SubjectPublicKeyInfo in DER.
  [[nodiscard]] Bytes spki() const;
  [[nodiscard]] KeyKind kind() const;
  /// Of the modulus or of the curve's order.
  [[nodiscard]] unsigned bits() const;
  /// "RSA 2048", "ECDSA P-256".
  [[nodiscard]] std::string to_string() const;
  /// ECDSA signatures are in DER (RFC 3279 2.2.3). False for a scheme that does not fit the key, and for any octets
  /// that are no signature.
  [[nodiscard]] bool verify(SignatureScheme scheme, ByteView message, ByteView signature) const;
  [[nodiscard]] bool same_key(const PublicKey& other) const;

 private:
  std::shared_ptr<const KeyHandle> handle_;
};

/// Copies share the key, which is wiped with the last of them.
class PrivateKey {
 public:
  /// From the content of a file: PEM or DER, PKCS#8 or the older forms of RSA and EC. The error is the end of a
  /// sentence about that file ("is encrypted ...").
  [[nodiscard]] static Result<PrivateKey, std::string> parse(ByteView content);
  /// A new one of Ed25519.
  [[nodiscard]] static Result<PrivateKey, CryptoError> generate();
  /// No key: nothing but `present` may be asked of it.
  PrivateKey() = default;
  [[nodiscard]] bool present() const { return handle_ != nullptr; }
  explicit PrivateKey(std::shared_ptr<const KeyHandle> handle) : handle_(std::move(handle)) {}
  /// Of a key that is present.
  [[nodiscard]] const KeyHandle& handle() const { return *handle_; }

  /// PKCS#8 in PEM, not encrypted.
  [[nodiscard]] SecretBytes pem() const;
  [[nodiscard]] KeyKind kind() const { return public_key().kind(); }
  [[nodiscard]] std::string to_string() const { return public_key().to_string(); }
  /// The public half; shares the private one, too, so it is for comparing and verifying on the spot.
  [[nodiscard]] PublicKey public_key() const { return PublicKey(handle_); }
  /// ECDSA signatures are in DER. `unsupported` for a scheme that does not fit the key.
  [[nodiscard]] Result<Bytes, CryptoError> sign(SignatureScheme scheme, ByteView message) const;

 private:
  std::shared_ptr<const KeyHandle> handle_;
};

/// An ECDSA signature in DER as the numbers r and s, each padded to `size` octets (RFC 4754 3), and back. Nothing when
/// it is no such thing.
[[nodiscard]] Result<Bytes, CryptoError> ecdsa_to_raw(ByteView der, std::size_t size);
[[nodiscard]] Result<Bytes, CryptoError> ecdsa_to_der(ByteView raw);
/// Octets of r, and of s, in the raw form; 0 for other kinds.
[[nodiscard]] std::size_t ecdsa_number_size(KeyKind kind);

}  // namespace culvert::crypto
