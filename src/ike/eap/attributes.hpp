// The attributes (AVPs) that EAP-TTLS carries within TLS (RFC 5281 10), taken apart and put together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::ike::eap {

/// Vendor 0 are those of RADIUS and Diameter; values as on the wire.
enum class AttributeCode : std::uint32_t {
  user_name = 1,        // RFC 2865 5.1
  user_password = 2,    // RFC 2865 5.2
  chap_password = 3,    // RFC 2865 5.3
  reply_message = 18,   // RFC 2865 5.18
  chap_challenge = 60,  // RFC 2865 5.40
  eap_message = 79      // RFC 5281 11.2.1
};
/// Of vendor 311 (RFC 2548).
inline constexpr std::uint32_t kMicrosoft = 311;
enum class MicrosoftCode : std::uint32_t {
  chap_error = 2,       // RFC 2548 2.1.5
  chap_challenge = 11,  // RFC 2548 2.1.2
  chap2_response = 25,  // RFC 2548 2.3.2
  chap2_success = 26    // RFC 2548 2.3.3
};

/// The view points into what was parsed.
struct Attribute {
  std::uint32_t vendor = 0;
  std::uint32_t code = 0;
  bool mandatory = false;
  ByteView data;
  [[nodiscard]] bool is(AttributeCode wanted) const {
    return vendor == 0 && code == static_cast<std::uint32_t>(wanted);
  }
  [[nodiscard]] bool is(MicrosoftCode wanted) const {
    return vendor == kMicrosoft && code == static_cast<std::uint32_t>(wanted);
  }
};

/// All that the octets hold, which are any. The error is for a log.
[[nodiscard]] Result<std::vector<Attribute>, std::string> parse_attributes(ByteView octets);

/// Mandatory, padded.
void add_attribute(ByteWriter& out, AttributeCode code, ByteView data);
void add_attribute(ByteWriter& out, MicrosoftCode code, ByteView data);

}  // namespace culvert::ike::eap
