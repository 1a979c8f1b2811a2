#include "ike/v2/reauthentication.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "ike/v2/child_wish.hpp"
#include "ike/v2/children.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/ike_sa_init_initiator.hpp"
#include "ike/v2/life_core.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/shared_ike_sa.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;
using std::chrono::seconds;

// RFC 4478 5: a peer that wants it all the time gets it this often.
constexpr Duration kLeastLife = seconds(5);
// What the initiator has, beyond the time that it was told, before the responder ends the IKE SA.
constexpr Duration kGrace = seconds(10);
constexpr Duration kRetry = seconds(10);
// How long the old IKE SA stays: what is still under way on it arrives.
constexpr Duration kMoveTime = seconds(1);
// Child SAs beside the first are made one after the other meanwhile.
constexpr Duration kMoveAtMost = seconds(30);

std::optional<Duration> lifetime_in(const codec::Message& message) {
  const auto* notify = message.notify(NotifyType::auth_lifetime);
  if (notify == nullptr || notify->data.size() != 4) return std::nullopt;
  return seconds(load_be32(notify->data.data()));
}

/// Null when it has ended. One that a rekey replaces is not looked for any more: promote() tells its successor.
IkeSa* standing(Core& core, model::IkeSaId id) {
  IkeSa* sa = core.sas.find(id);
  return sa != nullptr && sa->phase == Phase::established ? sa : nullptr;
}

bool is_on_its_way(Core& core, const IkeSa& sa) {
  if (!sa.connection) return false;
  return std::ranges::any_of(core.sas.of_connection(*sa.connection), [&](const IkeSa* other) {
    const bool coming = other->phase == Phase::initiating || other->phase == Phase::authenticating;
    return coming && other->life && other->life->replaces && standing(core, *other->life->replaces) == &sa;
  });
}

// RFC 4478 2: within the time; early enough for some attempts, and not all peers of a gateway at once.
Instant time_to_repeat(Core& core, Duration lifetime, double margin) {
  const Duration wanted = Duration(static_cast<Duration::rep>(static_cast<double>(lifetime.count()) * (1.0 - margin)));
  const Duration early =
      core.jitter(Duration(static_cast<Duration::rep>(static_cast<double>(lifetime.count()) * margin / 2.0)));
  return core.now + std::max(kLeastLife, wanted - early);
}

// RFC 4478 2: how much later than the peer has heard it ends.
Duration grace_of(Duration life) { return std::max<Duration>(kGrace, life / 20); }

void set_authentication_life(Core& core, IkeSa& sa, const model::ConnectionConfig& config,
                             const codec::Message* response) {
  const Duration own = config.life.reauthentication;
  if (sa.role == model::Role::responder) {
    // RFC 4478 2: soon after the end of that time it is deleted.
    if (own > Duration::zero()) life_of(sa).good_until = core.now + own + grace_of(own);
    return;
  }
  std::optional<Duration> life = response == nullptr ? std::nullopt : lifetime_in(*response);
  // RFC 4478 5: our own policy may want it earlier.
  if (own > Duration::zero()) life = life ? std::min(*life, own) : own;
  if (!life) return;
  life_of(sa).repeat_at = time_to_repeat(core, *life, config.rekey_margin);
  core.progress(sa,
                fmt::format("the authentication is good for {} s", std::chrono::duration_cast<seconds>(*life).count()));
}

}  // namespace

void add_auth_lifetime(codec::Message& response, const Core& core, const IkeSa& sa,
                       const model::ConnectionConfig& config) {
  Duration life = config.life.reauthentication;
  if (life <= Duration::zero()) return;
  // RFC 5723: a ticket does not begin that time anew.
  if (sa.resumption && sa.resumption->state.auth_until != 0) {
    const Duration left = seconds(sa.resumption->state.auth_until - core.life->calendar_now(core.now));
    life = std::clamp<Duration>(left - grace_of(life), seconds(1), life);
  }
  ByteWriter data;
  data.u32(static_cast<std::uint32_t>(std::chrono::duration_cast<seconds>(life).count()));
  response.add_notify(NotifyType::auth_lifetime, data.view());
}

void begin_authentication_life(Core& core, IkeSa& sa, const model::ConnectionConfig& config,
                               const codec::Message* response) {
  set_authentication_life(core, sa, config, response);
  // The configuration is as it was when the ends began to prove themselves.
  if (config.credential_group != 0) life_of(sa).credentials = config.credential_group;
  if (sa.resumption) restore_proof(core, sa);
}

void take_auth_lifetime(Core& core, IkeSa& sa, const codec::Message& request) {
  const auto life = lifetime_in(request);
  if (!life || sa.origin_role != model::Role::initiator || sa.phase != Phase::established) return;
  const auto* config = core.connections.find(sa.connection);
  const Instant at = time_to_repeat(core, *life, config == nullptr ? 0.1 : config->rekey_margin);
  LifeState& state = life_of(sa);
  // The last word counts, but not against our own policy.
  const bool own = config != nullptr && config->life.reauthentication > Duration::zero();
  state.repeat_at = own && state.repeat_at ? std::min(*state.repeat_at, at) : at;
  core.touch(sa);
}

