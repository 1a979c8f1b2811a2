#include "ike/codec/configuration.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <span>
#include <string>
#include <utility>

namespace culvert::ike::codec {
namespace {

using model::ConfigurationAttributeType;
using net::Family;
using net::IpAddress;
using Attribute = ConfigurationAttributeType;

constexpr std::uint16_t kAlpn = 1;  // RFC 9460 14.3.2
constexpr std::uint16_t kPort = 3;
constexpr std::size_t kMostProtocols = 8;

constexpr Attribute kKnown[] = {
    Attribute::internal_ip4_address, Attribute::internal_ip4_netmask, Attribute::internal_ip4_dns,
    Attribute::application_version,  Attribute::internal_ip6_address, Attribute::internal_ip6_dns,
    Attribute::internal_ip4_subnet,  Attribute::supported_attributes, Attribute::internal_ip6_subnet,
    Attribute::internal_dns_domain,  Attribute::encdns_ip4,           Attribute::encdns_ip6,
};

void put(ConfigurationPayload& payload, Attribute type, Bytes value = {}) {
  payload.attributes.push_back({static_cast<std::uint16_t>(type), std::move(value)});
}

Bytes with_length(const IpAddress& address, unsigned length) {
  Bytes value = to_bytes(address.bytes());
  value.push_back(static_cast<std::uint8_t>(length));
  return value;
}

Bytes netmask(unsigned length) {
  ByteWriter out;
  out.u32(length == 0 ? 0 : ~std::uint32_t{0} << (32 - length));
  return out.take();
}

/// One that a host can have.
bool is_usable(const IpAddress& address) {
  return !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
}

std::optional<IpAddress> host_address(ByteView value, Family family) {
  if (value.size() != (family == Family::v4 ? 4U : 16U)) return std::nullopt;
  const IpAddress address = IpAddress::load(family, value.data());
  return is_usable(address) ? std::optional(address) : std::nullopt;
}

/// INTERNAL_IP6_ADDRESS has a prefix length behind it; some peers leave it out.
std::optional<IpAddress> inner_address(ByteView value, Family family) {
  if (family == Family::v6 && value.size() == 17) value = value.first(16);
  return host_address(value, family);
}

std::optional<net::Prefix> subnet(ByteView value, Family family) {
  if (family == Family::v6)
    return value.size() == 17 ? net::Prefix::make(IpAddress::load(family, value.data()), value[16]) : std::nullopt;
  if (value.size() != 8) return std::nullopt;
  const std::uint32_t mask = load_be32(value.data() + 4);
  const auto length = static_cast<unsigned>(std::countl_one(mask));
  if (mask != (length == 0 ? 0 : ~std::uint32_t{0} << (32 - length))) return std::nullopt;
  return net::Prefix::make(IpAddress::load(family, value.data()), length);
}

std::optional<std::string> domain(ByteView value) {
  std::string text(reinterpret_cast<const char*>(value.data()), value.size());
  if (!model::is_domain_name(text)) return std::nullopt;
  return text;
}

// RFC 9460 7.1.1: each id behind one octet of length.
bool read_alpn(ByteView value, model::EncryptedDns& resolver) {
  ByteReader reader(value);
  while (!reader.at_end()) {
    const ByteView id = reader.bytes(reader.u8());
    if (!reader.ok() || id.empty()) return false;
    const bool printable = std::ranges::all_of(id, [](std::uint8_t c) { return c > 0x20 && c < 0x7f; });
    if (printable && resolver.protocols.size() < kMostProtocols) resolver.protocols.emplace_back(id.begin(), id.end());
  }
  return true;
}

// RFC 9460 2.2: key, length, value; keys ascend, each once.
bool read_service_parameters(ByteReader& reader, model::EncryptedDns& resolver) {
  int last = -1;
  while (!reader.at_end()) {
    const std::uint16_t key = reader.u16();
    const ByteView value = reader.bytes(reader.u16());
    if (!reader.ok() || key <= last) return false;
    last = key;
    if (key == kAlpn && !read_alpn(value, resolver)) return false;
    if (key == kPort) {
      if (value.size() != 2) return false;
      resolver.port = load_be16(value.data());
    }
  }
  return true;
}

std::optional<model::EncryptedDns> encrypted_dns(ByteView value, Family family) {
  ByteReader reader(value);
  model::EncryptedDns resolver;
  resolver.priority = reader.u16();
  const std::size_t count = reader.u8();
  const std::size_t name_length = reader.u8();
  // RFC 9464 3.1: neither is 0 in a reply.
  if (!reader.ok() || resolver.priority == 0 || count == 0) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    const ByteView octets = reader.bytes(family == Family::v4 ? 4 : 16);
    if (!reader.ok()) return std::nullopt;
    const auto address = host_address(octets, family);
    if (address && resolver.addresses.size() < kMostConfigurationAddresses) resolver.addresses.push_back(*address);
  }
  const ByteView name = reader.bytes(name_length);
  if (!reader.ok() || resolver.addresses.empty()) return std::nullopt;
  if (!name.empty()) {
    auto text = domain(name);
    if (!text) return std::nullopt;
    resolver.name = std::move(*text);
  }
  if (!read_service_parameters(reader, resolver)) return std::nullopt;
  return resolver;
}

// RFC 9464 3.1, with the service parameters that read_service_parameters knows, in ascending order.
Bytes encrypted_dns_value(const model::EncryptedDns& resolver, Family family) {
  ByteWriter out;
  out.u16(resolver.priority);
  out.u8(static_cast<std::uint8_t>(std::ranges::count(resolver.addresses, family, &IpAddress::family)));
  out.u8(static_cast<std::uint8_t>(resolver.name.size()));
  for (const IpAddress& address : resolver.addresses) {
    if (address.family() == family) out.bytes(address.bytes());
  }
  out.bytes(as_bytes(resolver.name));
  if (!resolver.protocols.empty()) {
    std::size_t length = 0;
    for (const std::string& id : resolver.protocols) length += 1 + id.size();
    out.u16(kAlpn);
    out.u16(static_cast<std::uint16_t>(length));
    for (const std::string& id : resolver.protocols) {
      out.u8(static_cast<std::uint8_t>(id.size()));
      out.bytes(as_bytes(id));
    }
  }
  if (resolver.port) {
    out.u16(kPort);
    out.u16(2);
    out.u16(*resolver.port);
  }
  return out.take();
}

bool is_encrypted_dns(const ConfigurationAttribute& attribute) {
  const auto type = static_cast<Attribute>(attribute.type);
  return type == Attribute::encdns_ip4 || type == Attribute::encdns_ip6;
}

void put_encrypted_dns(ConfigurationPayload& payload, const model::EncryptedDns& resolver,
                       const ConfigurationRequest& request) {
  const std::tuple<Attribute, Family, bool> families[] = {
      {Attribute::encdns_ip4, Family::v4, request.encrypted_dns[0]},
      {Attribute::encdns_ip6, Family::v6, request.encrypted_dns[1]}};
  for (const auto& [type, family, asked] : families) {
    if (asked && std::ranges::find(resolver.addresses, family, &IpAddress::family) != resolver.addresses.end())
      put(payload, type, encrypted_dns_value(resolver, family));
  }
}

/// Appends what was read; false when there was nothing or the list is full.
template <typename T>
bool keep(std::vector<T>& list, std::optional<T> value, std::size_t most = kMostConfigurationValues) {
  if (!value || list.size() >= most) return false;
  list.push_back(std::move(*value));
  return true;
}

bool read_attribute(const ConfigurationAttribute& attribute, model::Configuration& into) {
  const ByteView value = attribute.value;
  // RFC 7296 3.15.1: of lists an empty value means that there is none.
  if (value.empty()) return true;
  switch (static_cast<Attribute>(attribute.type)) {
    case Attribute::internal_ip4_address:
      return keep(into.addresses, inner_address(value, Family::v4), kMostConfigurationAddresses);
    case Attribute::internal_ip6_address:
      return keep(into.addresses, inner_address(value, Family::v6), kMostConfigurationAddresses);
    case Attribute::internal_ip4_dns:
      return keep(into.dns_servers, host_address(value, Family::v4), kMostConfigurationAddresses);
    case Attribute::internal_ip6_dns:
      return keep(into.dns_servers, host_address(value, Family::v6), kMostConfigurationAddresses);
    case Attribute::internal_ip4_subnet: return keep(into.subnets, subnet(value, Family::v4));
    case Attribute::internal_ip6_subnet: return keep(into.subnets, subnet(value, Family::v6));
    case Attribute::internal_dns_domain: return keep(into.domains, domain(value));
    case Attribute::encdns_ip4: return keep(into.encrypted_dns, encrypted_dns(value, Family::v4));
    case Attribute::encdns_ip6: return keep(into.encrypted_dns, encrypted_dns(value, Family::v6));
    default: return false;
  }
}

// RFC 7296 3.15.1: an empty value asks for any address, another for this one. Of IPv6 some low octets may be wished
// for, the rest zero.
bool read_wish(ByteView value, Family family, ConfigurationRequest& request) {
  if (request.addresses.size() >= kMostConfigurationAddresses) return false;
  const bool lengths_fit = value.empty() || value.size() == 4U || value.size() == 16U || value.size() == 17U;
  if (!lengths_fit) return false;
  request.addresses.push_back({family, inner_address(value, family)});
  return true;
}

}  // namespace

