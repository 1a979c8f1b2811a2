// Session resumption (RFC 5723), what both roles and all exchanges have in common: tickets asked for, given, kept and
// spent. The exchange itself is in session_resume_initiator.hpp and session_resume_responder.hpp; its IKE_AUTH is the
// ordinary one, with proofs by the keys of the IKE SA.
#pragma once

#include <optional>
#include <string>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/ike_sa_init_initiator.hpp"
#include "ike/v2/ticket_memory.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// What the ticket says, in an IKE SA that is being resumed.
struct Resumption {
  TicketState state;
  std::optional<Beginning> beginning = {};  // as initiator: for one in full, should this come to nothing
};

/// The connection as IKE_AUTH of a resumed IKE SA needs it: both sides prove themselves with its keys (RFC 5723 4.3.3),
/// without EAP, further rounds and certificates.
[[nodiscard]] model::ConnectionConfig as_resumed(model::ConnectionConfig config);
/// Derives the keys of an IKE SA from its ticket and the nonces (RFC 5723 5.1).
[[nodiscard]] Result<void, crypto::CryptoError> key_resumed(Core& core, IkeSa& sa, ByteView nonce_i, ByteView nonce_r);

/// Before the resumed IKE SA stands: how long its proof is good is what was left of that when the ticket was given, and
/// no more.
void restore_proof(Core& core, IkeSa& sa);

// ---------------------------------------------------------------- initiator

/// Peers of the connection are asked for tickets.
[[nodiscard]] bool wants_tickets(const model::ConnectionConfig& config);
void request_ticket(codec::Message& message, const model::ConnectionConfig& config);
/// The answer to that, in a message under the IKE SA, which stands.
void take_ticket(Core& core, IkeSa& sa, const codec::Message& message);
/// The IKE SA stands: if it was resumed, the ticket is used, and keys from a key exchange of its own follow soon.
void note_resumed(Core& core, IkeSa& sa);
/// Asks in an INFORMATIONAL.
void ask_for_ticket(IkeSa& sa);
/// That may be shown on the path now; null: none.
[[nodiscard]] HeldTicket* ticket_for(Core& core, const model::ConnectionConfig& config, const net::Path& path);
/// It was shown, and the peer says nothing: the next attempt is without it.
void note_unanswered(Core& core, model::ConnectionId connection);
void forget_ticket(Core& core, model::ConnectionId connection);

// ---------------------------------------------------------------- responder

/// Into the answer, what the request asks for: a ticket for the IKE SA `sa`, which stands or is about to, or that there
/// is none.
void answer_ticket_request(codec::Message& answer, Core& core, IkeSa& sa, const codec::Message& request);
/// Nobody can resume from it again.
void spend_ticket(Core& core, const TicketState& state);
/// The ticket's IKE SA, if it still stands, ends without a word (RFC 5723 4.3.4): its peer has proved that it is
/// resumed.
void end_resumed_from(Core& core, const TicketState& state);

// ---------------------------------------------------------------- either

/// The IKE SA ends: what becomes of its ticket.
void note_end(Core& core, IkeSa& sa, CloseReason reason);
/// A rekey replaces it.
void renew_ticket(Core& core, IkeSa& old, IkeSa& next);

}  // namespace culvert::ike::v2
