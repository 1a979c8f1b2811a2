#include "ike/v2/timers.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ike/v2/children.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/counter_sync.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/ike_auth_initiator.hpp"
#include "ike/v2/intermediate_initiator.hpp"
#include "ike/v2/reauthentication.hpp"
#include "ike/v2/set_up_exchange.hpp"
#include "ike/v2/tasks.hpp"

namespace culvert::ike::v2 {
namespace {

// As many of a request, without an answer, are told to whoever could try another way.
constexpr unsigned kSendsUntilOverdue = 3;

std::optional<Instant> liveness_time(const Core& core, const IkeSa& sa) {
  // A request under way asks for life as well as an empty one would.
  if (sa.phase != Phase::established || !sa.is_quiet() || !sa.window.idle() || sa.counter_sync) return std::nullopt;
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  if (config == nullptr || config->liveness_interval <= Duration::zero()) return std::nullopt;
  return sa.last_inbound + config->liveness_interval;
}

// RFC 7296 2.4: only repeated attempts without an answer prove that the peer is gone.
void handle_silence(Core& core, IkeSa& sa) {
  switch (sa.phase) {
    case Phase::initiating: return static_cast<SetUpExchange&>(*sa.exchange).give_up();
    case Phase::authenticating:
      if (sa.exchange && sa.exchange->type() == model::ExchangeType::ike_intermediate)
        return static_cast<IntermediateInitiator&>(*sa.exchange).give_up();
      if (sa.exchange) return static_cast<IkeAuthInitiator&>(*sa.exchange).give_up();
      return close_ike_sa(core, sa, CloseReason::peer_dead, Phase::gone);
    // Its Child SAs live on with the successor.
    case Phase::rekeyed: return close_ike_sa(core, sa, CloseReason::rekeyed, Phase::gone);
    default: return close_ike_sa(core, sa, CloseReason::peer_dead, Phase::gone);
  }
}

void handle_retransmission(Core& core, IkeSa& sa) {
  const auto due = sa.window.handle_timeout(core.now, core.random);
  for (const model::MessageId id : due.resend) {
    if (sa.phase == Phase::established && sa.window.sends(id) == kSendsUntilOverdue)
      core.emit(AnswerOverdue{.ike_sa = sa.id});
    resend_request(core, sa, id);
  }
  if (due.give_up) handle_silence(core, sa);
}

void handle_phase_deadline(Core& core, IkeSa& sa) {
  switch (sa.phase) {
    case Phase::initiating: return static_cast<SetUpExchange&>(*sa.exchange).give_up();
    case Phase::half_open:
      core.progress(
          sa, fmt::format("{} began IKE_SA_INIT but {}", sa.path.remote.to_string(),
                          sa.responder ? "IKE_AUTH did not come to its end in time" : "never sent a valid IKE_AUTH"));
      return close_ike_sa(core, sa, CloseReason::negotiation_failed, Phase::gone);
    case Phase::rekeyed: return close_ike_sa(core, sa, CloseReason::rekeyed, Phase::gone);
    default: return close_ike_sa(core, sa, CloseReason::negotiation_failed, Phase::gone);
  }
}

void handle_child_expiry(Core& core, IkeSa& sa, model::ChildSaId id) {
  ChildSa* child = sa.find_child(id);
  child->expire_at.reset();
  const bool superseded = child->replaced_by.has_value() || child->redundant;
  core.progress(sa, fmt::format("Child SA {:08x}/{:08x} reached the end of its life", child->spi_inbound.value(),
                                child->spi_outbound.value()));
  // What it carried goes on over the fallback.
  if (!superseded && child->group.resource) return delete_child(core, sa, *child, CloseReason::lifetime_expired);
  if (!superseded) {
    // RFC 7296 2.8: where rekeying has failed until the end, the IKE SA and all its Child SAs are closed.
    return close_with_delete(core, sa, CloseReason::lifetime_expired);
  }
  delete_child(core, sa, *child, CloseReason::rekeyed);
}

// When one beside a fallback, and not in place of another, is used at the latest although nothing shows that the peer
// has it.
std::optional<Instant> release_time(const ChildSa& child) {
  const bool waits = child.hold_outbound && child.group.resource && !child.replaces && !child.redundant;
  return waits ? child.unconfirmed_until : std::nullopt;
}

void handle_child_timers(Core& core, IkeSa& sa) {
  std::vector<model::ChildSaId> expired;
  for (auto& [id, child] : sa.children) {
    if (child.rekey_at && *child.rekey_at <= core.now) {
      child.rekey_at.reset();
      sa.tasks.push_back({.task = RekeyChildTask{.child = id, .retry = {}}});
    }
    if (child.expire_at && *child.expire_at <= core.now) expired.push_back(id);
    if (const auto at = release_time(child); at && *at <= core.now) release_outbound(core, child);
  }
  for (const model::ChildSaId id : expired) {
    if (sa.find_child(id) != nullptr) handle_child_expiry(core, sa, id);
  }
}

bool is_due(const Core& core, std::optional<Instant> at) { return at && *at <= core.now; }

void handle_established_timers(Core& core, IkeSa& sa) {
  handle_counter_sync_timer(core, sa);
  if (is_due(core, sa.release_at)) {
    sa.release_at.reset();
    for (auto& [id, child] : sa.children) {
      if (!child.redundant) release_outbound(core, child);
    }
  }
  if (is_due(core, sa.twins_at)) {
    sa.twins_at.reset();
    settle_left_twins(core, sa);
  }
  if (is_due(core, sa.expire_at)) return close_with_delete(core, sa, CloseReason::lifetime_expired);
  if (is_due(core, sa.rekey_at)) {
    sa.rekey_at.reset();
    sa.tasks.push_back({.task = RekeyIkeTask{}});
  }
  handle_child_timers(core, sa);
  if (sa.phase == Phase::established) handle_life_timers(core, sa);
  if (is_due(core, liveness_time(core, sa)) && sa.phase == Phase::established) {
    sa.tasks.push_back({.task = LivenessTask{}});
    run_tasks(core, sa);
  }
}

}  // namespace

std::optional<Instant> next_deadline(const Core& core, const IkeSa& sa) {
  if (sa.phase == Phase::gone) return std::nullopt;
  std::optional<Instant> first = earliest(sa.window.deadline(), sa.phase_deadline);
  first = earliest(first, next_fragment_expiry(sa));
  first = earliest(first, next_follow_up_expiry(sa));
  if (sa.phase != Phase::established) return earliest(first, next_task_time(core, sa));
  first = earliest(first, earliest(sa.rekey_at, sa.expire_at));
  first = earliest(first, next_counter_sync_time(sa));
  first = earliest(first, earliest(sa.release_at, liveness_time(core, sa)));
  first = earliest(first, earliest(sa.twins_at, next_life_time(sa)));
  for (const auto& [id, child] : sa.children) {
    first = earliest(first, earliest(child.rekey_at, child.expire_at));
    first = earliest(first, release_time(child));
  }
  return earliest(first, next_task_time(core, sa));
}

void handle_timers(Core& core, IkeSa& sa) {
  core.touch(sa);
  expire_fragments(core, sa);
  expire_follow_ups(core, sa);
  sa.window.forget_answers(core.now);
  handle_retransmission(core, sa);
  if (sa.phase != Phase::gone && is_due(core, sa.phase_deadline)) {
    sa.phase_deadline.reset();
    handle_phase_deadline(core, sa);
  }
  if (sa.phase == Phase::established) handle_established_timers(core, sa);
}

}  // namespace culvert::ike::v2
