// IKEv2 Configuration Payload Attribute Types; the enum value is the wire value. RFC 7296 3.15.1, RFC 8598 7, RFC 9464
// 8.
#pragma once

#include "model/iana/registry.hpp"

namespace culvert::model {

enum class ConfigurationAttributeType : std::uint16_t {
  internal_ip4_address = 1,
  internal_ip4_netmask = 2,
  internal_ip4_dns = 3,
  internal_ip4_nbns = 4,
  internal_ip4_dhcp = 6,
  application_version = 7,
  internal_ip6_address = 8,
  internal_ip6_dns = 10,
  internal_ip6_dhcp = 12,
  internal_ip4_subnet = 13,
  supported_attributes = 14,
  internal_ip6_subnet = 15,
  internal_dns_domain = 25,  // RFC 8598
  internal_dnssec_ta = 26,   // RFC 8598
  encdns_ip4 = 27,           // RFC 9464
  encdns_ip6 = 28,           // RFC 9464
  encdns_digest_info = 29,   // RFC 9464
};

inline constexpr RegistryName<ConfigurationAttributeType> kConfigurationAttributeNames[] = {
    {ConfigurationAttributeType::internal_ip4_address, "INTERNAL_IP4_ADDRESS"},
    {ConfigurationAttributeType::internal_ip4_netmask, "INTERNAL_IP4_NETMASK"},
    {ConfigurationAttributeType::internal_ip4_dns, "INTERNAL_IP4_DNS"},
    {ConfigurationAttributeType::internal_ip4_nbns, "INTERNAL_IP4_NBNS"},
    {ConfigurationAttributeType::internal_ip4_dhcp, "INTERNAL_IP4_DHCP"},
    {ConfigurationAttributeType::application_version, "APPLICATION_VERSION"},
    {ConfigurationAttributeType::internal_ip6_address, "INTERNAL_IP6_ADDRESS"},
    {ConfigurationAttributeType::internal_ip6_dns, "INTERNAL_IP6_DNS"},
    {ConfigurationAttributeType::internal_ip6_dhcp, "INTERNAL_IP6_DHCP"},
    {ConfigurationAttributeType::internal_ip4_subnet, "INTERNAL_IP4_SUBNET"},
    {ConfigurationAttributeType::supported_attributes, "SUPPORTED_ATTRIBUTES"},
    {ConfigurationAttributeType::internal_ip6_subnet, "INTERNAL_IP6_SUBNET"},
    {ConfigurationAttributeType::internal_dns_domain, "INTERNAL_DNS_DOMAIN"},
    {ConfigurationAttributeType::internal_dnssec_ta, "INTERNAL_DNSSEC_TA"},
    {ConfigurationAttributeType::encdns_ip4, "ENCDNS_IP4"},
    {ConfigurationAttributeType::encdns_ip6, "ENCDNS_IP6"},
    {ConfigurationAttributeType::encdns_digest_info, "ENCDNS_DIGEST_INFO"},
};

/// The registry's name of the value, or "unknown".
[[nodiscard]] constexpr std::string_view name_of(ConfigurationAttributeType value) {
  return find_name(kConfigurationAttributeNames, value);
}

}  // namespace culvert::model
