// IKEv2 Exchange Types; the enum value is the wire value. RFC 7296 3.1.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class ExchangeType : std::uint8_t {
  ike_sa_init = 34,         // RFC 7296
  ike_auth = 35,            // RFC 7296
  create_child_sa = 36,     // RFC 7296
  informational = 37,       // RFC 7296
  ike_session_resume = 38,  // RFC 5723
  ike_intermediate = 43,    // RFC 9242
  ike_followup_ke = 44,     // RFC 9370
};

inline constexpr RegistryName<ExchangeType> kExchangeTypeNames[] = {
    {ExchangeType::ike_sa_init, "IKE_SA_INIT"},
    {ExchangeType::ike_auth, "IKE_AUTH"},
    {ExchangeType::create_child_sa, "CREATE_CHILD_SA"},
    {ExchangeType::informational, "INFORMATIONAL"},
    {ExchangeType::ike_session_resume, "IKE_SESSION_RESUME"},
    {ExchangeType::ike_intermediate, "IKE_INTERMEDIATE"},
    {ExchangeType::ike_followup_ke, "IKE_FOLLOWUP_KE"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(ExchangeType value) { return find_name(kExchangeTypeNames, value); }

}  // namespace culvert::model
