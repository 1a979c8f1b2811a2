// Sending and receiving within one IKE SA: sealing, message ids, duplicates, the checks before any handler (RFC
// 7296 2.1 to 2.5, 2.21).
#pragma once

#include <optional>

#include "ike/codec/message.hpp"
#include "ike/codec/parse.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

/// Seals and sends a request of ours with the next message id, on the path of the IKE SA or on another; header fields
/// are filled in here.
void send_request(Core& core, IkeSa& sa, model::ExchangeType exchange, codec::Message message,
                  std::optional<RetransmitPolicy> policy = std::nullopt, const net::Path* path = nullptr);
/// Seals, keeps and sends the response to the peer's request `id` on the path the request came by (RFC 7296 2.11).
void send_response(Core& core, IkeSa& sa, model::ExchangeType exchange, model::MessageId id, codec::Message message,
                   const net::Path& path);

/// An INFORMATIONAL request or response with number 0 that stands outside of the window (RFC 6311 5.1).
void send_unnumbered(Core& core, IkeSa& sa, bool response, codec::Message message, const net::Path& path);

/// A datagram whose SPIs lead to this IKE SA.
void receive(Core& core, IkeSa& sa, const net::Path& path, ByteView datagram, const codec::ParsedMessage& parsed);

/// An unprotected hint that the peer forgot its state: checks soon whether it lives, at a bounded rate (RFC
/// 7296 2.4, 2.21.4).
void suspect(Core& core, IkeSa& sa, std::string_view why);

}  // namespace culvert::ike::v2
