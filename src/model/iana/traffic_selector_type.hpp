// IKEv2 Traffic Selector Types; the enum value is the wire value. RFC 7296 3.13.1.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class TrafficSelectorType : std::uint8_t {
  ipv4_addr_range = 7,  // RFC 7296
  ipv6_addr_range = 8,  // RFC 7296
  fc_addr_range = 9,    // RFC 4595
  secured_label = 10,   // RFC 9478
};

inline constexpr RegistryName<TrafficSelectorType> kTrafficSelectorTypeNames[] = {
    {TrafficSelectorType::ipv4_addr_range, "TS_IPV4_ADDR_RANGE"},
    {TrafficSelectorType::ipv6_addr_range, "TS_IPV6_ADDR_RANGE"},
    {TrafficSelectorType::fc_addr_range, "TS_FC_ADDR_RANGE"},
    {TrafficSelectorType::secured_label, "TS_SECLABEL"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(TrafficSelectorType value) {
  return find_name(kTrafficSelectorTypeNames, value);
}

}  // namespace culvert::model
