// The keys of an EAP method as a RADIUS server hands them over: MS-MPPE-Send-Key and MS-MPPE-Recv-Key (RFC 2548 2.4.2,
// 2.4.3), hidden by the shared secret.
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "radius/packet.hpp"

namespace culvert::radius {

/// The key in the value of such an attribute (salt, then the hidden octets); nothing when it makes no sense.
[[nodiscard]] std::optional<SecretBytes> reveal_key(ByteView value, const Authenticator& request, ByteView secret);
/// The other way round, as a server does it. `salt` has its top bit set, and is used once in a packet.
[[nodiscard]] Bytes hide_key(ByteView key, std::uint16_t salt, const Authenticator& request, ByteView secret);

/// The MSK of the method (RFC 3748 7.10): what the client received first, then what it sends, at least 64 octets: the
/// keys of MSCHAPv2 are shorter, and zeros follow. Empty when the answer has no keys; nothing when they are no keys.
[[nodiscard]] std::optional<SecretBytes> msk_of(const Packet& accept, const Authenticator& request, ByteView secret);

}  // namespace culvert::radius
