#include "ike/v2/shared_ike_sa.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/child_wish.hpp"
#include "ike/v2/children.hpp"
#include "ike/v2/commands.hpp"
#include "ike/v2/connection_choice.hpp"
#include "ike/v2/life_core.hpp"
#include "ike/v2/life_state.hpp"
#include "ike/v2/mobike.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {
namespace {

constexpr std::size_t kMostLookedAt = 64;

using model::ConnectionConfig;
using model::ConnectionId;

bool takes_tickets(const ConnectionConfig& config) { return config.life.resumption > Duration::zero(); }

// What was proved on the IKE SA, when it was, is what the connection wants to be proved now.
bool was_proved_for(const IkeSa& sa, const ConnectionConfig& config) {
  return credentials_of(sa) == config.credential_group &&
         (!sa.life || sa.life->chain_until == 0 || takes_tickets(config));
}

// All that both ends have shown each other, or agreed on for every Child SA, is the same.
bool same_proofs(const ConnectionConfig& a, const ConnectionConfig& b) {
  return a.authentication == b.authentication && a.expected() == b.expected() && a.peer_by_key == b.peer_by_key &&
         a.sha1_signatures == b.sha1_signatures && a.ppk == b.ppk && a.local_address == b.local_address &&
         a.further_peers == b.further_peers && a.life.reauthentication == b.life.reauthentication &&
         takes_tickets(a) == takes_tickets(b) && a.encapsulation == b.encapsulation;
}

// What the IKE SA of the one would be like is what that of the other would be like.
bool same_ike_sa(const ConnectionConfig& a, const ConnectionConfig& b) {
  return same_proofs(a, b) && a.peer_port == b.peer_port && a.random_peer == b.random_peer &&
         a.authorities == b.authorities && a.certificates_by_url == b.certificates_by_url && a.ask_ocsp == b.ask_ocsp &&
         a.ike_proposals == b.ike_proposals && a.tcp == b.tcp && a.tcp_port == b.tcp_port &&
         a.ike_fragmentation == b.ike_fragmentation && a.ike_fragment_size == b.ike_fragment_size &&
         may_use_mobike(a) == may_use_mobike(b) && a.life == b.life && a.ike_lifetime == b.ike_lifetime &&
         a.rekey_margin == b.rekey_margin && a.liveness_interval == b.liveness_interval &&
         a.nat_keepalive_interval == b.nat_keepalive_interval;
}

bool is_leaving(const IkeSa& sa) {
  return sa.terminating || sa.yields_to || sa.intent() == Activity::delete_ike ||
         std::ranges::any_of(
             sa.tasks, [](const QueuedTask& queued) { return std::holds_alternative<DeleteIkeTask>(queued.task); });
}

// Not one that is to take the place of another: whether it will is open.
bool may_take_guests(const Core& core, const IkeSa& sa) {
  const bool coming = sa.role == model::Role::initiator &&
                      (sa.phase == Phase::initiating || sa.phase == Phase::authenticating) && !sa.replaces_doubtful;
  if ((!coming && sa.phase != Phase::established) || is_leaving(sa)) return false;
  if (sa.life && (sa.life->replaces || sa.life->redirected_from)) return false;
  const auto planned = static_cast<std::size_t>(std::ranges::count_if(
      sa.tasks, [](const QueuedTask& queued) { return std::holds_alternative<CreateChildTask>(queued.task); }));
  return count_current(sa) + planned < core.settings.children_limit;
}

bool is_of(const Task& task, const IkeSa& sa, ConnectionId connection) {
  if (const auto* create = std::get_if<CreateChildTask>(&task))
    return create->guest.value_or(sa.connection.value_or(ConnectionId())) == connection;
  return false;
}

void drop_tasks_of(IkeSa& sa, ConnectionId connection) {
  erase_if(sa.tasks, [&](const QueuedTask& queued) { return is_of(queued.task, sa, connection); });
  for (InitiatorExchange* one : sa.exchanges()) {
    if (one->connection() == connection) one->give_up();
  }
}

void drop_waiting(IkeSa& sa) {
  for (const WaitingGuest& guest : waiting_guests(sa)) {
    drop_tasks_of(sa, guest.connection);
    end_wait(sa, guest.connection);
  }
}

}  // namespace

bool may_share(const IkeSa& sa, const ConnectionConfig& home, const ConnectionConfig& other) {
  return is_shareable(home) && same_share_key(home, other) && same_proofs(home, other) && was_proved_for(sa, other) &&
         model::accepts(other.ike_proposals, sa.suite) && (!sa.mobike || may_use_mobike(other));
}

const ConnectionConfig& connection_meant(const Core& core, const IkeSa& sa, const ConnectionConfig& home,
                                         const codec::Message& request) {
  ConnectionChoice choice(request, seen_addresses(sa));
  if (choice.take(home)) return home;
  core.connections.find_sharing(home, [&](const ConnectionConfig& one) {
    return one.id != home.id && may_share(sa, home, one) && choice.take(one);
  });
  return *choice.best();
}

