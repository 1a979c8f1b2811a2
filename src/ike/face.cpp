#include "ike/face.hpp"

namespace culvert::ike {

std::string_view name_of(CloseReason reason) {
  switch (reason) {
    case CloseReason::local_request: return "closed on request";
    case CloseReason::peer_deleted: return "deleted by the peer";
    case CloseReason::rekeyed: return "rekeyed";
    case CloseReason::peer_dead: return "the peer does not answer";
    case CloseReason::superseded: return "superseded by a newer one";
    case CloseReason::protocol_error: return "the peer broke the protocol";
    case CloseReason::lifetime_expired: return "lifetime expired";
    case CloseReason::negotiation_failed: return "negotiation failed";
    case CloseReason::reauthenticated: return "authenticated anew";
    case CloseReason::redirected: return "redirected to another gateway";
    case CloseReason::peer_restarted: return "the peer has restarted";
  }
  return "unknown";
}

std::string_view name_of(FailureKind kind) {
  switch (kind) {
    case FailureKind::no_answer: return "no_answer";
    case FailureKind::no_proposal_chosen: return "no_proposal_chosen";
    case FailureKind::authentication_failed: return "authentication_failed";
    case FailureKind::traffic_selectors: return "traffic_selectors";
    case FailureKind::unknown_peer: return "unknown_peer";
    case FailureKind::peer_refused: return "peer_refused";
    case FailureKind::protocol_error: return "protocol_error";
    case FailureKind::no_address: return "no_address";
    case FailureKind::local_error: return "local_error";
  }
  return "unknown";
}

std::string_view name_of(DatagramDrop reason) {
  switch (reason) {
    case DatagramDrop::malformed: return "malformed";
    case DatagramDrop::unsupported_version: return "unsupported_version";
    case DatagramDrop::unknown_ike_sa: return "unknown_ike_sa";
    case DatagramDrop::bad_integrity: return "bad_integrity";
    case DatagramDrop::old_message_id: return "old_message_id";
    case DatagramDrop::unexpected: return "unexpected";
    case DatagramDrop::half_open_limit: return "half_open_limit";
    case DatagramDrop::half_open_share: return "half_open_share";
    case DatagramDrop::unsolved_puzzle: return "unsolved_puzzle";
    case DatagramDrop::no_connection: return "no_connection";
    case DatagramDrop::bad_fragment: return "bad_fragment";
    case DatagramDrop::unexpected_fragment: return "unexpected_fragment";
    case DatagramDrop::repeated_fragment: return "repeated_fragment";
    case DatagramDrop::outdated_fragment: return "outdated_fragment";
    case DatagramDrop::oversized_message: return "oversized_message";
    case DatagramDrop::incomplete_message: return "incomplete_message";
    case DatagramDrop::bad_crash_token: return "bad_crash_token";
    case DatagramDrop::bad_redirect: return "bad_redirect";
    case DatagramDrop::bad_ticket: return "bad_ticket";
    case DatagramDrop::busy: return "busy";
    case DatagramDrop::count_: break;
  }
  return "unknown";
}

RequestToken token_of(const Request& request) {
  return std::visit([](const auto& one) { return one.token; }, request);
}

}  // namespace culvert::ike
