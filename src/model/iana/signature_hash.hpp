// IKEv2 Hash Algorithms, as SIGNATURE_HASH_ALGORITHMS lists them; the enum value is the wire value. RFC 7427 7, RFC
// 8420 4.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class SignatureHash : std::uint16_t {
  sha1 = 1,
  sha2_256 = 2,
  sha2_384 = 3,
  sha2_512 = 4,
  identity = 5,  // RFC 8420: the algorithm hashes by itself
};

inline constexpr RegistryName<SignatureHash> kSignatureHashNames[] = {
    {SignatureHash::sha1, "SHA1"},         {SignatureHash::sha2_256, "SHA2_256"}, {SignatureHash::sha2_384, "SHA2_384"},
    {SignatureHash::sha2_512, "SHA2_512"}, {SignatureHash::identity, "IDENTITY"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(SignatureHash value) { return find_name(kSignatureHashNames, value); }

}  // namespace culvert::model
