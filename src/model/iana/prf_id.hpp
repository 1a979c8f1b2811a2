// IKEv2 Pseudorandom Function Transform IDs; the enum value is the wire value. RFC 7296 3.3.2.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class PrfId : std::uint16_t {
  hmac_md5 = 1,       // RFC 2104
  hmac_sha1 = 2,      // RFC 2104
  aes128_xcbc = 4,    // RFC 4434
  hmac_sha2_256 = 5,  // RFC 4868
  hmac_sha2_384 = 6,  // RFC 4868
  hmac_sha2_512 = 7,  // RFC 4868
  aes128_cmac = 8,    // RFC 4615
};

inline constexpr RegistryName<PrfId> kPrfIdNames[] = {
    {PrfId::hmac_md5, "PRF_HMAC_MD5"},           {PrfId::hmac_sha1, "PRF_HMAC_SHA1"},
    {PrfId::aes128_xcbc, "PRF_AES128_XCBC"},     {PrfId::hmac_sha2_256, "PRF_HMAC_SHA2_256"},
    {PrfId::hmac_sha2_384, "PRF_HMAC_SHA2_384"}, {PrfId::hmac_sha2_512, "PRF_HMAC_SHA2_512"},
    {PrfId::aes128_cmac, "PRF_AES128_CMAC"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(PrfId value) { return find_name(kPrfIdNames, value); }

}  // namespace culvert::model
