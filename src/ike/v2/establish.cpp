#include "ike/v2/establish.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/auth_puzzle.hpp"
#include "ike/v2/children.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/paths.hpp"
#include "ike/v2/reauthentication.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/sessions.hpp"
#include "ike/v2/shared_ike_sa.hpp"

namespace culvert::ike::v2 {
namespace {

// The loser's DELETE waits until traffic has surely moved.
constexpr Duration kMoveTime = std::chrono::seconds(1);

// `fresh` was just established beside `other`; both were on their way at the same time, from opposite sides. What was
// up before the other side began `fresh` is no rival: who begins anew knows what it does. Both ends see the same order,
// for an IKE_AUTH leaves only after its IKE_SA_INIT was answered.
bool rivals(const IkeSa& fresh, const IkeSa& other) {
  return fresh.role != other.origin_role && other.established_order > fresh.begun_order;
}

// A peer that sets up one IKE SA after the other, for want of memory or of manners, or as far as it may, loses the
// oldest of them.
void bound_ike_sas(Core& core, const IkeSa& sa) {
  const model::ConnectionConfig* config = core.connections.find(sa.connection);
  if (config == nullptr) return;
  for (IkeSa* other : sessions_that_end(core, sa, *config, false))
    close_with_delete(core, *other, CloseReason::superseded);
}

// An own attempt whose IKE_AUTH has not left yet can end without the peer's noticing.
bool can_be_forgotten(const IkeSa& sa) {
  return sa.role == model::Role::initiator &&
         (sa.phase == Phase::initiating || (sa.phase == Phase::authenticating && sa.window.idle()));
}

}  // namespace

void start_ike_timers(Core& core, IkeSa& sa, const model::ConnectionConfig& config) {
  if (config.ike_lifetime <= Duration::zero()) return;  // never
  const Bounds bounds = bounds_of(core, {.time = config.ike_lifetime}, config.rekey_margin);
  CHECK(bounds.soft.time && bounds.hard.time);
  sa.rekey_at = core.now + *bounds.soft.time;
  sa.expire_at = core.now + *bounds.hard.time;
}

void establish(Core& core, IkeSa& sa, const model::ConnectionConfig& config) {
  sa.phase = Phase::established;
  sa.phase_deadline.reset();
  sa.established_order = core.next_order();
  sa.origin_role = sa.role;
  sa.origin_spi_i = sa.spi_i;
  sa.authenticated = true;
  sa.announced = true;
  sa.last_inbound = core.now;
  // Kept for AUTH only.
  sa.init.reset();
  sa.intermediate.reset();
  sa.auth_puzzle.reset();
  sa.resumption.reset();
  sa.earlier_keys.reset();
  sa.ppk.reset();
  sa.keys.forget_auth_keys();
  start_ike_timers(core, sa, config);
  if (sa.resumed) ++core.counters.resumed;
  core.progress(sa, fmt::format("IKE SA {} between {} and {}, {}", sa.resumed ? "resumed" : "established",
                                sa.local_id.to_string(), sa.remote_id.to_string(), model::to_string(sa.suite)));
  core.emit(IkeSaEstablished{
      .ike_sa = sa.id,
      .connection = config.id,
      .role = sa.role,
      .spi_i = sa.spi_i,
      .spi_r = sa.spi_r,
      .path = sa.path,
      .local_id = sa.local_id,
      .remote_id = sa.remote_id,
      .admission = sa.admission,
      .suite = sa.suite,
      .local_behind_nat = sa.local_behind_nat,
      .remote_behind_nat = sa.remote_behind_nat,
      .mobike = sa.mobike,
      .chooses_paths = chooses_paths(sa),
      .ppk = sa.ppk_use,
      .resumed = sa.resumed,
      .counter_sync = sa.message_id_sync || sa.replay_counter_sync,
      .rekey_at = sa.rekey_at,
      .reauthenticate_at = sa.life ? earliest(sa.life->repeat_at, sa.life->good_until) : std::optional<Instant>(),
      .replaces = std::nullopt});
  core.touch(sa);
}

Rivalry find_rival(Core& core, const IkeSa& sa) {
  for (const IkeSa* other : siblings(core, sa)) {
    if (other->phase != Phase::established || !same_peers(*other, sa) || !rivals(sa, *other)) continue;
    // Both ends know both SPIs and come to the same result: the larger initiator's SPI stays. Those of the set-up
    // count, for one of the two may have been rekeyed already.
    return {.loser = other->origin_spi_i < sa.spi_i ? other->id : sa.id, .rival = other->id};
  }
  return {};
}

std::optional<model::ChildSaId> rival_child(Core& core, const Rivalry& rivalry, const model::TrafficSelectors& local,
                                            const model::TrafficSelectors& remote) {
  const IkeSa* rival = rivalry.rival ? core.sas.find(*rivalry.rival) : nullptr;
  if (rival == nullptr) return std::nullopt;
  // Two packets may have begun the two, and each has its own selectors then.
  for (const auto& [id, child] : rival->children) {
    // Those for single resources keep theirs until their IKE SA ends.
    if (child.group.resource) continue;
    if (child.is_current() && model::is_subset(child.local, local) && model::is_subset(child.remote, remote)) return id;
  }
  return std::nullopt;
}

void settle_duplicates(Core& core, IkeSa& sa, const Rivalry& rivalry, bool initial_contact) {
  for (IkeSa* other : siblings(core, sa)) {
    // Without a Child SA the peer's IKE SA is not what ours was to bring.
    if (can_be_forgotten(*other) && !sa.children.empty()) {
      core.progress(*other, "the peer was faster; our own attempt is given up");
      close_ike_sa(core, *other, CloseReason::superseded, Phase::gone);
      continue;
    }
    // RFC 7296 2.4: INITIAL_CONTACT means that the peer has no other IKE SA with us. What was established after it
    // began this one it could not know of yet.
    const bool older = other->established_order != 0 && other->established_order < sa.begun_order;
    if (initial_contact && older && other->announced && same_peers(*other, sa)) {
      close_ike_sa(core, *other, CloseReason::superseded, Phase::gone);
    }
  }
  bound_ike_sas(core, sa);
  IkeSa* loser = rivalry.loser ? core.sas.find(*rivalry.loser) : nullptr;
  if (loser == nullptr || loser->phase != Phase::established) return;
  core.progress(*loser, "both sides set up an IKE SA at the same time; this one goes");
  loser->yields_to = loser == &sa ? rivalry.rival : sa.id;
  IkeSa* winner = core.sas.find(*loser->yields_to);
  if (winner != nullptr && loser->origin_role == model::Role::initiator) invite_guests(core, *loser, *winner);
  send_guests_away(core, *loser);
  loser->rekey_at.reset();
  for (auto& [id, child] : loser->children) child.rekey_at.reset();
  // The winner's initiator uses its pair at once; the other side follows when traffic comes on it, or after a while.
  sa.release_at = core.now + kHoldAtMost;
  if (loser->origin_role != model::Role::initiator) return;
  loser->tasks.push_back(
      {.task = DeleteIkeTask{.reason = CloseReason::superseded}, .not_before = core.now + kMoveTime + kHoldAtMost});
  core.touch(*loser);
}

void spare_losers(Core& core, const IkeSa& winner) {
  if (!winner.connection) return;
  const model::ConnectionConfig* config = core.connections.find(winner.connection);
  for (IkeSa* sa : siblings(core, winner)) {
    if (sa->yields_to != winner.id) continue;
    sa->yields_to.reset();
    if (sa->phase != Phase::established || config == nullptr) continue;
    core.progress(*sa, "the IKE SA that was to stay is gone; this one stays");
    erase_if(sa->tasks, [](const QueuedTask& queued) { return std::holds_alternative<DeleteIkeTask>(queued.task); });
    start_ike_timers(core, *sa, *config);
    for (auto& [id, child] : sa->children) {
      if (child.deleting || child.replaced_by) continue;
      child.redundant = false;
      if (child.expire_at) child.rekey_at = core.now + (*child.expire_at - core.now) * 4 / 5;
      release_outbound(core, child);
    }
    core.touch(*sa);
  }
}

}  // namespace culvert::ike::v2
