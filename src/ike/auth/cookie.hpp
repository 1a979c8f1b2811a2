// Cookies: a responder's stateless proof that the initiator can be reached at its address (RFC 7296 2.6).
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/secret.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::auth {

/// Makes and checks cookies with a secret that is changed now and then: version | HMAC(secret, version | Ni | IPi |
/// port | SPIi). A cookie stays good for one change of the secret.
class CookieMint {
 public:
  explicit CookieMint(RandomSource& random);
  [[nodiscard]] Bytes make(ByteView nonce_i, const net::Endpoint& initiator, model::IkeSpi spi_i) const;
  [[nodiscard]] bool check(ByteView cookie, ByteView nonce_i, const net::Endpoint& initiator,
                           model::IkeSpi spi_i) const;
  /// Takes a new secret. The one before the last stops being accepted.
  void change_secret();

 private:
  [[nodiscard]] Bytes compute(std::uint32_t version, const SecretBytes& secret, ByteView nonce_i,
                              const net::Endpoint& initiator, model::IkeSpi spi_i) const;

  RandomSource* random_;
  SecretBytes current_;
  SecretBytes previous_;
  std::uint32_t version_ = 0;
};

}  // namespace culvert::ike::auth
