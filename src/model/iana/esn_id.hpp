// IKEv2 Extended Sequence Numbers Transform IDs; the enum value is the wire value. RFC 7296 3.3.2.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class EsnId : std::uint16_t {
  no_esn = 0,  // 32-bit sequence numbers
  esn = 1,     // 64-bit sequence numbers
};

inline constexpr RegistryName<EsnId> kEsnIdNames[] = {
    {EsnId::no_esn, "NO_ESN"},
    {EsnId::esn, "ESN"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(EsnId value) { return find_name(kEsnIdNames, value); }

}  // namespace culvert::model
