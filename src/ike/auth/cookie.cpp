#include "ike/auth/cookie.hpp"

#include <utility>

#include "crypto/prf.hpp"

namespace culvert::ike::auth {

namespace {

constexpr std::size_t kSecretSize = 32;
constexpr std::size_t kVersionSize = 4;
constexpr std::size_t kMacSize = 32;

SecretBytes fresh_secret(RandomSource& random) {
  SecretBytes secret(kSecretSize);
  random.fill(secret.mutable_view());
  return secret;
}

}  // namespace

CookieMint::CookieMint(RandomSource& random) : random_(&random), current_(fresh_secret(random)) {}

void CookieMint::change_secret() {
  previous_ = std::move(current_);
  current_ = fresh_secret(*random_);
  ++version_;
}

Bytes CookieMint::compute(std::uint32_t version, const SecretBytes& secret, ByteView nonce_i,
                          const net::Endpoint& initiator, model::IkeSpi spi_i) const {
  // RFC 7296 2.6: bound to Ni, the address and SPIi. Each part but the nonce has a length that the ones before it fix.
  ByteWriter head;
  head.u32(version);
  head.u64(spi_i.value());
  head.u16(initiator.port);
  head.u8(static_cast<std::uint8_t>(initiator.address.size()));
  const SecretBytes mac =
      crypto::hmac(crypto::HashId::sha2_256, secret.view(), {head.view(), initiator.address.bytes(), nonce_i});
  return concat({head.view().first(kVersionSize), mac.view()});
}

Bytes CookieMint::make(ByteView nonce_i, const net::Endpoint& initiator, model::IkeSpi spi_i) const {
  return compute(version_, current_, nonce_i, initiator, spi_i);
}

bool CookieMint::check(ByteView cookie, ByteView nonce_i, const net::Endpoint& initiator, model::IkeSpi spi_i) const {
  if (cookie.size() != kVersionSize + kMacSize) return false;
  const std::uint32_t version = load_be32(cookie.data());
  if (version == version_) return constant_time_equal(cookie, compute(version, current_, nonce_i, initiator, spi_i));
  if (previous_.empty() || version != version_ - 1) return false;
  return constant_time_equal(cookie, compute(version, previous_, nonce_i, initiator, spi_i));
}

}  // namespace culvert::ike::auth
