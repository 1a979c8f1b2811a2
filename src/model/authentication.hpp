// How peers prove who they are, as all layers speak of it (RFC 7296 2.15, RFC 7427).
#pragma once

#include <cstdint>
#include <string>

#include "model/iana/signature_hash.hpp"

namespace culvert::model {

/// How a side of a connection authenticates; `certificate` is for signatures, also by keys that are known beforehand;
/// `none` for NULL authentication (RFC 7619), which proves nothing.
enum class Authentication : std::uint8_t { shared_key, certificate, none };
[[nodiscard]] constexpr std::string_view name_of(Authentication authentication) {
  switch (authentication) {
    case Authentication::certificate: return "certificate";
    case Authentication::none: return "none";
    case Authentication::shared_key: break;
  }
  return "secret";
}

/// Some of the hashes that signatures may be over.
class SignatureHashes {
 public:
  constexpr void add(SignatureHash hash) {
    if (static_cast<unsigned>(hash) < 8) bits_ = static_cast<std::uint8_t>(bits_ | 1U << static_cast<unsigned>(hash));
  }
  [[nodiscard]] constexpr bool has(SignatureHash hash) const {
    return static_cast<unsigned>(hash) < 8 && (bits_ >> static_cast<unsigned>(hash) & 1U) != 0;
  }
  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  friend constexpr bool operator==(const SignatureHashes&, const SignatureHashes&) = default;

 private:
  std::uint8_t bits_ = 0;
};

/// Why a peer's proof was not taken: which certificate (empty when it is about none), what was looked at, and what was
/// found. All of it is printable.
struct AuthenticationRefusal {
  std::string subject;
  std::string serial;
  std::string check;  // a word: "expired", "issuer", "identity", "signature" ...
  std::string found;

  /// One sentence.
  [[nodiscard]] std::string to_string() const {
    if (subject.empty()) return check + ": " + found;
    return "certificate " + subject + " (serial " + serial + "): " + check + ": " + found;
  }
  friend bool operator==(const AuthenticationRefusal&, const AuthenticationRefusal&) = default;
};

}  // namespace culvert::model