// RFC 7296 2.9: what was left out is not refused, it is for another Child SA.
void add_more_possible(codec::Message& answer, const Core& core, const IkeSa& sa, const ConnectionConfig& chosen,
                       const codec::Message& request) {
  const SeenAddresses seen = seen_addresses(sa);
  if (request.ts(model::Role::initiator) == nullptr || selector_fit(chosen, request, seen) != SelectorFit::partly)
    return;
  std::size_t looked_at = 0;
  bool more = false;
  core.connections.find_sharing(chosen, [&](const ConnectionConfig& one) {
    more = one.id != chosen.id && may_share(sa, chosen, one) && selector_fit(one, request, seen) != SelectorFit::none;
    return more || ++looked_at >= kMostLookedAt;
  });
  if (more) answer.add_notify(model::NotifyType::additional_ts_possible);
}

// RFC 7296 2.9: the next packet that finds no SA asks for the rest.
void note_more_possible(Core& core, const IkeSa& sa, const codec::Message& response, const ChildOffer& offer,
                        const ChildAgreement& agreed) {
  const bool narrowed = agreed.local != offer.local || agreed.remote != offer.remote;
  if (narrowed && response.notify(model::NotifyType::additional_ts_possible) != nullptr)
    core.progress(sa, "the peer has narrowed the Child SA, and takes what is left out in further ones");
}

IkeSa* shared_ike_sa(Core& core, const ConnectionConfig& config) {
  IkeSa* found = nullptr;
  core.connections.find_sharing(config, [&](const ConnectionConfig& one) {
    if (one.id == config.id || !same_ike_sa(config, one)) return false;
    for (IkeSa* sa : core.sas.of_connection(one.id)) {
      if (!may_take_guests(core, *sa) || was_refused(*sa, config.id)) continue;
      if (sa->phase == Phase::established && !was_proved_for(*sa, config)) continue;
      found = sa;
      return true;
    }
    return false;
  });
  return found;
}

void take_in(Core& core, IkeSa& sa, ConnectionId guest) {
  if (guest == sa.connection) return;
  if (!sa.guests) sa.guests = Guests{};
  auto& all = sa.guests->all;
  if (std::ranges::find(all, guest) == all.end()) all.push_back(guest);
  core.sas.index_guest(guest, sa.id);
}

void note_refused(Core& core, IkeSa& sa, ConnectionId guest) {
  take_in(core, sa, guest);
  if (sa.guests) sa.guests->refused.push_back(guest);
}

bool was_refused(const IkeSa& sa, ConnectionId guest) {
  return sa.guests && std::ranges::find(sa.guests->refused, guest) != sa.guests->refused.end();
}

std::vector<IkeSa*> hosts_of(Core& core, ConnectionId connection) {
  auto hosts = core.sas.of_connection(connection);
  for (IkeSa* sa : core.sas.of_guest(connection)) {
    if (sa->connection != connection) hosts.push_back(sa);
  }
  return hosts;
}

bool has_current_child(Core& core, ConnectionId connection, const std::optional<ChildWish>& wish) {
  return std::ranges::any_of(hosts_of(core, connection), [&](const IkeSa* sa) {
    return sa->phase == Phase::established && std::ranges::any_of(sa->children, [&](const auto& entry) {
             const ChildSa& child = entry.second;
             if (child.connection != connection) return false;
             return wish ? fulfils(child, *wish) : child.is_current() && !child.scope && !child.group.resource;
           });
  });
}

bool child_is_coming(const IkeSa& sa, ConnectionId connection) {
  for (const InitiatorExchange* one : sa.exchanges()) {
    if (one->activity() == Activity::create_child && one->connection() == connection) return true;
  }
  return std::ranges::any_of(sa.tasks, [&](const QueuedTask& queued) { return is_of(queued.task, sa, connection); });
}

