// Identity: who an IKE peer says it is (RFC 7296 3.5), compared octet by octet with the type (RFC 4301 4.4.3), but
// distinguished names by what they say.
#pragma once

#include <compare>
#include <optional>
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
  /// ID_NULL: nobody in particular (RFC 7619 2.2).
  [[nodiscard]] static Identity none() { return {IdentificationType::null, {}}; }
  /// From what a user writes: an address, a name with "@" (RFC822_ADDR, or FQDN when it starts with "@"), "keyid:..."
  /// (text, or hex after "0x"), a distinguished name when there is a "=" in it ("C=CH, O=Example, CN=gw"; without data
  /// when it is malformed), anything else an FQDN.
  [[nodiscard]] static Identity parse(std::string_view text);
  /// What is compared instead of the identity itself: two names that differ in the kind of their strings are one (RFC
  /// 5280 7.1).
  [[nodiscard]] Identity comparable() const;
  /// Printable, with foreign octets escaped: "192.0.2.1", "gw.example.net", "keyid:0x0102".
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const Identity&, const Identity&) = default;
};

/// Identities that one connection is for, many at a time: all mail addresses of a domain ("*@example.org"), all names
/// below one ("*.example.org"), or every identity ("*").
class IdentityPattern {
 public:
  /// Nothing when the text is none of these forms.
  [[nodiscard]] static std::optional<IdentityPattern> parse(std::string_view text);
  /// Octet by octet, as identities are compared.
  [[nodiscard]] bool matches(const Identity& identity) const;
  /// As it was written.
  [[nodiscard]] std::string to_string() const;
  friend auto operator<=>(const IdentityPattern&, const IdentityPattern&) = default;

 private:
  std::optional<IdentificationType> type_;  // nothing: every
  std::string suffix_;                      // with its "@" or "."
};

}  // namespace culvert::model
