// ParseError: why octets are not an IKEv2 message, and where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/iana/payload_type.hpp"

namespace culvert::ike::codec {

enum class ParseFault : std::uint8_t {
  truncated_header,      // fewer octets than an IKE header has
  unsupported_version,   // major version is not 2
  wrong_message_length,  // the header's length is not the datagram's
  zero_initiator_spi,    // RFC 7296 3.1: must not be zero
  truncated_payload,     // the payload chain or a field runs past its end
  wrong_payload_length,  // octets too many, or a length below the structure's own size
  too_many_payloads,
  trailing_octets,          // behind the last payload, or behind the Encrypted payload
  nested_encrypted,         // an Encrypted payload inside another
  nested_fragment,          // an Encrypted Fragment payload inside an encrypted message
  bad_fragment_number,      // RFC 7383 2.6: a number or total of zero, or a number above the total
  payload_before_fragment,  // RFC 7383 2.5.3: only the first fragment may have payloads in the clear
  bad_substructure_chain,   // "last substructure" octets or counts do not fit (RFC 7296 3.3)
  too_many_proposals,
  too_many_transforms,
  too_many_attributes,
  bad_spi_size,  // the SPI's size does not fit the protocol
  too_many_spis,
  bad_notify_length,    // a COOKIE outside 1 to 64 octets (RFC 7296 2.6), an INVALID_KE_PAYLOAD without a method (1.3)
  bad_nonce_length,     // RFC 7296 3.9: 16 to 256 octets
  empty_field,          // data that must not be empty is
  bad_identity_length,  // an address of the wrong size
  bad_selector,         // a selector's length, or a range whose end lies before its start
};
[[nodiscard]] std::string_view name_of(ParseFault fault);

struct ParseError {
  ParseFault fault = ParseFault::truncated_header;
  /// The payload in which it lies; none for the IKE header and the chain itself.
  model::PayloadType payload = model::PayloadType::none;
  /// Octets from the start of what was parsed (the message, or the decrypted payload chain) to the payload or header at
  /// fault.
  std::size_t offset = 0;

  /// "truncated payload in Nonce at octet 48".
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const ParseError&, const ParseError&) = default;
};

}  // namespace culvert::ike::codec
