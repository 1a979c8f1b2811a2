// Who goes over TCP, and when (RFC 9329). A new tunnel tries UDP first and falls back when nothing comes back; a tunnel
// whose peer has fallen silent over UDP goes over to TCP; and one over TCP tries UDP from time to time and takes what
// it gets. With MOBIKE the IKE SA that stands moves from one to the other (RFC 9329 7.1). Without it it cannot (RFC
// 9329 5): then each change is a quick set-up whose Child SAs stand before the old ones go. Meanwhile the rules send
// nothing in clear.
#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "control/control_plane.hpp"

namespace culvert::control {

namespace {

using Level = Notice::Level;

// RFC 9329 5.1: IKE_SA_INIT is sent over UDP three times before TCP has its turn.
constexpr Duration kPatienceWithUdp = std::chrono::seconds(3);
constexpr Duration kPatienceWithTcp = std::chrono::seconds(10);
// Where a name led when the peer had fallen silent: not so long that the next look at it would be put off.
constexpr Duration kPatienceWithName = std::chrono::seconds(4);
// How often UDP is tried while TCP carries the tunnel, and for how long.
constexpr Duration kReturnInterval = std::chrono::seconds(20);
constexpr Duration kReturnPatience = std::chrono::seconds(2);

}  // namespace

FindPath ControlPlane::path_wish(const Tunnel& tunnel, std::uint64_t attempt, bool over_tcp) {
  FindPath wish{tunnel.config().id, attempt, tunnel.peer(), tunnel.config().local_address};
  if (over_tcp) wish.tcp_port = tunnel.config().tcp_port;
  return wish;
}

// A gateway may have sent us to this one (RFC 5685), and a name may mean another by now.
FindPath ControlPlane::beside_wish(const Tunnel& tunnel, std::uint64_t attempt, bool over_tcp) const {
  FindPath wish = path_wish(tunnel, attempt, over_tcp);
  const auto& ours = standing(tunnel.config().id).ike_sas;
  if (!ours.empty()) wish.peer = ike_sas_.at(*ours.rbegin()).sa.path.remote.address.to_string();
  return wish;
}

ike::Initiate ControlPlane::initiation(const Tunnel& tunnel, net::Path path) const {
  const model::ConnectionConfig& config = tunnel.config();
  ike::Initiate command{.connection = config.id, .path = path};
  if (path.over_tcp()) {
    command.patience = kPatienceWithTcp;
    return command;
  }
  command.path.local.port = settings_.ike_port;
  command.path.remote.port = config.peer_port;
  if (config.tcp == model::TcpPolicy::fallback) command.patience = kPatienceWithUdp;
  return command;
}

bool ControlPlane::waits_for_udp(const Tunnel& tunnel) const {
  if (tunnel.config().tcp != model::TcpPolicy::fallback) return false;
  const auto& ours = standing(tunnel.config().id).ike_sas;
  return std::ranges::any_of(ours, [&](model::IkeSaId id) {
    const IkeSa& sa = ike_sas_.at(id);
    return sa.opened_stream && sa.sa.path.over_tcp();
  });
}

// ---------------------------------------------------------------- from UDP to TCP

bool ControlPlane::fall_back(Tunnel& tunnel, const ike::NegotiationFailed& event) {
  if (event.role != model::Role::initiator || event.child_only) return false;
  const model::ConnectionConfig& config = tunnel.config();
  if (event.path.over_tcp()) {
    if (!streams_.in_use(event.path)) requests_.emplace_back(HoldStream{event.path, false});
  }
  if (config.tcp == model::TcpPolicy::never) return false;
  const bool stands = !standing(config.id).ike_sas.empty();
  if (stands && !tunnel.attempt_running()) {
    // What was tried beside the IKE SA that stands; the next sign of trouble, or the next interval, tries again.
    notice(Level::debug, config.id,
           fmt::format("a new IKE SA over {} did not come about: {}", event.path.over_tcp() ? "TCP" : "UDP",
                       event.detail));
    return true;
  }
  const bool silent = event.kind == ike::FailureKind::no_answer && !event.path.over_tcp();
  if (!silent || config.tcp != model::TcpPolicy::fallback || !tunnel.attempt_running()) return false;
  tunnel.progress = fmt::format("no answer over UDP; trying TCP port {}", config.tcp_port);
  notice(Level::info, config.id, tunnel.progress);
  if (tunnel.lead) {
    follow_lead(tunnel, tunnel.own_attempt(), true);
  } else {
    requests_.emplace_back(path_wish(tunnel, tunnel.own_attempt(), true));
  }
  return true;
}

void ControlPlane::on(ike::AnswerOverdue&& event, Instant) {
  const auto sa = ike_sas_.find(event.ike_sa);
  const Tunnel* tunnel = sa == ike_sas_.end() ? nullptr : find(sa->second.sa.connection);
  if (tunnel == nullptr || tunnel->config().tcp != model::TcpPolicy::fallback || !tunnel->may_begin()) return;
  if (sa->second.sa.path.over_tcp() || tunnel->attempt_running()) return;
  notice(Level::info, tunnel->config().id,
         fmt::format("no answer over UDP: trying {} over TCP port {}",
                     movable(*tunnel) != nullptr ? "the same IKE SA" : "a new IKE SA beside the old one,",
                     tunnel->config().tcp_port));
  try_tcp_beside(*tunnel);
}

void ControlPlane::try_tcp_beside(const Tunnel& tunnel) {
  requests_.emplace_back(beside_wish(tunnel, FindPath::kBeside, true));
}

// RFC 9329 7.1: the newest that is ours to move.
ControlPlane::IkeSa* ControlPlane::movable(const Tunnel& tunnel) {
  const auto& ours = standing(tunnel.config().id).ike_sas;
  for (auto id = ours.rbegin(); id != ours.rend(); ++id) {
    IkeSa& sa = ike_sas_.at(*id);
    if (sa.sa.chooses_paths) return &sa;
  }
  return nullptr;
}

void ControlPlane::begin_beside(const Tunnel& tunnel, bool anew, const Result<net::Path, std::string>& path,
                                Instant now) {
  const model::ConnectionId id = tunnel.config().id;
  if (!path) return notice(Level::debug, id, path.error());
  if (standing(id).ike_sas.empty()) {
    // It went meanwhile, and the tunnel begins anew by itself.
    if (path->over_tcp()) requests_.emplace_back(HoldStream{*path, false});
    return;
  }
  if (IkeSa* sa = anew ? nullptr : movable(tunnel)) {
    const net::Path& before = sa->sa.path;
    const bool moves = before.over_tcp() != path->over_tcp() || before.local.address != path->local.address;
    if (!moves) {
      if (path->over_tcp()) requests_.emplace_back(HoldStream{*path, false});
      return;
    }
    if (path->over_tcp()) {
      give_up_trial(*sa);
      sa->trial_stream = *path;
    }
    return ike_.handle_command(ike::TryPath{sa->sa.ike_sa, *path}, now);
  }
  ike::Initiate command = initiation(tunnel, *path);
  if (path->over_tcp()) {
    command.despite_doubtful = true;
  } else if (anew) {
    command.despite_doubtful = true;
    if (!command.patience) command.patience = kPatienceWithName;
  } else {
    command.beside = true;
    command.patience = kReturnPatience;
  }
  ike_.handle_command(std::move(command), now);
}

// ---------------------------------------------------------------- and back

void ControlPlane::try_udp_again(Instant now) {
  while (const auto id = returns_.due(now)) {
    const Tunnel* tunnel = find(*id);
    const bool wanted = tunnel != nullptr && waits_for_udp(*tunnel);
    returns_.set(*id, wanted ? std::optional(now + kReturnInterval) : std::nullopt);
    if (wanted && tunnel->may_begin()) requests_.emplace_back(beside_wish(*tunnel, FindPath::kBeside, false));
  }
}

void ControlPlane::plan_return(const IkeSa& sa, Instant now) {
  if (sa.sa.path.over_tcp() && sa.opened_stream) returns_.set(sa.sa.connection, now + kReturnInterval);
}

void ControlPlane::take_stream(IkeSa& sa, Instant now) {
  const net::Path& path = sa.sa.path;
  if (auto hold = streams_.take(path)) requests_.emplace_back(*hold);
  // RFC 9329 1.2: who opens the stream of the first IKE SA does so for all that replace it, whoever rekeys.
  sa.transport_since = now;
  const auto replaced = sa.sa.replaces ? ike_sas_.find(*sa.sa.replaces) : ike_sas_.end();
  sa.opened_stream = replaced != ike_sas_.end() ? replaced->second.opened_stream : sa.sa.role == model::Role::initiator;
  if (replaced != ike_sas_.end() && replaced->second.sa.path.over_tcp() == path.over_tcp())
    sa.transport_since = replaced->second.transport_since;
  plan_return(sa, now);
}

void ControlPlane::give_up_trial(IkeSa& sa) {
  const auto trial = std::exchange(sa.trial_stream, std::nullopt);
  if (trial && *trial != sa.sa.path) requests_.emplace_back(HoldStream{*trial, false});
}

void ControlPlane::changed_transport(IkeSa& sa, Instant now) {
  const bool over_tcp = sa.sa.path.over_tcp();
  sa.transport_since = now;
  if (over_tcp && sa.sa.chooses_paths) {
    sa.opened_stream = true;
    plan_return(sa, now);
  }
  notice(Level::info, sa.sa.connection, fmt::format("the tunnel goes over {} now", over_tcp ? "TCP" : "UDP"));
}

void ControlPlane::leave_stream(const net::Path& path) {
  if (auto left = streams_.leave(path)) requests_.emplace_back(*left);
}

// The Child SA of an IKE SA that we began over the other transport stands: the old IKE SAs have done their duty.
void ControlPlane::retire_other_transport(const Child& made, Instant now) {
  const auto fresh = ike_sas_.find(made.ike_sa);
  const Tunnel* tunnel = find(made.connection);
  if (tunnel == nullptr || tunnel->config().tcp != model::TcpPolicy::fallback || fresh == ike_sas_.end()) return;
  if (fresh->second.sa.role != model::Role::initiator) return;
  std::vector<model::IkeSaId> old;
  for (const model::IkeSaId id : standing(made.connection).ike_sas) {
    const IkeSa& other = ike_sas_.at(id);
    if (id < made.ike_sa && other.sa.path.over_tcp() != fresh->second.sa.path.over_tcp()) old.push_back(id);
  }
  if (old.empty()) return;
  notice(Level::info, made.connection,
         fmt::format("the tunnel goes over {} now", fresh->second.sa.path.over_tcp() ? "TCP" : "UDP"));
  for (const model::IkeSaId id : old) ike_.handle_command(ike::TerminateIkeSa{id}, now);
}

// ---------------------------------------------------------------- the streams themselves

void ControlPlane::handle_stream(const StreamNews& news, Instant now) {
  const std::string to = news.path.remote.to_string();
  if (news.kind == StreamNews::Kind::opened_again) {
    notices_.push_back({Level::info, "", fmt::format("the TCP connection to {} was lost and stands again", to)});
    ike_.handle_command(ike::StreamReopened{news.path}, now);
  } else {
    notices_.push_back({Level::warning, "", fmt::format("no TCP connection to {}: {}", to, news.text)});
  }
  settle(now);
}

}  // namespace culvert::control