void reauthenticate(Core& core, IkeSa& sa) {
  if (sa.phase != Phase::established || sa.origin_role != model::Role::initiator || sa.yields_to) return;
  const auto* config = core.connections.find(sa.connection);
  if (config == nullptr || is_on_its_way(core, sa)) return;
  core.progress(sa, "proving ourselves anew: setting up an IKE SA in place of this one");
  // As the first one of the connection's life: the wish of its oldest Child SA, or all that the connection has.
  Beginning beginning{.path = sa.path};
  beginning.replaces = sa.id;
  const auto oldest = std::ranges::find_if(sa.children, [&](const auto& entry) {
    const ChildSa& child = entry.second;
    return child.is_current() && !child.group.resource && child.connection == sa.connection;
  });
  if (oldest != sa.children.end()) beginning.wish = wish_like(oldest->second);
  begin_ike_sa(core, *config, std::move(beginning));
}

void finish_replacement(Core& core, IkeSa& sa) {
  if (!sa.life || !sa.life->replaces) return;
  IkeSa* old = standing(core, *sa.life->replaces);
  if (old == nullptr || old == &sa) return sa.life->replaces.reset();
  const bool child_coming = std::ranges::any_of(
      sa.tasks, [](const QueuedTask& queued) { return std::holds_alternative<CreateChildTask>(queued.task); });
  if (sa.children.empty() && !child_coming) {
    // The traffic has nowhere to move to.
    core.progress(sa, "it has no Child SA: the IKE SA whose place it was to take goes on");
    note_failed_replacement(core, sa);
    sa.life->replaces.reset();
    return close_with_delete(core, sa, CloseReason::negotiation_failed);
  }
  // What else it had of Child SAs; those for single resources come again by themselves.
  for (auto& [id, child] : old->children) {
    child.rekey_at.reset();
    if (!child.is_current() || child.group.resource || !child.scope || child.connection != sa.connection) continue;
    const auto covers = [&](const auto& entry) {
      return model::is_subset(child.local, entry.second.local) && model::is_subset(child.remote, entry.second.remote);
    };
    if (!std::ranges::any_of(sa.children, covers))
      sa.tasks.push_back({.task = CreateChildTask{.retry = {}, .wish = wish_like(child)}});
  }
  invite_guests(core, *old, sa);
  old->rekey_at.reset();
  if (old->life) old->life->repeat_at.reset();
  sa.life->retire_at = core.now + kMoveTime;
  sa.life->retire_by = core.now + kMoveAtMost;
  core.touch(*old);
  core.touch(sa);
}

namespace {

// RFC 4478 2: the old IKE SA goes once the traffic has somewhere to go.
void retire(Core& core, IkeSa& sa) {
  const bool busy = sa.intent() == Activity::create_child || std::ranges::any_of(sa.tasks, [](const auto& queued) {
                      return std::holds_alternative<CreateChildTask>(queued.task);
                    });
  if (busy && core.now < *sa.life->retire_by) {
    sa.life->retire_at = core.now + kMoveTime;
    return;
  }
  sa.life->retire_at.reset();
  sa.life->retire_by.reset();
  IkeSa* old = sa.life->replaces ? standing(core, *sa.life->replaces) : nullptr;
  sa.life->replaces.reset();
  if (old == nullptr) return;
  const bool moved = sa.path.remote.address != old->path.remote.address;
  close_with_delete(core, *old, moved ? CloseReason::redirected : CloseReason::reauthenticated);
}

}  // namespace

void note_failed_replacement(Core& core, const IkeSa& sa) {
  if (!sa.life || !sa.life->replaces) return;
  IkeSa* old = standing(core, *sa.life->replaces);
  if (old == nullptr || !old->life || sa.life->redirected_from) return;
  old->life->repeat_at = core.now + kRetry + core.jitter(kRetry / 4);
  core.touch(*old);
}

std::optional<Instant> next_life_time(const IkeSa& sa) {
  if (!sa.life) return std::nullopt;
  return earliest(earliest(sa.life->repeat_at, sa.life->good_until),
                  earliest(sa.life->retire_at, sa.life->renew_ticket_at));
}

void handle_life_timers(Core& core, IkeSa& sa) {
  if (!sa.life) return;
  const auto due = [&](OptionalInstant& at) {
    if (!at || *at > core.now) return false;
    at.reset();
    return true;
  };
  if (due(sa.life->good_until)) {
    core.progress(sa, "the peer has not proved itself anew in time");
    return close_with_delete(core, sa, CloseReason::lifetime_expired);
  }
  if (sa.life->retire_at && *sa.life->retire_at <= core.now) retire(core, sa);
  if (due(sa.life->renew_ticket_at)) ask_for_ticket(sa);
  if (due(sa.life->repeat_at)) reauthenticate(core, sa);
}

}  // namespace culvert::ike::v2
