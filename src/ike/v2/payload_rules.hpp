// Which payloads a message of an exchange may and must hold, as a table (RFC 7296 1.2 to 1.4 and appendix C); asked
// before any handler sees the message.
#pragma once

#include <optional>
#include <string>

#include "ike/codec/message.hpp"

namespace culvert::ike::v2 {

/// What the message is for; the exchange type alone does not tell.
enum class MessageForm : std::uint8_t {
  ike_sa_init_request,
  ike_sa_init_response,
  session_resume_request,  // RFC 5723
  session_resume_response,
  ike_intermediate,  // RFC 9370: one additional key exchange, both ways
  ike_auth_request,
  ike_auth_response,
  ike_auth_further_request,  // RFC 7296 2.16: EAP, or the AUTH behind it
  ike_auth_further_response,
  create_child_sa_request,  // a new or a rekeyed Child SA
  create_child_sa_response,
  rekey_ike_sa_request,
  rekey_ike_sa_response,
  ike_followup_ke,  // RFC 9370: one additional key exchange behind CREATE_CHILD_SA, both ways
  informational
};

/// The form of a request or response in the given exchange; nothing for exchange types that we do not speak.
/// CREATE_CHILD_SA is told apart by its SA payload: one that proposes IKE rekeys the IKE SA (RFC 7296 1.3.2).
[[nodiscard]] std::optional<MessageForm> form_of(const codec::Message& message);

/// What is wrong with the set of payloads, as words for a log; nothing when it is right. A response with an error
/// notification needs no other payload. Unknown payloads and notifications are always allowed (RFC 7296 2.5).
[[nodiscard]] std::optional<std::string> payload_fault(MessageForm form, const codec::Message& message);

}  // namespace culvert::ike::v2
