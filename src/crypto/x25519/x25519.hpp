// X25519 (RFC 7748): what OpenSSL needs half as long again for, objects and parameters included, and the public value
// from a table of the base point's multiples.
//
// Time depends on no octet of the scalar or of the peer's value: no branch and no address.
#pragma once

#include <cstddef>

#include "base/bytes.hpp"

namespace culvert::crypto::x25519 {

inline constexpr std::size_t kSize = 32;

/// RFC 7748 5, 6.1: X25519(scalar, 9). Both of kSize octets; the scalar as it was drawn.
void public_value(ByteView scalar, MutableByteView out);
/// X25519(scalar, peer). Zeros for a peer's value of small order: whoever calls refuses them (RFC 7748 6.1).
void shared_secret(ByteView scalar, ByteView peer, MutableByteView out);

}  // namespace culvert::crypto::x25519
