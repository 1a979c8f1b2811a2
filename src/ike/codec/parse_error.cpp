#include "ike/codec/parse_error.hpp"

#include <fmt/format.h>

namespace culvert::ike::codec {

std::string_view name_of(ParseFault fault) {
  switch (fault) {
    case ParseFault::truncated_header: return "truncated IKE header";
    case ParseFault::unsupported_version: return "unsupported major version";
    case ParseFault::wrong_message_length: return "wrong message length";
    case ParseFault::zero_initiator_spi: return "zero initiator SPI";
    case ParseFault::truncated_payload: return "truncated payload";
    case ParseFault::wrong_payload_length: return "wrong payload length";
    case ParseFault::too_many_payloads: return "too many payloads";
    case ParseFault::trailing_octets: return "trailing octets";
    case ParseFault::nested_encrypted: return "nested Encrypted payload";
    case ParseFault::nested_fragment: return "message fragment inside a message";
    case ParseFault::bad_fragment_number: return "impossible fragment number";
    case ParseFault::payload_before_fragment: return "payloads in front of a later fragment";
    case ParseFault::bad_substructure_chain: return "inconsistent chain of substructures";
    case ParseFault::too_many_proposals: return "too many proposals";
    case ParseFault::too_many_transforms: return "too many transforms";
    case ParseFault::too_many_attributes: return "too many attributes";
    case ParseFault::bad_spi_size: return "wrong SPI size";
    case ParseFault::too_many_spis: return "too many SPIs";
    case ParseFault::bad_notify_length: return "wrong length of notification data";
    case ParseFault::bad_nonce_length: return "wrong nonce length";
    case ParseFault::empty_field: return "empty field";
    case ParseFault::bad_identity_length: return "wrong identity length";
    case ParseFault::bad_selector: return "invalid traffic selector";
  }
  return "unknown";
}

std::string ParseError::to_string() const {
  if (payload == model::PayloadType::none) return fmt::format("{} at octet {}", name_of(fault), offset);
  const std::string_view name = model::name_of(payload);
  if (name == "unknown") {
    return fmt::format("{} in payload type {} at octet {}", name_of(fault), static_cast<unsigned>(payload), offset);
  }
  return fmt::format("{} in payload {} at octet {}", name_of(fault), name, offset);
}

}  // namespace culvert::ike::codec
