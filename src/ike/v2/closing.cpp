#include "ike/v2/closing.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ike/v2/children.hpp"
#include "ike/v2/eap_auth.hpp"
#include "ike/v2/establish.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/parallel.hpp"
#include "ike/v2/reauthentication.hpp"
#include "ike/v2/refusals.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/sessions.hpp"
#include "ike/v2/shared_ike_sa.hpp"

namespace culvert::ike::v2 {
namespace {

// Another IKE SA with the peer took its traffic over (RFC 4478 2), as after a DELETE of the peer's for this one.
bool goes_on_elsewhere(Core& core, const IkeSa& sa) {
  if (!sa.connection || sa.children.empty()) return false;
  return std::ranges::any_of(siblings(core, sa), [&](const IkeSa* other) {
    return other->phase == Phase::established && same_peers(*other, sa) && !other->children.empty();
  });
}

void withdraw(Core& core, IkeSa& sa, CloseReason reason) {
  // Inbound packets still under way matter only where the traffic goes on elsewhere.
  const bool goes_on = reason == CloseReason::superseded || reason == CloseReason::reauthenticated ||
                       reason == CloseReason::redirected ||
                       (reason == CloseReason::peer_deleted && goes_on_elsewhere(core, sa));
  const Duration linger = goes_on ? kInboundLinger : Duration::zero();
  while (!sa.children.empty()) remove_child(core, sa, sa.children.begin()->first, reason, linger);
  if (sa.announced) {
    note_end(core, sa, reason);
    sa.announced = false;
    core.progress(sa, fmt::format("IKE SA with {} closed: {}", sa.path.remote.to_string(), name_of(reason)));
    core.emit(
        IkeSaClosed{.ike_sa = sa.id, .connection = sa.connection.value_or(model::ConnectionId{}), .reason = reason});
  }
  for (const QueuedTask& queued : sa.tasks) {
    // The peer's half of such a pair goes with the IKE SA.
    if (const auto* unknown = std::get_if<DeleteUnknownChildTask>(&queued.task);
        unknown != nullptr && unknown->reserved)
      core.esp_spis.release(unknown->spi_inbound);
  }
  const std::vector<WaitingGuest> waiting = waiting_guests(sa);
  sa.tasks.clear();
  cancel_follow_ups(core, sa);
  sa.rekey_at.reset();
  sa.expire_at.reset();
  sa.release_at.reset();
  sa.twins_at.reset();
  if (reason != CloseReason::rekeyed) spare_losers(core, sa);
  for (const WaitingGuest& guest : waiting) core.homeless.push_back({guest.connection, sa.path, guest.wish});
  if (sa.guests) sa.guests->waiting.clear();
  core.touch(sa);
}

void drop_candidate(Core& core, IkeSa& sa) {
  if (!sa.candidate) return;
  IkeSa* candidate = core.sas.find(*std::exchange(sa.candidate, std::nullopt));
  if (candidate != nullptr && candidate->phase == Phase::candidate) delete_unannounced(core, *candidate);
}

}  // namespace

void close_ike_sa(Core& core, IkeSa& sa, CloseReason reason, Phase after) {
  if (reason == CloseReason::protocol_error) core.refuse(Refusal::invalid_answer);
  end_eap(core, sa);
  withdraw(core, sa, reason);
  drop_candidate(core, sa);
  abandon_exchanges(sa);
  sa.held.clear();
  sa.window.forget_requests();
  sa.responder.reset();
  sa.phase = after;
  sa.phase_deadline = core.now + core.answer_linger();
  // What was refused as responder counts as half-open (ike_sa_table): no longer than what was never heard of again, so
  // that nobody holds the places of others longer by false proofs than by none.
  if (after == Phase::defunct && !sa.authenticated && sa.role == model::Role::responder)
    sa.phase_deadline = std::min(*sa.phase_deadline, core.now + core.settings.half_open_timeout);
}

void close_with_delete(Core& core, IkeSa& sa, CloseReason reason) {
  if (reason == CloseReason::protocol_error) core.refuse(Refusal::invalid_answer);
  withdraw(core, sa, reason);
  drop_candidate(core, sa);
  // A rekey of the IKE SA under way may have given the peer a successor that must be deleted as well: let its response
  // come.
  if (sa.activity() != Activity::rekey_ike) abandon_exchanges(sa);
  delete_unannounced(core, sa);
}

void delete_unannounced(Core& core, IkeSa& sa) {
  sa.phase = Phase::closing;
  sa.window.hasten(Core::hasty_retransmission(), core.now, core.random);
  sa.tasks.push_back({.task = DeleteIkeTask{}});
  sa.phase_deadline = core.now + core.answer_linger();
  core.touch(sa);
}

void fail_negotiation(Core& core, IkeSa& sa, FailureKind kind, std::optional<model::NotifyType> notify,
                      std::string detail, Phase after, std::optional<model::AuthenticationRefusal> refusal) {
  core.refuse(refusal_for(kind, sa.role, notify));
  core.emit(NegotiationFailed{.connection = sa.connection,
                              .path = sa.path,
                              .role = sa.role,
                              .kind = kind,
                              .notify = notify,
                              .detail = std::move(detail),
                              .child_only = false,
                              .wish = std::nullopt,
                              .refusal = std::move(refusal),
                              .identity = named_peer(sa)});
  fail_guests(core, sa, std::get<NegotiationFailed>(core.events.back()));
  note_failed_replacement(core, sa);
  close_ike_sa(core, sa, CloseReason::negotiation_failed, after);
}

void report_child_failure(Core& core, const IkeSa& sa, model::Role role, FailureKind kind,
                          std::optional<model::NotifyType> notify, std::string detail, std::optional<ChildWish> wish,
                          std::optional<model::ConnectionId> connection) {
  core.refuse(refusal_for(kind, role, notify));
  core.emit(NegotiationFailed{.connection = connection ? connection : sa.connection,
                              .path = sa.path,
                              .role = role,
                              .kind = kind,
                              .notify = notify,
                              .detail = std::move(detail),
                              .child_only = true,
                              .wish = std::move(wish),
                              .refusal = std::nullopt,
                              .identity = named_peer(sa)});
}

}  // namespace culvert::ike::v2
