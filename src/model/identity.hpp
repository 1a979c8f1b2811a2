// Identity: who an IKE peer says it is (RFC 7296 3.5), compared octet by octet with the type (RFC 4301 4.4.3).
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "model/iana/identification_type.hpp"
#include "net/address.hpp"

namespace culvert::model {

struct Identity {
  IdentificationType type = IdentificationType::ipv4_addr;
  Bytes data;

  [[nodiscard]] static Identity of(const net::IpAddress& address);
  /// From what a user writes: an address, a name with "@" (RFC822_ADDR, or FQDN when it starts with "@"), "keyid:..."
  /// (text, or hex after "0x"), anything else an FQDN. Distinguished names come with certificates.
  [[nodiscard]] static Identity parse(std::string_view text);
  /// Printable, with foreign octets escaped: "192.0.2.1", "gw.example.net", "keyid:0x0102".
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const Identity&, const Identity&) = default;
};

}  // namespace culvert::model
