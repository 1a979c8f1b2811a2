// IKEv2 Security Protocol Identifiers; the enum value is the wire value. RFC 7296 3.3.1.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class ProtocolId : std::uint8_t {
  none = 0,  // a notification about no SA
  ike = 1,   // RFC 7296
  ah = 2,    // RFC 4302
  esp = 3,   // RFC 4303
};

inline constexpr RegistryName<ProtocolId> kProtocolIdNames[] = {
    {ProtocolId::none, "none"},
    {ProtocolId::ike, "IKE"},
    {ProtocolId::ah, "AH"},
    {ProtocolId::esp, "ESP"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(ProtocolId value) { return find_name(kProtocolIdNames, value); }

}  // namespace culvert::model
