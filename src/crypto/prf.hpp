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

}  // namespace culvert::crypto
