#include "ike/auth/cookie.hpp"

#include <utility>

#include "base/check.hpp"
#include "crypto/prf.hpp"

namespace culvert::ike::auth {

namespace {

constexpr std::size_t kSecretSize = 32;
constexpr std::size_t kVersionSize = 4;
constexpr std::size_t kNoteSize = 3;
constexpr std::size_t kMacSize = 32;
constexpr std::size_t kMostDrawn = 32;

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

Bytes CookieMint::compute(std::uint32_t version, const SecretBytes& secret, CookieNote note, ByteView nonce_i,
                          const net::Endpoint& initiator, model::IkeSpi spi_i) const {
  // RFC 7296 2.6: bound to Ni, the address and SPIi. Each part but the nonce has a length that the ones before it fix.
  ByteWriter head;
  head.u32(version);
  head.u8(note.zero_bits);
  head.u16(note.prf);
  head.u64(spi_i.value());
  head.u16(initiator.port);
  head.u8(static_cast<std::uint8_t>(initiator.address.size()));
  const SecretBytes mac =
      crypto::hmac(crypto::HashId::sha2_256, secret.view(), {head.view(), initiator.address.bytes(), nonce_i});
  return concat({head.view().first(kVersionSize + kNoteSize), mac.view()});
}

// Shorter than what a cookie is made of, which has a nonce: neither says anything about the other.
bool CookieMint::draw(ByteView text, std::uint64_t many) const {
  CHECK(text.size() <= kMostDrawn);
  const SecretBytes mac = crypto::hmac(crypto::HashId::sha2_256, current_.view(), {text});
  return load_be64(mac.view().data()) % many == 0;
}

Bytes CookieMint::make(ByteView nonce_i, const net::Endpoint& initiator, model::IkeSpi spi_i, CookieNote note) const {
  return compute(version_, current_, note, nonce_i, initiator, spi_i);
}

std::optional<CookieNote> CookieMint::check(ByteView cookie, ByteView nonce_i, const net::Endpoint& initiator,
                                            model::IkeSpi spi_i) const {
  if (cookie.size() != kVersionSize + kNoteSize + kMacSize) return std::nullopt;
  const std::uint32_t version = load_be32(cookie.data());
  const bool current = version == version_;
  if (!current && (previous_.empty() || version != version_ - 1)) return std::nullopt;
  const CookieNote note{.zero_bits = cookie[kVersionSize], .prf = load_be16(cookie.data() + kVersionSize + 1)};
  const Bytes expected = compute(version, current ? current_ : previous_, note, nonce_i, initiator, spi_i);
  return constant_time_equal(cookie, expected) ? std::optional(note) : std::nullopt;
}

}  // namespace culvert::ike::auth
