#include "ike/v2/informational_responder.hpp"

#include <utility>

#include <fmt/format.h>

#include "ike/v2/children.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/configuration.hpp"
#include "ike/v2/counter_sync.hpp"
#include "ike/v2/crash_token.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/reauthentication.hpp"
#include "ike/v2/rekey_ike_sa_initiator.hpp"
#include "ike/v2/resumption.hpp"

namespace culvert::ike::v2 {

using model::NotifyType;

codec::Message InformationalResponder::handle(const codec::Message& request) {
  codec::Message answer;
  handle_child_deletes(request, answer);
  for (const auto* payload : request.all<codec::DeletePayload>())
    ike_deleted_ = ike_deleted_ || payload->protocol == model::ProtocolId::ike;
  handle_notifies(request);
  handle_mobike(core_, sa_, path_, request, answer);
  if (sa_.phase == Phase::established && !ike_deleted_) answer_ticket_request(answer, core_, sa_, request);
  if (auto reply = answer_question(sa_, request)) answer.add(std::move(*reply));
  return answer;
}

void InformationalResponder::handle_child_deletes(const codec::Message& request, codec::Message& answer) {
  std::vector<model::Spi> ours;
  const auto about = [&](model::ChildSaId id, Activity activity) {
    const InitiatorExchange* one = sa_.exchange_about(id);
    return one != nullptr && one->activity() == activity && !one->not_begun();
  };
  for (const auto* payload : request.all<codec::DeletePayload>()) {
    // There are none of AH here.
    if (payload->protocol == model::ProtocolId::ah) core_.refuse(Refusal::unknown_child_sa);
    if (payload->protocol != model::ProtocolId::esp) continue;
    for (const model::Spi spi : payload->spis) {
      const ChildSa* child = sa_.find_child_by_peer_spi(spi);
      // RFC 7296 2.25.1: a pair that does not exist any more is answered without its SPI.
      if (child == nullptr) {
        core_.refuse(Refusal::unknown_child_sa);
        continue;
      }
      // RFC 7296 1.4.1: when both DELETEs cross, neither response names the pair.
      const bool crossed = about(child->id, Activity::delete_child);
      if (!crossed) ours.push_back(child->spi_inbound);
      // The loser of a simultaneous rekey may be deleted before our own request is answered.
      const bool lost = child->replaces && about(*child->replaces, Activity::rekey_child);
      const bool replaced = child->replaced_by.has_value() || child->redundant || lost;
      remove_child(core_, sa_, child->id, replaced ? CloseReason::rekeyed : CloseReason::peer_deleted, kInboundLinger);
    }
  }
  if (!ours.empty()) answer.add(codec::DeletePayload{.protocol = model::ProtocolId::esp, .spis = std::move(ours)});
}

void InformationalResponder::handle_notifies(const codec::Message& request) {
  take_crash_token(core_, sa_, request);
  take_auth_lifetime(core_, sa_, request);
  take_replay_counter_sync(core_, sa_, request);
  redirect_ = redirect_in(core_, sa_, request, core_.connections.find(sa_.connection));
  for (const auto* notify : request.all<codec::NotifyPayload>()) {
    if (notify->is_error()) core_.refuse(Refusal::refused_by_peer);
    if (notify->type == NotifyType::authentication_failed) {
      authentication_failed_ = true;
    } else if (notify->is_error()) {
      // RFC 7296 2.21.4: such reports change no state.
      core_.progress(sa_, fmt::format("the peer reports {}", describe(notify->type)));
    }
  }
}

// RFC 5685 5: once the gateway has its answer; its IKE SA stands until there is another.
void InformationalResponder::leave(const GatewayNote& gateway) {
  if (sa_.phase != Phase::established) return;
  const auto* config = core_.connections.find(sa_.connection);
  if (config == nullptr) return;
  if (auto why_not = follow(core_, sa_, *config, gateway, sa_.id)) core_.progress(sa_, std::move(*why_not));
}

void InformationalResponder::finish() {
  if (authentication_failed_) {
    // RFC 7296 2.21.2: the initiator did not accept our AUTH; the IKE SA ends without a DELETE.
    core_.emit(NegotiationFailed{
        .connection = sa_.connection,
        .path = sa_.path,
        .role = model::Role::responder,
        .kind = FailureKind::authentication_failed,
        .notify = NotifyType::authentication_failed,
        .detail = fmt::format(
            "the peer {} did not accept our authentication as {}: do the secret and the identities agree at both ends?",
            sa_.remote_id.to_string(), sa_.local_id.to_string()),
        .child_only = false,
        .wish = std::nullopt,
        .refusal = std::nullopt,
        .identity = named_peer(sa_)});
    return close_ike_sa(core_, sa_, CloseReason::negotiation_failed, Phase::defunct);
  }
  if (!ike_deleted_) {
    if (redirect_) leave(*redirect_);
    return;
  }
  IkeSa* candidate = sa_.candidate ? core_.sas.find(*sa_.candidate) : nullptr;
  if (candidate != nullptr && candidate->phase == Phase::candidate) {
    // RFC 7296 2.8.2: the peer finished its rekey without seeing ours; its IKE SA goes on and ours is forgotten.
    sa_.candidate.reset();
    promote(core_, sa_, *candidate);
  }
  // RFC 7296 2.8.2: one whose fate was open; our own rekey's answer will tell whether it was to stay.
  IkeSa* old = sa_.phase == Phase::candidate && sa_.predecessor ? core_.sas.find(*sa_.predecessor) : nullptr;
  if (old != nullptr && old->candidate == sa_.id && old->exchange) old->exchange->note_collision_deleted();
  // RFC 7296 2.25.2: a DELETE that crosses our own, or our rekey, ends both.
  close_ike_sa(core_, sa_, sa_.successor ? CloseReason::rekeyed : CloseReason::peer_deleted, Phase::defunct);
}

}  // namespace culvert::ike::v2
