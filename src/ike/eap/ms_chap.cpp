#include "ike/eap/ms_chap.hpp"

#include <algorithm>
#include <initializer_list>

#include "crypto/des.hpp"
#include "crypto/md4.hpp"
#include "crypto/prf.hpp"
#include "ike/eap/method.hpp"

namespace culvert::ike::eap::ms_chap {
namespace {

using crypto::HashId;

constexpr std::size_t kHashSize = 16;
constexpr std::size_t kMostCharacters = 256;

// RFC 2759 8.7.
constexpr std::string_view kSigning = "Magic server to client signing constant";
constexpr std::string_view kMoreIterations = "Pad to make it do more than one iteration";
// RFC 3079 3.4.
constexpr std::string_view kMasterKey = "This is the MPPE Master Key";
constexpr std::string_view kFromClient =
    "On the client side, this is the send key; on the server side, it is the receive key.";
constexpr std::string_view kFromServer =
    "On the client side, this is the receive key; on the server side, it is the send key.";

/// The next character of the UTF-8 text at `at`, which moves on; nothing when there is none in order.
std::optional<std::uint32_t> next_character(ByteView text, std::size_t& at) {
  const std::uint8_t first = text[at++];
  if (first < 0x80) return first;
  const std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  if (first < 0xc2 || first > 0xf4 || text.size() - at < more) return std::nullopt;
  std::uint32_t value = first & (0x3fU >> more);
  for (std::size_t i = 0; i < more; ++i) {
    const std::uint8_t octet = text[at++];
    if ((octet & 0xc0) != 0x80) return std::nullopt;
    value = value << 6 | (octet & 0x3f);
  }
  // The shortest form only, and no halves of surrogate pairs.
  constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
  if (value < kLeast[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return std::nullopt;
  return value;
}

// RFC 2759 8.2: the name without the domain that may stand in front of it.
Bytes challenge_hash(const Exchange& exchange) {
  const std::size_t slash = exchange.name.rfind('\\');
  const std::string_view user = slash == std::string_view::npos ? exchange.name : exchange.name.substr(slash + 1);
  Bytes hash = crypto::hash(HashId::sha1, {exchange.peer_challenge, exchange.server_challenge, as_bytes(user)});
  hash.resize(8);
  return hash;
}

SecretBytes hash_of_hash(const SecretBytes& hash) {
  auto digest = crypto::md4(hash.view());
  SecretBytes out = SecretBytes::copy_of(digest);
  wipe(digest);
  return out;
}

/// SHA-1 of secrets, cut to 16 octets where `size` says so.
SecretBytes secret_hash(std::initializer_list<ByteView> parts, std::size_t size) {
  Bytes digest = crypto::hash(HashId::sha1, parts);
  SecretBytes out = SecretBytes::copy_of(ByteView(digest).first(size));
  wipe(digest);
  return out;
}

SecretBytes start_key(const SecretBytes& master, std::string_view direction) {
  std::array<std::uint8_t, 40> zeros{};
  std::array<std::uint8_t, 40> pad;
  pad.fill(0xf2);
  return secret_hash({master.view(), zeros, as_bytes(direction), pad}, kHashSize);
}

}  // namespace

std::optional<SecretBytes> password_hash(ByteView password) {
  SecretBytes wide(2 * 2 * kMostCharacters);
  const MutableByteView out = wide.mutable_view();
  std::size_t used = 0;
  std::size_t characters = 0;
  const auto put = [&](std::uint32_t unit) {
    out[used++] = static_cast<std::uint8_t>(unit);
    out[used++] = static_cast<std::uint8_t>(unit >> 8);
  };
  for (std::size_t at = 0; at < password.size();) {
    const auto character = next_character(password, at);
    if (!character || ++characters > kMostCharacters) return std::nullopt;
    if (*character < 0x10000) {
      put(*character);
    } else {
      put(0xd800 + ((*character - 0x10000) >> 10));
      put(0xdc00 + ((*character - 0x10000) & 0x3ff));
    }
  }
  auto digest = crypto::md4(wide.view().first(used));
  SecretBytes hash = SecretBytes::copy_of(digest);
  wipe(digest);
  return hash;
}

// RFC 2759 8.5: the hash and five zeros are the keys of three blocks.
Response nt_response(const Exchange& exchange, const SecretBytes& hash) {
  const Bytes challenge = challenge_hash(exchange);
  crypto::DesBlock block;
  std::ranges::copy(challenge, block.begin());
  SecretBytes padded(21);
  std::ranges::copy(hash.view(), padded.mutable_view().begin());
  Response response{};
  for (std::size_t i = 0; i < 3; ++i) {
    std::array<std::uint8_t, 7> key;
    std::ranges::copy(padded.view().subspan(7 * i, 7), key.begin());
    const crypto::DesBlock sealed = crypto::des_encrypt(key, block);
    std::ranges::copy(sealed, response.begin() + static_cast<std::ptrdiff_t>(8 * i));
    wipe(key);
  }
  return response;
}

std::string authenticator_response(const Exchange& exchange, const SecretBytes& hash, const Response& response) {
  const SecretBytes twice = hash_of_hash(hash);
  const SecretBytes digest = secret_hash({twice.view(), response, as_bytes(kSigning)}, 20);
  const Bytes proof = crypto::hash(HashId::sha1, {digest.view(), challenge_hash(exchange), as_bytes(kMoreIterations)});
  std::string text = to_hex(proof);
  // RFC 2759 5: upper case.
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
  return "S=" + text;
}

SecretBytes master_session_key(const SecretBytes& hash, const Response& response) {
  const SecretBytes twice = hash_of_hash(hash);
  const SecretBytes master = secret_hash({twice.view(), response, as_bytes(kMasterKey)}, kHashSize);
  SecretBytes msk(kMskSize);
  const MutableByteView out = msk.mutable_view();
  std::ranges::copy(start_key(master, kFromClient).view(), out.begin());
  std::ranges::copy(start_key(master, kFromServer).view(), out.begin() + kHashSize);
  return msk;
}

}  // namespace culvert::ike::eap::ms_chap
