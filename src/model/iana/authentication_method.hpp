// IKEv2 Authentication Method; the enum value is the wire value. RFC 7296 3.8.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class AuthenticationMethod : std::uint8_t {
  rsa_signature = 1,       // RFC 7296
  shared_key_mic = 2,      // RFC 7296 2.15
  dss_signature = 3,       // RFC 7296
  ecdsa_256 = 9,           // RFC 4754
  ecdsa_384 = 10,          // RFC 4754
  ecdsa_521 = 11,          // RFC 4754
  secure_password = 12,    // RFC 6467
  null = 13,               // RFC 7619
  digital_signature = 14,  // RFC 7427
};

inline constexpr RegistryName<AuthenticationMethod> kAuthenticationMethodNames[] = {
    {AuthenticationMethod::rsa_signature, "RSA_SIGNATURE"},
    {AuthenticationMethod::shared_key_mic, "SHARED_KEY_MIC"},
    {AuthenticationMethod::dss_signature, "DSS_SIGNATURE"},
    {AuthenticationMethod::ecdsa_256, "ECDSA_256"},
    {AuthenticationMethod::ecdsa_384, "ECDSA_384"},
    {AuthenticationMethod::ecdsa_521, "ECDSA_521"},
    {AuthenticationMethod::secure_password, "SECURE_PASSWORD"},
    {AuthenticationMethod::null, "NULL"},
    {AuthenticationMethod::digital_signature, "DIGITAL_SIGNATURE"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(AuthenticationMethod value) {
  return find_name(kAuthenticationMethodNames, value);
}

}  // namespace culvert::model
