// From octets to IKEv2 messages. Total: any octets give a message or a ParseError, in time and memory bounded by their
// number; nothing is remembered between calls. Reserved fields and bits are ignored (RFC 7296 2.5). An Encrypted
// payload stays sealed: see seal.hpp for opening it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "ike/codec/message.hpp"
#include "ike/codec/parse_error.hpp"

namespace culvert::ike::codec {

/// Bounds on what one message may hold, far above what any peer has reason to send.
inline constexpr std::size_t kMaxPayloads = 128;
inline constexpr std::size_t kMaxProposals = 64;
inline constexpr std::size_t kMaxTransforms = 128;  // per proposal
inline constexpr std::size_t kMaxTransformAttributes = 8;
inline constexpr std::size_t kMaxDeleteSpis = 1024;
inline constexpr std::size_t kMaxConfigurationAttributes = 255;
inline constexpr std::size_t kMinNonce = 16;
inline constexpr std::size_t kMaxNonce = 256;

/// Which part of a message an Encrypted Fragment payload holds (RFC 7383 2.5): 1 <= number <= total.
struct FragmentPlace {
  std::uint16_t number = 1;
  std::uint16_t total = 1;
  friend bool operator==(const FragmentPlace&, const FragmentPlace&) = default;
};

/// Where in the message the Encrypted payload lies (RFC 7296 3.14), or the Encrypted Fragment payload (RFC 7383 2.5).
/// What of its body is IV and ICV depends on the suite.
struct SealedPayload {
  std::size_t offset = 0;  // of its generic header; its body follows 4 octets later and ends with the message
  model::PayloadType first_inner = model::PayloadType::none;  // of a fragment only the first one's means anything
  std::optional<FragmentPlace> fragment = {};
  std::uint8_t flags = 0;  // the octet with the critical bit, as received (RFC 9242 3.3.2 has a use for it)
  friend bool operator==(const SealedPayload&, const SealedPayload&) = default;
};

/// A received message before any decryption.
struct ParsedMessage {
  Header header;
  /// The payloads outside of (in front of) the Encrypted payload; in a message with one they carry no meaning for an
  /// exchange.
  std::vector<Payload> payloads;
  std::optional<SealedPayload> sealed;
  friend bool operator==(const ParsedMessage&, const ParsedMessage&) = default;
};

/// The fixed header alone, whatever its versions, types and length field say: for routing, and for answering a version
/// that we do not speak. The only fault is truncated_header.
[[nodiscard]] Result<Header, ParseError> parse_header(ByteView message);

/// One whole datagram without non-ESP marker. Unknown payload types, critical or not, are no error here: ask
/// unsupported_critical().
[[nodiscard]] Result<ParsedMessage, ParseError> parse_message(ByteView message);

/// A decrypted chain of payloads, the first of type `first`. Encrypted payloads are not allowed in it.
[[nodiscard]] Result<std::vector<Payload>, ParseError> parse_payloads(model::PayloadType first, ByteView chain);

/// The body of one payload (without its generic header); `offset` only goes into the error.
[[nodiscard]] Result<Payload, ParseError> parse_payload_body(model::PayloadType type, bool critical, ByteView body,
                                                             std::size_t offset = 0);

}  // namespace culvert::ike::codec
