// IKEv2 Configuration Payload CFG Types; the enum value is the wire value. RFC 7296 3.15.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class ConfigurationType : std::uint8_t {
  request = 1,  // CFG_REQUEST
  reply = 2,    // CFG_REPLY
  set = 3,      // CFG_SET
  ack = 4,      // CFG_ACK
};

inline constexpr RegistryName<ConfigurationType> kConfigurationTypeNames[] = {
    {ConfigurationType::request, "CFG_REQUEST"},
    {ConfigurationType::reply, "CFG_REPLY"},
    {ConfigurationType::set, "CFG_SET"},
    {ConfigurationType::ack, "CFG_ACK"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(ConfigurationType value) {
  return find_name(kConfigurationTypeNames, value);
}

}  // namespace culvert::model
