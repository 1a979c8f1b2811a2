// IKEv2 Identification Payload ID Types; the enum value is the wire value. RFC 7296 3.5.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class IdentificationType : std::uint8_t {
  ipv4_addr = 1,     // four octets
  fqdn = 2,          // a name without trailing dot
  rfc822_addr = 3,   // an e-mail address
  ipv6_addr = 5,     // sixteen octets
  der_asn1_dn = 9,   // X.500 Name
  der_asn1_gn = 10,  // X.509 GeneralName
  key_id = 11,       // opaque
  null = 13,         // RFC 7619
};

inline constexpr RegistryName<IdentificationType> kIdentificationTypeNames[] = {
    {IdentificationType::ipv4_addr, "IPV4_ADDR"},     {IdentificationType::fqdn, "FQDN"},
    {IdentificationType::rfc822_addr, "RFC822_ADDR"}, {IdentificationType::ipv6_addr, "IPV6_ADDR"},
    {IdentificationType::der_asn1_dn, "DER_ASN1_DN"}, {IdentificationType::der_asn1_gn, "DER_ASN1_GN"},
    {IdentificationType::key_id, "KEY_ID"},           {IdentificationType::null, "NULL"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(IdentificationType value) {
  return find_name(kIdentificationTypeNames, value);
}

}  // namespace culvert::model
