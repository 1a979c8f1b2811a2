// MS-CHAP version 2 (RFC 2759) and the keys made with it (RFC 3079): the functions alone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/secret.hpp"

namespace culvert::ike::eap::ms_chap {

using Challenge = std::array<std::uint8_t, 16>;
using Response = std::array<std::uint8_t, 24>;

/// NtPasswordHash (RFC 2759 8.3) of a password in UTF-8; nothing when it is not, or longer than 256 characters.
[[nodiscard]] std::optional<SecretBytes> password_hash(ByteView password);

/// All that one exchange of challenges and names leads to.
struct Exchange {
  Challenge server_challenge{};
  Challenge peer_challenge{};
  std::string_view name;  // with or without a domain in front of a backslash, which does not count
};
/// GenerateNTResponse (RFC 2759 8.1).
[[nodiscard]] Response nt_response(const Exchange& exchange, const SecretBytes& hash);
/// GenerateAuthenticatorResponse (RFC 2759 8.7): "S=" and 40 hexadecimal digits.
[[nodiscard]] std::string authenticator_response(const Exchange& exchange, const SecretBytes& hash,
                                                 const Response& response);
/// The server's receive key, its send key (RFC 3079 3.4, 128 bits each) and zeros: 64 octets, as EAP exports them.
[[nodiscard]] SecretBytes master_session_key(const SecretBytes& hash, const Response& response);

}  // namespace culvert::ike::eap::ms_chap
