#include "ike/v2/commands.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/child_wish.hpp"
#include "ike/v2/children.hpp"
#include "ike/v2/closing.hpp"
#include "ike/v2/counter_sync.hpp"
#include "ike/v2/fragments.hpp"
#include "ike/v2/ike_sa_init_initiator.hpp"
#include "ike/v2/life_core.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/messages.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/nat.hpp"
#include "ike/v2/paths.hpp"
#include "ike/v2/reauthentication.hpp"
#include "ike/v2/redirect.hpp"
#include "ike/v2/resource_sas.hpp"
#include "ike/v2/resumption.hpp"
#include "ike/v2/shared_ike_sa.hpp"
#include "ike/v2/tasks.hpp"

namespace culvert::ike::v2 {
namespace {

bool has_child_of(const IkeSa& sa, model::ConnectionId connection) {
  return std::ranges::any_of(sa.children, [&](const auto& entry) { return entry.second.connection == connection; });
}

template <typename T>
bool has_task(const IkeSa& sa) {
  return std::ranges::any_of(sa.tasks, [](const QueuedTask& queued) { return std::holds_alternative<T>(queued.task); });
}

void ask_for_child(Core& core, IkeSa& sa, model::ConnectionId connection, const ChildWish& wish) {
  const auto stands = [&](const auto& entry) {
    return entry.second.connection == connection && fulfils(entry.second, wish);
  };
  if (std::ranges::any_of(sa.children, stands)) return;
  for (const InitiatorExchange* one : sa.exchanges()) {
    if (one->wish() != nullptr && same_wish(*one->wish(), wish)) return;
  }
  std::size_t planned = 0;
  for (const QueuedTask& queued : sa.tasks) {
    const auto* task = std::get_if<CreateChildTask>(&queued.task);
    if (task == nullptr) continue;
    if (task->wish && same_wish(*task->wish, wish)) return;
    ++planned;
  }
  // Packets come faster than Child SAs can: what finds no place now asks again.
  if (planned >= core.settings.children_limit) return;
  const bool guest = connection != sa.connection;
  sa.tasks.push_back(
      {.task = CreateChildTask{.retry = {}, .wish = wish, .guest = guest ? std::optional(connection) : std::nullopt}});
  core.touch(sa);
}

void terminate(Core& core, IkeSa& sa) {
  switch (sa.phase) {
    case Phase::established: return close_with_delete(core, sa, CloseReason::local_request);
    case Phase::authenticating:
      // The peer may have established it by now: its answer decides whether there is something to delete.
      sa.terminating = true;
      send_guests_away(core, sa);
      sa.window.hasten(Core::hasty_retransmission(), core.now, core.random);
      core.touch(sa);
      return;
    case Phase::initiating:
    case Phase::half_open: return close_ike_sa(core, sa, CloseReason::local_request, Phase::gone);
    default: return;
  }
}

Bytes spi_octets(model::Spi spi) {
  ByteWriter writer;
  writer.u32(spi.value());
  return writer.take();
}

}  // namespace

void handle(Core& core, ConfigureConnection command) {
  const model::ConnectionId id = command.config.id;
  // Credentials may have changed with it (RFC 5723 6.2).
  forget_ticket(core, id);
  core.connections.put(std::move(command.config));
  for (const IkeSa* sa : hosts_of(core, id)) core.touch(*sa);
}

void handle(Core& core, const RemoveConnection& command) {
  handle(core, Terminate{command.connection});
  forget_ticket(core, command.connection);
  core.connections.remove(command.connection);
}

namespace {

// An attempt like any other: not one that is to take the place of an IKE SA, or has a way of its own.
bool is_plain(const Initiate& command) {
  return !command.despite_doubtful && !command.beside && !command.replaces && !command.redirected_from &&
         !command.path.over_tcp();
}

// Its Child SA stands in the IKE SA of another connection, or is on its way there.
bool stands_as_guest(Core& core, const model::ConnectionConfig& config, const Initiate& command) {
  if (!is_plain(command)) return false;
  for (const IkeSa* sa : core.sas.of_guest(config.id)) {
    if (sa->connection == config.id || sa->phase == Phase::closing || sa->phase == Phase::defunct) continue;
    const bool stands = std::ranges::any_of(sa->children, [&](const auto& entry) {
      return entry.second.connection == config.id && entry.second.is_current();
    });
    if (stands || child_is_coming(*sa, config.id)) return true;
  }
  return false;
}

// In the IKE SA of another connection, where there is one for that.
bool begin_as_guest(Core& core, const model::ConnectionConfig& config, const Initiate& command) {
  if (!is_plain(command)) return false;
  IkeSa* sa = shared_ike_sa(core, config);
  if (sa == nullptr) return false;
  core.progress(*sa, fmt::format("'{}' is to have its Child SA in the same IKE SA", config.name));
  await_first_child(core, *sa, config.id, command.wish);
  return true;
}

}  // namespace

void handle(Core& core, const Initiate& command) {
  const model::ConnectionConfig* config = core.connections.find(command.connection);
  if (config == nullptr) return;
  if (stands_as_guest(core, *config, command)) return;
  for (IkeSa* sa : core.sas.of_connection(command.connection)) {
    const bool coming = (sa->phase == Phase::initiating || sa->phase == Phase::authenticating) && !sa->terminating;
    if (coming) return;
    if (sa->phase != Phase::established || command.beside) continue;
    if (command.despite_doubtful && !sa->window.idle()) continue;
    if (command.replaces == sa->id) continue;
    // Up, but without the pair that carries the traffic: that is what is asked for.
    const bool child_coming = child_is_coming(*sa, command.connection);
    const bool leaving = sa->intent() == Activity::delete_ike || has_task<DeleteIkeTask>(*sa);
    if (leaving) continue;
    if (!has_child_of(*sa, command.connection) && !child_coming) {
      sa->tasks.push_back({.task = CreateChildTask{.retry = {}, .wish = command.wish}});
      core.touch(*sa);
    } else if (!child_coming) {
      // One that the user wants now, after a failure put its next attempt off.
      for (QueuedTask& queued : sa->tasks) {
        if (std::holds_alternative<CreateChildTask>(queued.task)) queued.not_before = core.now;
      }
    }
    return;
  }
  if (begin_as_guest(core, *config, command)) return;
  begin_ike_sa(core, *config,
               {.path = command.path,
                .beside_doubtful = command.despite_doubtful,
                .wish = command.wish,
                .redirected_from = command.redirected_from,
                .replaces = command.replaces,
                .patience = command.patience});
}

void handle(Core& core, const CreateChildSa& command) {
  const model::ConnectionConfig* config = core.connections.find(command.connection);
  for (IkeSa* sa : hosts_of(core, command.connection)) {
    const bool leaving = sa->intent() == Activity::delete_ike || has_task<DeleteIkeTask>(*sa) || sa->yields_to;
    if (sa->phase != Phase::established || leaving) continue;
    // One for a single resource belongs beside its fallback, in whichever IKE SA that is.
    const bool fits = !command.wish.resource || (config != nullptr && joinable(*sa, *config, command.wish) != nullptr);
    const bool at_home = sa->connection == command.connection;
    if (fits && (at_home || has_child_of(*sa, command.connection)))
      return ask_for_child(core, *sa, command.connection, command.wish);
  }
}

void handle(Core& core, const Terminate& command) {
  for (IkeSa* sa : hosts_of(core, command.connection)) {
    if (!leave(core, *sa, command.connection)) terminate(core, *sa);
  }
}

void handle(Core& core, const TerminateIkeSa& command) {
  IkeSa* sa = core.sas.find(command.ike_sa);
  if (sa != nullptr) terminate(core, *sa);
}

void handle(Core& core, const RekeyIkeSa& command) {
  IkeSa* sa = core.sas.find(command.ike_sa);
  if (sa == nullptr || sa->phase != Phase::established || sa->intent() == Activity::rekey_ike ||
      has_task<RekeyIkeTask>(*sa))
    return;
  // One that lost to its rival goes soon; a successor would stay.
  if (has_task<DeleteIkeTask>(*sa)) return;
  sa->tasks.push_back({.task = RekeyIkeTask{}});
  core.touch(*sa);
}

void handle(Core& core, const RekeyChildSa& command) {
  IkeSa* sa = core.sas.find_by_child(command.child);
  if (sa == nullptr) return;
  ChildSa* child = sa->find_child(command.child);
  const InitiatorExchange* about = sa->exchange_about(child->id);
  const bool under_way = about != nullptr && about->activity() == Activity::rekey_child;
  const bool planned = std::ranges::any_of(sa->tasks, [&](const QueuedTask& queued) {
    const auto* task = std::get_if<RekeyChildTask>(&queued.task);
    return task != nullptr && task->child == child->id;
  });
  if (under_way || planned || child->replaced_by || child->deleting || child->redundant) return;
  sa->tasks.push_back({.task = RekeyChildTask{.child = child->id, .retry = {}}});
  core.touch(*sa);
}

void handle(Core& core, const DeleteChildSa& command) {
  IkeSa* sa = core.sas.find_by_child(command.child);
  if (sa == nullptr) return;
  delete_child(core, *sa, *sa->find_child(command.child), CloseReason::local_request);
}

void handle(Core& core, const CheckLiveness& command) {
  IkeSa* sa = core.sas.find(command.ike_sa);
  if (sa == nullptr || sa->phase != Phase::established || !sa->is_quiet() || !sa->window.idle()) return;
  sa->tasks.push_back({.task = LivenessTask{}});
  core.touch(*sa);
}

void handle(Core& core, const PeerAlive& command) {
  IkeSa* sa = core.sas.find_by_child(command.child);
  if (sa == nullptr) return;
  sa->last_inbound = core.now;
  core.touch(*sa);
  // RFC 7296 2.8: a valid packet on the new pair proves that the initiator has it.
  ChildSa* child = sa->find_child(command.child);
  child->unconfirmed_until.reset();
  if (!child->redundant) release_outbound(core, *child);
}

void handle(Core& core, const PeerMoved& command) {
  IkeSa* sa = core.sas.find_by_child(command.child);
  if (sa == nullptr) return;
  core.touch(*sa);
  follow_peer(core, *sa, {.local = sa->path.local, .remote = command.remote}, true);
}

void handle(Core& core, OwnAddresses command) {
  core.own_addresses = std::move(command.addresses);
  for (IkeSa* sa : core.sas.all()) tell_addresses(core, *sa);
}

void handle(Core& core, const ReviewPath& command) {
  IkeSa* sa = core.sas.find(command.ike_sa);
  if (sa != nullptr) review_path(core, *sa);
}

void handle(Core& core, const UsePaths& command) {
  IkeSa* sa = core.sas.find(command.ike_sa);
  if (sa != nullptr && sa->successor) sa = core.sas.find(*sa->successor);
  if (sa != nullptr) use_paths(core, *sa, command.paths);
}

void handle(Core& core, const TryPath& command) {
  IkeSa* sa = core.sas.find(command.ike_sa);
  if (sa != nullptr) try_transport(core, *sa, command.path);
}

void handle(Core& core, const TakeOver& command) {
  IkeSa* sa = core.sas.find(command.ike_sa);
  if (sa != nullptr) take_over(core, *sa, command);
}

void handle(Core& core, const StreamReopened& command) {
  for (IkeSa* sa : core.sas.of_peer(command.path.remote.address)) {
    if (sa->path != command.path) continue;
    // RFC 9329 6.2: what waits for an answer goes over the new connection again; it may have been lost with the old.
    for (const model::MessageId id : sa->window.awaited()) resend_request(core, *sa, id);
    // RFC 9329 6.1: the peer is shown where we are now; with nothing else to say, by an empty message.
    if (sa->phase == Phase::established && chooses_paths(*sa)) {
      put_first(core, *sa, UpdateAddressesTask{});
    } else if (sa->phase == Phase::established && sa->is_quiet() && sa->window.idle()) {
      sa->tasks.push_back({.task = LivenessTask{}});
    }
    core.touch(*sa);
  }
}

void handle(Core& core, const UnknownEspSpi& command) {
  if (!core.unprotected_answers.allow(core.now)) return;
  // RFC 7296 1.5: over an IKE SA with the sender where there is one.
  for (IkeSa* sa : core.sas.of_peer(command.path.remote.address)) {
    if (sa->phase != Phase::established) continue;
    if (has_task<NotifyTask>(*sa) || sa->intent() == Activity::inform) return;
    sa->tasks.push_back({.task = NotifyTask{.type = model::NotifyType::invalid_spi, .data = spi_octets(command.spi)}});
    return core.touch(*sa);
  }
  // Else in the clear: no request, no response, Initiator flag set, SPIs without meaning.
  codec::Message message;
  message.header.spi_i = core.new_ike_spi();
  message.header.exchange = model::ExchangeType::informational;
  message.header.initiator = true;
  message.add_notify(model::NotifyType::invalid_spi, spi_octets(command.spi));
  core.transmit(command.path, codec::serialize(message));
}

void handle(Core& core, const Reauthenticate& command) {
  IkeSa* sa = core.sas.find(command.ike_sa);
  if (sa != nullptr) reauthenticate(core, *sa);
}

void handle(Core& core, const RedirectPeers& command) {
  const model::ConnectionConfig* config = core.connections.find(command.connection);
  if (config == nullptr) return;
  for (IkeSa* sa : core.sas.of_connection(command.connection)) {
    // RFC 5685 3, 10: only who said that it follows, and began the IKE SA.
    const bool follows = sa->origin_role == model::Role::responder && sa->life && sa->life->peer_follows;
    if (sa->phase != Phase::established || !follows || has_task<DeleteIkeTask>(*sa)) continue;
    core.progress(*sa, "sending the peer to another gateway");
    sa->tasks.push_back(
        {.task = NotifyTask{.type = model::NotifyType::redirect, .data = encode_gateway(command.gateway)}});
    // RFC 5685 5: it has some time to leave.
    sa->tasks.push_back({.task = DeleteIkeTask{.reason = CloseReason::redirected},
                         .not_before = core.now + config->life.redirect_grace});
    core.touch(*sa);
  }
}

void handle(Core& core, const UseSecrets& command) {
  core.life->secrets = command.secrets;
  core.life->calendar = command.calendar;
  core.life->calendar_at = core.now;
}

void handle(Core& core, const Shutdown&) {
  core.shutting_down = true;
  for (IkeSa* sa : core.sas.all()) {
    const bool tell = sa->announced || sa->phase == Phase::closing;
    if (sa->announced) close_with_delete(core, *sa, CloseReason::local_request);
    if (tell) {
      // Once, and without waiting for what is still unanswered: there is nobody to wait.
      sa->exchange.reset();
      sa->beside.clear();
      sa->window.forget_requests();
      run_tasks(core, *sa);
    }
    close_ike_sa(core, *sa, CloseReason::local_request, Phase::gone);
  }
}

}  // namespace culvert::ike::v2
