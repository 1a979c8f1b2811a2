// MD4 (RFC 1320), which nothing may use but the password hash of MS-CHAPv2 (RFC 2759 8.3): the provider library has it
// only in a part that need not be installed.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.hpp"

namespace culvert::crypto {

using Md4Digest = std::array<std::uint8_t, 16>;

/// The caller wipes it where the message was secret.
[[nodiscard]] Md4Digest md4(ByteView message);

}  // namespace culvert::crypto
