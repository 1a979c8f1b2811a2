// Hashes, HMAC and the pseudo-random functions of IKE (RFC 2104, RFC 4868).
#pragma once

#include <cstdint>
#include <initializer_list>

#include "base/bytes.hpp"
#include "base/secret.hpp"

namespace culvert::crypto {

enum class HashId : std::uint8_t { sha1, sha2_256, sha2_384, sha2_512, md5 };

[[nodiscard]] std::size_t hash_size(HashId id);
/// The digest of the parts one after the other.
[[nodiscard]] Bytes hash(HashId id, std::initializer_list<ByteView> parts);

/// HMAC (RFC 2104), full length, of the parts one after the other. The key may have any length.
[[nodiscard]] SecretBytes hmac(HashId id, ByteView key, std::initializer_list<ByteView> parts);

/// A pseudo-random function of IKE: HMAC with a hash, or one of the two that AES-128 has.
class Prf {
 public:
  constexpr Prf(HashId hash) : kind_(Kind::hmac), hash_(hash) {}  // NOLINT(google-explicit-constructor): HMAC with it
  [[nodiscard]] static constexpr Prf aes128_xcbc() { return Prf(Kind::xcbc); }  // RFC 4434
  [[nodiscard]] static constexpr Prf aes128_cmac() { return Prf(Kind::cmac); }  // RFC 4615
  [[nodiscard]] constexpr bool is_hmac() const { return kind_ == Kind::hmac; }
  /// Octets of output, which is also the preferred length of keys (RFC 7296 2.13).
  [[nodiscard]] std::size_t size() const;
  /// Of the parts one after the other. The key may have any length.
  [[nodiscard]] SecretBytes operator()(ByteView key, std::initializer_list<ByteView> parts) const;
  friend bool operator==(const Prf&, const Prf&) = default;

 private:
  enum class Kind : std::uint8_t { hmac, xcbc, cmac };
  constexpr explicit Prf(Kind kind) : kind_(kind) {}
  Kind kind_;
  HashId hash_ = HashId::sha2_256;  // of HMAC
};

}  // namespace culvert::crypto
