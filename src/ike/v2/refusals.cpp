#include "ike/v2/refusals.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;
using model::Role;

Refusal refusal_by(NotifyType sent) {
  switch (sent) {
    case NotifyType::invalid_syntax: return Refusal::invalid_request;
    case NotifyType::unsupported_critical_payload: return Refusal::critical_payload;
    case NotifyType::no_proposal_chosen: return Refusal::no_common_algorithms;
    case NotifyType::invalid_ke_payload: return Refusal::other_key_exchange;
    case NotifyType::authentication_failed: return Refusal::authentication;
    case NotifyType::ts_unacceptable:
    case NotifyType::single_pair_required: return Refusal::traffic_selectors;
    case NotifyType::internal_address_failure:
    case NotifyType::failed_cp_required: return Refusal::inner_address;
    case NotifyType::no_additional_sas:
    case NotifyType::ts_max_queue: return Refusal::too_many_sas;
    case NotifyType::temporary_failure: return Refusal::not_now;
    case NotifyType::child_sa_not_found: return Refusal::unknown_child_sa;
    case NotifyType::state_not_found: return Refusal::unknown_key_exchange;
    case NotifyType::unacceptable_addresses: return Refusal::unacceptable_path;
    case NotifyType::unexpected_nat_detected: return Refusal::unexpected_nat;
    case NotifyType::ticket_nack: return Refusal::no_ticket;
    default: return Refusal::policy;
  }
}

std::optional<Refusal> refusal_in(const codec::Message& response) {
  if (const auto* error = response.error_notify()) return refusal_by(error->type);
  if (response.notify(NotifyType::ticket_nack) != nullptr) return Refusal::no_ticket;
  return std::nullopt;
}

std::optional<Refusal> refusal_for(FailureKind kind, Role role, std::optional<NotifyType> notify) {
  const bool told = role == Role::responder && notify && notify != NotifyType::authentication_failed;
  if (told && kind != FailureKind::local_error) return refusal_by(*notify);
  switch (kind) {
    case FailureKind::no_answer: return std::nullopt;
    case FailureKind::no_proposal_chosen: return Refusal::no_common_algorithms;
    case FailureKind::authentication_failed: return Refusal::authentication;
    case FailureKind::traffic_selectors: return Refusal::traffic_selectors;
    case FailureKind::unknown_peer: return Refusal::unknown_peer;
    case FailureKind::peer_refused: return Refusal::policy;
    case FailureKind::protocol_error:
      return role == Role::initiator ? Refusal::invalid_answer : Refusal::invalid_request;
    case FailureKind::no_address: return Refusal::inner_address;
    case FailureKind::local_error: return Refusal::own_fault;
  }
  return std::nullopt;
}

bool refuses(const codec::Message& response) {
  return response.error_notify() != nullptr && response.first<codec::SaPayload>() == nullptr &&
         response.first<codec::AuthPayload>() == nullptr && response.first<codec::KePayload>() == nullptr;
}

}  // namespace culvert::ike::v2