ConfigurationRequest read_request(const ConfigurationPayload& payload) {
  ConfigurationRequest request;
  for (const ConfigurationAttribute& attribute : payload.attributes) {
    bool useful = true;
    switch (static_cast<Attribute>(attribute.type)) {
      case Attribute::internal_ip4_address: useful = read_wish(attribute.value, Family::v4, request); break;
      case Attribute::internal_ip6_address: useful = read_wish(attribute.value, Family::v6, request); break;
      case Attribute::internal_ip4_netmask: request.netmask = true; break;
      case Attribute::internal_dns_domain: request.domains = true; break;
      case Attribute::encdns_ip4: request.encrypted_dns[0] = true; break;
      case Attribute::encdns_ip6: request.encrypted_dns[1] = true; break;
      case Attribute::application_version: request.version = true; break;
      case Attribute::supported_attributes: request.supported = true; break;
      // Given whether they are asked for or not.
      case Attribute::internal_ip4_dns:
      case Attribute::internal_ip6_dns:
      case Attribute::internal_ip4_subnet:
      case Attribute::internal_ip6_subnet: break;
      default: useful = false;
    }
    if (!useful) ++request.ignored;
  }
  return request;
}

ConfigurationReply read_reply(const ConfigurationPayload& payload) {
  ConfigurationReply reply;
  for (const ConfigurationAttribute& attribute : payload.attributes) {
    if (!read_attribute(attribute, reply.configuration)) ++reply.ignored;
  }
  std::ranges::stable_sort(reply.configuration.encrypted_dns, {}, &model::EncryptedDns::priority);
  return reply;
}

