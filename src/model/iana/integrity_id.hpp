// IKEv2 Integrity Algorithm Transform IDs; the enum value is the wire value. RFC 7296 3.3.2.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class IntegrityId : std::uint16_t {
  none = 0,                // RFC 7296
  hmac_md5_96 = 1,         // RFC 2403
  hmac_sha1_96 = 2,        // RFC 2404
  aes_xcbc_96 = 5,         // RFC 3566
  aes_cmac_96 = 8,         // RFC 4494
  aes_128_gmac = 9,        // RFC 4543
  aes_192_gmac = 10,       // RFC 4543
  aes_256_gmac = 11,       // RFC 4543
  hmac_sha2_256_128 = 12,  // RFC 4868
  hmac_sha2_384_192 = 13,  // RFC 4868
  hmac_sha2_512_256 = 14,  // RFC 4868
};

inline constexpr RegistryName<IntegrityId> kIntegrityIdNames[] = {
    {IntegrityId::none, "NONE"},
    {IntegrityId::hmac_md5_96, "HMAC_MD5_96"},
    {IntegrityId::hmac_sha1_96, "HMAC_SHA1_96"},
    {IntegrityId::aes_xcbc_96, "AES_XCBC_96"},
    {IntegrityId::aes_cmac_96, "AES_CMAC_96"},
    {IntegrityId::aes_128_gmac, "AES_128_GMAC"},
    {IntegrityId::aes_192_gmac, "AES_192_GMAC"},
    {IntegrityId::aes_256_gmac, "AES_256_GMAC"},
    {IntegrityId::hmac_sha2_256_128, "HMAC_SHA2_256_128"},
    {IntegrityId::hmac_sha2_384_192, "HMAC_SHA2_384_192"},
    {IntegrityId::hmac_sha2_512_256, "HMAC_SHA2_512_256"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(IntegrityId value) { return find_name(kIntegrityIdNames, value); }

}  // namespace culvert::model
