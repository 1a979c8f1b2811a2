// One block of DES, which nothing may use but MS-CHAPv2's response (RFC 2759 8.6).
#pragma once

#include <array>
#include <cstdint>

namespace culvert::crypto {

using DesBlock = std::array<std::uint8_t, 8>;

/// `key` is 56 bits; the parity that DES wants is put in here.
[[nodiscard]] DesBlock des_encrypt(const std::array<std::uint8_t, 7>& key, const DesBlock& block);

}  // namespace culvert::crypto
