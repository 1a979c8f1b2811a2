// EAP Code and Method Type; the enum value is the wire value. RFC 3748 4, 5.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class EapCode : std::uint8_t {
  request = 1,   // RFC 3748 4.1
  response = 2,  // RFC 3748 4.1
  success = 3,   // RFC 3748 4.2
  failure = 4,   // RFC 3748 4.2
};

enum class EapType : std::uint8_t {
  identity = 1,       // RFC 3748 5.1
  notification = 2,   // RFC 3748 5.2
  nak = 3,            // RFC 3748 5.3.1
  md5_challenge = 4,  // RFC 3748 5.4
  gtc = 6,            // RFC 3748 5.6
  tls = 13,           // RFC 5216, RFC 9190
  ttls = 21,          // RFC 5281
  peap = 25,          // draft-josefsson-pppext-eap-tls-eap
  mschapv2 = 26,      // draft-kamath-pppext-eap-mschapv2
  tlv = 33,           // PEAP's result, draft-josefsson-pppext-eap-tls-eap
  expanded = 254,     // RFC 3748 5.7
};

inline constexpr RegistryName<EapType> kEapTypeNames[] = {
    {EapType::identity, "IDENTITY"}, {EapType::notification, "NOTIFICATION"},
    {EapType::nak, "NAK"},           {EapType::md5_challenge, "MD5"},
    {EapType::gtc, "GTC"},           {EapType::tls, "TLS"},
    {EapType::ttls, "TTLS"},         {EapType::peap, "PEAP"},
    {EapType::mschapv2, "MSCHAPV2"}, {EapType::tlv, "TLV"},
    {EapType::expanded, "EXPANDED"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(EapType value) { return find_name(kEapTypeNames, value); }

}  // namespace culvert::model
