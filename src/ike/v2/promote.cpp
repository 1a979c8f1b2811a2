// The hand-over from an IKE SA to its rekeyed successor (RFC 7296 2.18).
#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/children.hpp"
#include "ike/v2/crash_token.hpp"
#include "ike/v2/establish.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/paths.hpp"
#include "ike/v2/rekey_ike_sa_initiator.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/sessions.hpp"

namespace culvert::ike::v2 {

void promote(Core& core, IkeSa& old, IkeSa& next) {
  next.phase = Phase::established;
  next.phase_deadline.reset();
  // A successor is as old as the line that it continues: what supersedes that line supersedes it too.
  next.established_order = old.established_order;
  next.origin_role = old.origin_role;
  next.origin_spi_i = old.origin_spi_i;
  next.yields_to = old.yields_to;
  for (IkeSa* other : siblings(core, next)) {
    if (other->yields_to == old.id) other->yields_to = next.id;
    if (other->life && other->life->replaces == old.id) other->life->replaces = next.id;
  }
  next.announced = true;
  next.path = old.path;
  // Lifetimes count anew; a connection that was removed meanwhile takes its IKE SAs along anyhow.
  if (const model::ConnectionConfig* config = core.connections.find(next.connection))
    start_ike_timers(core, next, *config);
  core.progress(next, fmt::format("IKE SA rekeyed, {}", model::to_string(next.suite)));
  CHECK(next.connection);
  core.emit(IkeSaEstablished{
      .ike_sa = next.id,
      .connection = *next.connection,
      .role = next.role,
      .spi_i = next.spi_i,
      .spi_r = next.spi_r,
      .path = next.path,
      .local_id = next.local_id,
      .remote_id = next.remote_id,
      .admission = next.admission,
      .suite = next.suite,
      .local_behind_nat = next.local_behind_nat,
      .remote_behind_nat = next.remote_behind_nat,
      .mobike = next.mobike,
      .chooses_paths = chooses_paths(next),
      .ppk = next.ppk_use,
      .resumed = false,
      .counter_sync = next.message_id_sync || next.replay_counter_sync,
      .rekey_at = next.rekey_at,
      .reauthenticate_at = next.life ? earliest(next.life->repeat_at, next.life->good_until) : std::optional<Instant>(),
      .replaces = old.id});
  // Where the peer is comes first: over the old path nothing else may arrive.
  hand_over_mobility(old, next);
  send_crash_token(core, next);
  renew_ticket(core, old, next);
  cancel_follow_ups(core, old);
  move_children(core, old, next);
  old.successor = next.id;
  old.phase = Phase::rekeyed;
  old.rekey_at.reset();
  old.expire_at.reset();
  // Whoever made the successor deletes the old one; should that never come, it ends by itself.
  old.phase_deadline = core.now + 2 * core.answer_linger();
  core.touch(old);
  core.touch(next);
}

}  // namespace culvert::ike::v2
