// EAP packets (RFC 3748 4): header and type, taken apart and put together. What a method writes behind its type is the
// method's.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "model/iana/eap_type.hpp"

namespace culvert::ike::eap {

/// Views point into what was parsed.
struct Packet {
  model::EapCode code = model::EapCode::request;
  std::uint8_t identifier = 0;
  model::EapType type = model::EapType::identity;  // of requests and responses
  ByteView data;                                   // behind the type
};

/// The error says what is wrong, for a log.
[[nodiscard]] Result<Packet, std::string> parse_packet(ByteView octets);

/// A request or response.
[[nodiscard]] Bytes make_packet(model::EapCode code, std::uint8_t identifier, model::EapType type, ByteView data);
/// EAP-Success or EAP-Failure.
[[nodiscard]] Bytes make_end(model::EapCode code, std::uint8_t identifier);

}  // namespace culvert::ike::eap
