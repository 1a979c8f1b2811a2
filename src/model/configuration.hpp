// What a gateway tells a client of the network behind it, and what a client asks for (RFC 7296 2.19, RFC 8598, RFC
// 9464): plain values, the same for both roles.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "net/address.hpp"

namespace culvert::model {

/// A resolver that is reached by DNS over TLS, HTTPS or QUIC (RFC 9464 3.1).
struct EncryptedDns {
  std::uint16_t priority = 1;  // the lower, the rather
  std::vector<net::IpAddress> addresses;
  std::string name;                    // by which it authenticates; a domain name, or empty
  std::vector<std::string> protocols;  // ALPN ids as they came, printable: "dot", "h2", "doq"
  std::optional<std::uint16_t> port;
  friend bool operator==(const EncryptedDns&, const EncryptedDns&) = default;
};

/// What the gateway gives. All lists are in its order.
struct Configuration {
  std::vector<net::IpAddress> addresses;  // the client's own inside the tunnel
  std::vector<net::IpAddress> dns_servers;
  std::vector<std::string> domains;  // that these servers are for (RFC 8598); empty: for all
  std::vector<net::Prefix> subnets;  // behind the gateway
  std::vector<EncryptedDns> encrypted_dns;
  friend bool operator==(const Configuration&, const Configuration&) = default;
};

/// What the client wants: for each address its family, and the one that it would like to have.
struct AddressWish {
  net::Family family = net::Family::v4;
  std::optional<net::IpAddress> address;
  friend bool operator==(const AddressWish&, const AddressWish&) = default;
};

/// A domain name in presentation form, of letters, digits, '-' and '_' (RFC 8598 3.1: A-labels, no terminators), so
/// that it can be printed and handed on as it is. A dot at its end is allowed.
[[nodiscard]] bool is_domain_name(std::string_view text);

}  // namespace culvert::model
