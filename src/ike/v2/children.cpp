#include "ike/v2/children.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "ike/v2/describe.hpp"
#include "ike/v2/shared_ike_sa.hpp"

namespace culvert::ike::v2 {
namespace {

// Pairs that were made within this time of each other are taken for one wish of both sides.
constexpr Duration kSimultaneous = std::chrono::seconds(10);
// In two IKE SAs, one of which has to be set up first.
constexpr Duration kSimultaneousApart = std::chrono::seconds(60);

bool are_twins(const ChildSa& a, const ChildSa& b, Duration within = kSimultaneous) {
  const Duration apart = std::chrono::abs(a.origin.at - b.origin.at);
  // RFC 9611 4: those for single resources may well come from both sides at once; each is wanted.
  if (a.group.resource || b.group.resource) return false;
  return a.origin.role != b.origin.role && apart <= within && a.is_current() && b.is_current() &&
         model::is_subset(a.local, b.local) && model::is_subset(b.local, a.local) &&
         model::is_subset(a.remote, b.remote) && model::is_subset(b.remote, a.remote);
}

// Both sides asked for a new pair for the same traffic at once and got two. Both know all SPIs and come to the same
// result: the one whose initiator had the smaller SPI goes, by that initiator's DELETE.
void settle_twins(Core& core, IkeSa& sa, ChildSa& made) {
  for (auto& [id, other] : sa.children) {
    if (!are_twins(other, made)) continue;
    ChildSa& loser = other.origin.initiators_spi < made.origin.initiators_spi ? other : made;
    if (loser.origin.role != model::Role::initiator) {
      // Their successors are twins as well; that begins no new wait.
      if (made.group.open && !sa.twins_at) sa.twins_at = core.now + core.answer_linger();
      continue;
    }
    core.progress(sa, "both sides made a Child SA at the same time; ours goes");
    delete_child(core, sa, loser, CloseReason::superseded);
  }
}

// Nothing but the pair is in the IKE SA, or will be.
bool is_all(const IkeSa& sa, const ChildSa& child) {
  const bool others = std::ranges::any_of(
      sa.children, [&](const auto& entry) { return entry.first != child.id && entry.second.is_current(); });
  return !others && sa.is_quiet() && waiting_guests(sa).empty();
}

// Each side began with another of the connections that share IKE SAs, and had the other one's pair in it as well: the
// same, but for the two IKE SAs, of which the one goes that has no other pair.
void settle_twins_apart(Core& core, IkeSa& sa, ChildSa& made) {
  // A connection that shares none may have very many IKE SAs: one for each client of its pool.
  const model::ConnectionConfig* config = core.connections.find(made.connection);
  if (config == nullptr || !is_shareable(*config)) return;
  for (IkeSa* host : hosts_of(core, made.connection)) {
    if (host == &sa || host->phase != Phase::established || host->connection == sa.connection) continue;
    for (auto& [id, other] : host->children) {
      if (other.connection != made.connection || !are_twins(other, made, kSimultaneousApart)) continue;
      const bool ours_goes = made.origin.initiators_spi < other.origin.initiators_spi;
      ChildSa& loser = ours_goes ? made : other;
      IkeSa& place = ours_goes ? sa : *host;
      if (loser.origin.role != model::Role::initiator) continue;
      core.progress(place, "both sides made a Child SA at the same time, in two IKE SAs; ours goes");
      if (!is_all(place, loser)) {
        delete_child(core, place, loser, CloseReason::superseded);
      } else {
        loser.rekey_at.reset();
        place.tasks.push_back({.task = DeleteIkeTask{.reason = CloseReason::superseded}});
        core.touch(place);
      }
    }
  }
}

}  // namespace

// RFC 9611 leaves open what a request with SA_RESOURCE_INFO is for: a peer that had its own pair when ours came took
// ours for one beside it, and sees no twins. Its DELETE would have come by now: then ours is the one too many.
void settle_left_twins(Core& core, IkeSa& sa) {
  for (auto& [id, child] : sa.children) {
    if (child.origin.role != model::Role::initiator) continue;
    const bool twin =
        std::ranges::any_of(sa.children, [&](const auto& entry) { return are_twins(entry.second, child); });
    if (!twin) continue;
    core.progress(sa, "the peer keeps a Child SA that ours repeats; ours goes");
    delete_child(core, sa, child, CloseReason::superseded);
  }
}

Bounds bounds_of(Core& core, const model::Lifetime& hard, double margin) {
  const double jitter = static_cast<double>(core.random.below(1'000'000)) / 1'000'000.0 * margin / 2.0;
  const double share = 1.0 - margin - jitter;
  const auto scaled = [share](std::uint64_t bound) {
    return static_cast<std::uint64_t>(static_cast<double>(bound) * share);
  };
  Bounds bounds{.soft = {}, .hard = hard};
  if (hard.time)
    bounds.soft.time = Duration(static_cast<Duration::rep>(static_cast<double>(hard.time->count()) * share));
  bounds.soft.bytes = scaled(hard.bytes);
  bounds.soft.packets = scaled(hard.packets);
  return bounds;
}

std::size_t count_current(const IkeSa& sa) {
  return static_cast<std::size_t>(
      std::ranges::count_if(sa.children, [](const auto& entry) { return entry.second.is_current(); }));
}

ChildSa& install_child(Core& core, IkeSa& sa, ChildSa child, model::ChildSaParams params) {
  const model::ChildSaId id = child.id;
  if (params.soft.time && !child.redundant) child.rekey_at = core.now + *params.soft.time;
  if (params.hard.time) child.expire_at = core.now + *params.hard.time;
  params.hold_outbound = child.hold_outbound;
  params.replaces = child.replaces;
  core.progress(
      sa, fmt::format("Child SA {:08x}/{:08x} up: {} with {}{}", child.spi_inbound.value(), child.spi_outbound.value(),
                      describe(child.local, child.remote), model::to_string(child.suite),
                      child.group.resource ? fmt::format(", for resource {}", *child.group.resource) : ""));
  const bool for_some = child.scope || child.group.resource;
  const bool for_wish = for_some && child.origin.role == model::Role::initiator;
  core.emit(ChildSaEstablished{.params = std::move(params), .for_wish = for_wish, .security_label = child.label});
  core.sas.index_child(id, sa.id);
  if (child.connection != sa.connection) take_in(core, sa, child.connection);
  end_wait(sa, child.connection);
  core.touch(sa);
  const auto [place, inserted] = sa.children.emplace(id, std::move(child));
  CHECK(inserted);
  settle_twins(core, sa, place->second);
  settle_twins_apart(core, sa, place->second);
  return place->second;
}

void confirm_children(Core& core, IkeSa& sa, model::MessageId request) {
  for (auto& [id, child] : sa.children) {
    if (request < child.confirmed_from) continue;
    child.unconfirmed_until.reset();
    // Those that replace others move when these end.
    if (child.group.resource && !child.replaces && !child.redundant) release_outbound(core, child);
  }
}

void release_outbound(Core& core, ChildSa& child) {
  if (!child.hold_outbound) return;
  child.hold_outbound = false;
  core.emit(ChildSaUseOutbound{child.id});
}

void remove_child(Core& core, IkeSa& sa, model::ChildSaId id, CloseReason reason, Duration linger) {
  ChildSa* child = sa.find_child(id);
  if (child == nullptr) return;
  // RFC 7296 2.8: the end of the replaced pair is the sign that the initiator of the rekey has the new one.
  for (auto& [other_id, other] : sa.children) {
    if (other.replaces == id && !other.redundant) release_outbound(core, other);
    // A chain of rekeys can outrun the deletes: what this one replaced is then replaced by its successor.
    if (other.replaced_by == id) other.replaced_by = child->replaced_by;
  }
  core.emit(ChildSaRemoved{.child = id, .connection = child->connection, .reason = reason, .linger = linger});
  core.progress(sa, fmt::format("Child SA {:08x}/{:08x} down: {}", child->spi_inbound.value(),
                                child->spi_outbound.value(), name_of(reason)));
  core.sas.forget_child(id);
  sa.children.erase(id);
  core.touch(sa);
}

void delete_child(Core& core, IkeSa& sa, ChildSa& child, CloseReason reason) {
  if (child.deleting) return;
  child.deleting = true;
  child.rekey_at.reset();
  sa.tasks.push_back({.task = DeleteChildTask{.child = child.id, .reason = reason}});
  core.touch(sa);
}

void end_child(Core& core, IkeSa& sa, model::ChildSaId id, CloseReason reason) {
  const ChildSa* child = sa.find_child(id);
  if (child == nullptr) return;
  // One that is under way has told the peer already.
  const InitiatorExchange* about = sa.exchange_about(id);
  if (about == nullptr || about->activity() != Activity::delete_child)
    sa.tasks.push_back({.task = DeleteUnknownChildTask{.spi_inbound = child->spi_inbound, .reserved = false}});
  remove_child(core, sa, id, reason, Duration::zero());
}

void move_children(Core& core, IkeSa& from, IkeSa& to) {
  for (auto& [id, child] : from.children) {
    core.sas.index_child(id, to.id);
    // The numbers were those of the old one.
    child.confirmed_from = model::MessageId(0);
    core.emit(ChildSaMoved{.child = id, .ike_sa = to.id});
  }
  to.children.merge(from.children);
  move_guests(core, from, to);
  // What waits for a completion, and the peer knows nothing of, begins again on the successor.
  const auto begins_again = [&](const std::unique_ptr<InitiatorExchange>& exchange) {
    auto task = exchange ? exchange->not_begun() : std::nullopt;
    if (task) from.tasks.push_back({.task = std::move(*task)});
    return task.has_value();
  };
  if (begins_again(from.exchange)) from.exchange.reset();
  erase_if(from.beside, begins_again);
  for (QueuedTask& queued : from.tasks) {
    // One that is to go, for a rival's sake or the peer's being sent elsewhere, goes, rekeyed or not.
    const auto* end = std::get_if<DeleteIkeTask>(&queued.task);
    const bool about_the_old = (end != nullptr && end->reason == CloseReason::rekeyed) ||
                               std::holds_alternative<RekeyIkeTask>(queued.task) ||
                               std::holds_alternative<LivenessTask>(queued.task);
    if (!about_the_old) to.tasks.push_back(std::move(queued));
  }
  from.tasks.clear();
  to.release_at = std::exchange(from.release_at, std::nullopt);
  to.twins_at = std::exchange(from.twins_at, std::nullopt);
  core.touch(from);
  core.touch(to);
}

}  // namespace culvert::ike::v2
