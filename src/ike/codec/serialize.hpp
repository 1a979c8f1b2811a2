// From IKEv2 messages to octets. Lengths, next-payload fields and substructure chains are computed; reserved fields and
// the critical bit of the payloads we know are zero (RFC 7296 2.5, 3.2). What cannot be written (a payload over 65535
// octets, more than 255 selectors, ...) is a fault of our own and stops the process: nothing of a peer's is sent back
// without a bound of the caller's.
#pragma once

#include <vector>

#include "base/bytes.hpp"
#include "ike/codec/message.hpp"

namespace culvert::ike::codec {

/// A whole message in the clear, for IKE_SA_INIT and for the notifications outside of an IKE SA (RFC 7296 1.5).
[[nodiscard]] Bytes serialize(const Message& message);

/// The chain of payloads as it stands inside an Encrypted payload.
[[nodiscard]] Bytes serialize_payloads(const std::vector<Payload>& payloads);

/// The type of the first payload, or none.
[[nodiscard]] model::PayloadType first_type(const std::vector<Payload>& payloads);

/// Writes the 28 octets of the IKE header into a new buffer with the given next payload and length.
[[nodiscard]] Bytes serialize_header(const Header& header, model::PayloadType next_payload, std::uint32_t length);

}  // namespace culvert::ike::codec