ConfigurationPayload make_request(const std::vector<model::AddressWish>& addresses) {
  ConfigurationPayload payload{model::ConfigurationType::request, {}};
  bool v4 = false;
  bool v6 = false;
  for (const model::AddressWish& wish : addresses) {
    (wish.family == Family::v4 ? v4 : v6) = true;
    if (wish.family == Family::v4) {
      put(payload, Attribute::internal_ip4_address, wish.address ? to_bytes(wish.address->bytes()) : Bytes());
    } else {
      put(payload, Attribute::internal_ip6_address, wish.address ? with_length(*wish.address, 128) : Bytes());
    }
  }
  if (v4) {
    put(payload, Attribute::internal_ip4_dns);
    put(payload, Attribute::internal_ip4_subnet);
    put(payload, Attribute::encdns_ip4);
  }
  if (v6) {
    put(payload, Attribute::internal_ip6_dns);
    put(payload, Attribute::internal_ip6_subnet);
    put(payload, Attribute::encdns_ip6);
  }
  // RFC 8598 2: its presence says that split DNS is understood.
  put(payload, Attribute::internal_dns_domain);
  return payload;
}

ConfigurationPayload make_reply(const model::Configuration& configuration, const ConfigurationRequest& request) {
  ConfigurationPayload payload{model::ConfigurationType::reply, {}};
  for (const IpAddress& address : configuration.addresses) {
    if (address.is_v4()) {
      put(payload, Attribute::internal_ip4_address, to_bytes(address.bytes()));
    } else {
      put(payload, Attribute::internal_ip6_address, with_length(address, 128));
    }
  }
  // RFC 7296 3.15.1: a netmask implies a link, and the tunnel is none.
  const bool has_v4 = std::ranges::any_of(configuration.addresses, &IpAddress::is_v4);
  if (request.netmask && has_v4) put(payload, Attribute::internal_ip4_netmask, netmask(32));
  for (const IpAddress& server : configuration.dns_servers)
    put(payload, server.is_v4() ? Attribute::internal_ip4_dns : Attribute::internal_ip6_dns, to_bytes(server.bytes()));
  for (const model::EncryptedDns& resolver : configuration.encrypted_dns) put_encrypted_dns(payload, resolver, request);
  // RFC 8598 2, 3.1, RFC 9464 4: only for who asked, and only beside a server that they are resolved by.
  const bool encrypted = std::ranges::any_of(payload.attributes, is_encrypted_dns);
  if (request.domains && (encrypted || !configuration.dns_servers.empty())) {
    for (const std::string& name : configuration.domains)
      put(payload, Attribute::internal_dns_domain, Bytes(name.begin(), name.end()));
  }
  for (const net::Prefix& prefix : configuration.subnets) {
    if (prefix.address.is_v4()) {
      Bytes value = to_bytes(prefix.address.bytes());
      std::ranges::copy(netmask(prefix.length), std::back_inserter(value));
      put(payload, Attribute::internal_ip4_subnet, std::move(value));
    } else {
      put(payload, Attribute::internal_ip6_subnet, with_length(prefix.address, prefix.length));
    }
  }
  // RFC 7296 2.20: an empty version says no more than that the question was understood.
  if (request.version) put(payload, Attribute::application_version);
  if (request.supported) {
    ByteWriter types;
    for (const Attribute type : kKnown) types.u16(static_cast<std::uint16_t>(type));
    put(payload, Attribute::supported_attributes, types.take());
  }
  return payload;
}

}  // namespace culvert::ike::codec
