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

RequestToken token_of(const Request& request) {
  return std::visit([](const auto& one) { return one.token; }, request);
}

}  // namespace culvert::ike
