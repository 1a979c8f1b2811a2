// Cookies: a responder's stateless proof that the initiator can be reached at its address (RFC 7296 2.6).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/secret.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::auth {

/// What a cookie remembers for us (RFC 8019 7.1.1.3): the puzzle that was given with it; no bits: none.
struct CookieNote {
  std::uint8_t zero_bits = 0;
  std::uint16_t prf = 0;
  friend bool operator==(const CookieNote&, const CookieNote&) = default;
};

/// Makes and checks cookies with a secret that is changed now and then: version | note | HMAC(secret, version | note |
/// Ni | IPi | port | SPIi). A cookie stays good for one change of the secret.
class CookieMint {
 public:
  explicit CookieMint(RandomSource& random);
  [[nodiscard]] Bytes make(ByteView nonce_i, const net::Endpoint& initiator, model::IkeSpi spi_i,
                           CookieNote note = {}) const;
  /// Nothing when it is none of ours for this initiator.
  [[nodiscard]] std::optional<CookieNote> check(ByteView cookie, ByteView nonce_i, const net::Endpoint& initiator,
                                                model::IkeSpi spi_i) const;
  /// One in `many` of all texts wins, as long as the secret is the same; which, only we know. At most 32 octets.
  [[nodiscard]] bool draw(ByteView text, std::uint64_t many) const;
  /// Takes a new secret. The one before the last stops being accepted.
  void change_secret();

 private:
  [[nodiscard]] Bytes compute(std::uint32_t version, const SecretBytes& secret, CookieNote note, ByteView nonce_i,
                              const net::Endpoint& initiator, model::IkeSpi spi_i) const;

  RandomSource* random_;
  SecretBytes current_;
  SecretBytes previous_;
  std::uint32_t version_ = 0;
};

}  // namespace culvert::ike::auth
