// The attributes of the Configuration payload (RFC 7296 3.15, RFC 8598, RFC 9464): what a CFG_REQUEST asks for and what
// a CFG_REPLY gives, from and to the payload whose attributes parse.hpp has cut out. Total: an attribute that is not
// known, has a length it cannot have or a value that makes no sense is left out and counted, never refused (RFC 7296
// 3.15.1).
#pragma once

#include <vector>

#include "ike/codec/payload.hpp"
#include "model/configuration.hpp"

namespace culvert::ike::codec {

/// So many of each list are looked at.
inline constexpr std::size_t kMostConfigurationAddresses = 8;
inline constexpr std::size_t kMostConfigurationValues = 64;

/// CFG_REQUEST as it is read.
struct ConfigurationRequest {
  std::vector<model::AddressWish> addresses;  // at most kMostConfigurationAddresses
  bool netmask = false;
  bool domains = false;                    // RFC 8598 2: the peer knows split DNS
  bool encrypted_dns[2] = {false, false};  // RFC 9464 4: over IPv4, IPv6
  bool version = false;
  bool supported = false;
  std::size_t ignored = 0;  // attributes that were of no use
};
[[nodiscard]] ConfigurationRequest read_request(const ConfigurationPayload& payload);

/// CFG_REPLY as it is read. IPv6 prefixes of addresses are dropped: the tunnel is no link.
struct ConfigurationReply {
  model::Configuration configuration;
  std::size_t ignored = 0;
};
[[nodiscard]] ConfigurationReply read_reply(const ConfigurationPayload& payload);

/// CFG_REQUEST for these addresses, and for all else that read_reply understands.
[[nodiscard]] ConfigurationPayload make_request(const std::vector<model::AddressWish>& addresses);
/// CFG_REPLY with this, and with what `request` asked for beside it. Domains only for a peer that asked for them.
[[nodiscard]] ConfigurationPayload make_reply(const model::Configuration& configuration,
                                              const ConfigurationRequest& request);

}  // namespace culvert::ike::codec