bool leave(Core& core, IkeSa& sa, ConnectionId connection) {
  if (sa.phase != Phase::established && sa.connection == connection) return false;
  std::optional<ConnectionId> heir;
  if (sa.connection == connection) {
    for (const ConnectionId guest : sa.guests ? sa.guests->all : std::vector<ConnectionId>()) {
      const bool has_child = std::ranges::any_of(sa.children, [&](const auto& entry) {
        return entry.second.connection == guest && entry.second.is_current();
      });
      if (guest == connection || core.connections.find(guest) == nullptr || (!has_child && !child_is_coming(sa, guest)))
        continue;
      heir = guest;
      break;
    }
    if (!heir) return false;
  }
  drop_tasks_of(sa, connection);
  end_wait(sa, connection);
  std::vector<model::ChildSaId> own;
  for (const auto& [id, child] : sa.children) {
    if (child.connection == connection) own.push_back(id);
  }
  // No packet passes any more, however long the peer takes to answer.
  for (const model::ChildSaId id : own) end_child(core, sa, id, CloseReason::local_request);
  if (heir) {
    for (QueuedTask& queued : sa.tasks) {
      if (auto* create = std::get_if<CreateChildTask>(&queued.task); create != nullptr && create->guest == heir)
        create->guest.reset();
    }
    core.progress(sa, fmt::format("the IKE SA goes on for '{}'", core.connections.find(*heir)->name));
    core.emit(IkeSaPassedOn{.ike_sa = sa.id, .from = connection, .to = *heir});
    // What the peer gave us to resume it by was given to the other one.
    if (const auto held = core.life->tickets.find(connection);
        held != core.life->tickets.end() && held->second.ike_sa == sa.id)
      core.life->tickets.erase(held);
    sa.connection = *heir;
    // Whoever waits for it is told by its own events.
    end_wait(sa, *heir);
    take_in(core, sa, connection);
  }
  core.touch(sa);
  return true;
}

void move_guests(Core& core, IkeSa& from, IkeSa& to) {
  if (!from.guests) return;
  to.guests = std::move(from.guests);
  from.guests.reset();
  for (const ConnectionId guest : to.guests->all) {
    core.sas.forget_guest(guest, from.id);
    core.sas.index_guest(guest, to.id);
  }
}

void invite_guests(Core& core, const IkeSa& sa, IkeSa& other) {
  if (!sa.guests || sa.connection != other.connection) return;
  for (const auto& [id, child] : sa.children) {
    if (child.connection == sa.connection || !child.is_current() || child.group.resource) continue;
    const auto covers = [&](const auto& entry) {
      return entry.second.connection == child.connection && model::is_subset(child.local, entry.second.local) &&
             model::is_subset(child.remote, entry.second.remote);
    };
    if (std::ranges::any_of(other.children, covers)) continue;
    take_in(core, other, child.connection);
    other.tasks.push_back(
        {.task = CreateChildTask{.retry = {}, .wish = wish_like(child), .guest = child.connection, .anew = true}});
  }
  core.touch(other);
}

void await_first_child(Core& core, IkeSa& sa, ConnectionId guest, std::optional<ChildWish> wish) {
  take_in(core, sa, guest);
  sa.guests->waiting.push_back({guest, wish});
  sa.tasks.push_back({.task = CreateChildTask{.retry = {}, .wish = std::move(wish), .guest = guest}});
  core.touch(sa);
}

void end_wait(IkeSa& sa, ConnectionId guest) {
  if (sa.guests) std::erase_if(sa.guests->waiting, [&](const WaitingGuest& one) { return one.connection == guest; });
}

std::vector<WaitingGuest> waiting_guests(const IkeSa& sa) {
  return sa.guests ? sa.guests->waiting : std::vector<WaitingGuest>();
}

bool waits(const IkeSa& sa, ConnectionId guest) {
  return sa.guests &&
         std::ranges::any_of(sa.guests->waiting, [&](const WaitingGuest& one) { return one.connection == guest; });
}

void fail_guests(Core& core, IkeSa& sa, const NegotiationFailed& failure) {
  const NegotiationFailed told = failure;
  for (WaitingGuest& guest : waiting_guests(sa)) {
    NegotiationFailed theirs = told;
    theirs.connection = guest.connection;
    theirs.wish = std::move(guest.wish);
    core.emit(std::move(theirs));
  }
  drop_waiting(sa);
}

void send_guests_away(Core& core, IkeSa& sa) {
  for (WaitingGuest& guest : waiting_guests(sa))
    core.homeless.push_back({guest.connection, sa.path, std::move(guest.wish)});
  drop_waiting(sa);
}

void begin_again(Core& core) {
  while (!core.homeless.empty()) {
    Core::Homeless one = std::move(core.homeless.front());
    core.homeless.pop_front();
    const ConnectionConfig* config = core.connections.find(one.connection);
    if (config == nullptr || core.shutting_down) continue;
    if (one.path.over_tcp()) {
      // Its stream is one IKE SA's: whoever begins again asks for another.
      core.emit(NegotiationFailed{.connection = one.connection,
                                  .path = one.path,
                                  .role = model::Role::initiator,
                                  .kind = FailureKind::no_answer,
                                  .notify = std::nullopt,
                                  .detail = "the IKE SA whose Child SA it was to be has ended",
                                  .child_only = false,
                                  .wish = std::move(one.wish)});
      continue;
    }
    net::Path path = one.path;
    path.local.port = core.settings.ike_port;
    path.remote.port = config->peer_port;
    handle(core, Initiate{.connection = one.connection, .path = path, .wish = std::move(one.wish)});
  }
}

}  // namespace culvert::ike::v2
