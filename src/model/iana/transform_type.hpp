// IKEv2 Transform Types; the enum value is the wire value. RFC 7296 3.3.2.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class TransformType : std::uint8_t {
  encryption = 1,    // IKE and ESP
  prf = 2,           // IKE
  integrity = 3,     // IKE, AH, optional in ESP
  key_exchange = 4,  // IKE, optional in AH and ESP; once called D-H
  esn = 5,           // AH and ESP; RFC 9827 calls it SN
};

inline constexpr RegistryName<TransformType> kTransformTypeNames[] = {
    {TransformType::encryption, "ENCR"}, {TransformType::prf, "PRF"}, {TransformType::integrity, "INTEG"},
    {TransformType::key_exchange, "KE"}, {TransformType::esn, "ESN"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(TransformType value) { return find_name(kTransformTypeNames, value); }

}  // namespace culvert::model
