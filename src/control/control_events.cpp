// What each event of IKE and of the data plane sets off. In the order of a tunnel's life: set-up, traffic, rekey, end.
#include <fmt/format.h>

#include "control/advice.hpp"
#include "control/control_plane.hpp"

namespace culvert::control {

using Level = Notice::Level;

// ipsec::InboundActivity comes so often while there is traffic.
constexpr Duration kActivityInterval = std::chrono::seconds(1);

// ---------------------------------------------------------------- set-up

void ControlPlane::on(ike::Progress&& event, Instant) {
  if (event.connection) {
    if (Tunnel* tunnel = find(*event.connection); tunnel != nullptr && tunnel->attempt_running())
      tunnel->progress = event.text;
  }
  notice(Level::debug, event.connection.value_or(model::ConnectionId()), std::move(event.text));
}

void ControlPlane::on(ike::IkeSaEstablished&& event, Instant now) {
  Tunnel* tunnel = find(event.connection);
  const bool rekeyed = event.replaces.has_value();
  if (tunnel != nullptr && !rekeyed && event.role == model::Role::responder && !tunnel->attempt_running())
    tunnel->peer_attempt();
  notice(Level::info, event.connection,
         fmt::format("IKE SA {} with {} ({}), {} -> {}, {}", rekeyed ? "rekeyed" : "established",
                     event.remote_id.to_string(), event.role == model::Role::initiator ? "we began" : "the peer began",
                     event.path.local.to_string(), event.path.remote.to_string(), model::to_string(event.suite)));
  IkeSa sa{std::move(event), now};
  const model::IkeSaId id = sa.sa.ike_sa;
  if (!rekeyed && tunnel != nullptr) tunnel->resources.clear();
  plan_keepalive(sa, now);
  if (sa.sa.replaces) leases_.move(*sa.sa.replaces, id);
  begin_session(sa.sa, now);
  take_stream(sa, now);
  standing_[sa.sa.connection].ike_sas.insert(id);
  ike_sas_.insert_or_assign(id, std::move(sa));
}

void ControlPlane::on(ike::ChildSaEstablished&& event, Instant now) {
  model::ChildSaParams& params = event.params;
  const model::ChildSaId id = params.id;
  const model::ConnectionId connection = params.connection;
  Child child{.connection = connection,
              .ike_sa = params.ike_sa,
              .view = {},
              .path = params.path,
              .for_wish = event.for_wish,
              .per_resource = params.per_resource,
              .idle_at = {}};
  child.view = ChildSaFacts{.id = id,
                            .spi_inbound = params.spi_inbound,
                            .spi_outbound = params.spi_outbound,
                            .resource = params.resource,
                            .suite = params.suite,
                            .mode = params.mode,
                            .encapsulation = params.encapsulation,
                            .local = params.local,
                            .remote = params.remote,
                            .security_label = event.security_label ? event.security_label->to_string() : "",
                            .established = now,
                            .rekey_at = std::nullopt,
                            .expires_at = std::nullopt};
  if (params.soft.time) child.view.rekey_at = now + *params.soft.time;
  if (params.hard.time) child.view.expires_at = now + *params.hard.time;
  if (settings_.export_keys) requests_.emplace_back(esp_keys_of(params));
  const bool rekeyed = params.replaces.has_value();
  if (rekeyed) {
    const auto old = children_.find(*params.replaces);
    child.renewed = old != children_.end() && old->second.renewed;
  }
  const std::string text =
      fmt::format("Child SA {}: {} === {}, {}, SPI 0x{:08x} in, 0x{:08x} out{}", rekeyed ? "rekeyed" : "established",
                  model::to_string(params.local), model::to_string(params.remote), model::to_string(params.suite),
                  params.spi_inbound.value(), params.spi_outbound.value(),
                  params.resource ? fmt::format(", for worker {}", *params.resource) : "") +
      (child.view.security_label.empty() ? "" : fmt::format(", labelled '{}'", child.view.security_label));
  // How packets are treated is one side's own policy, which IKE knows nothing of; but for AGGFRAG, which takes two.
  if (const Tunnel* tunnel = find(connection)) {
    params.treatment = tunnel->config().treatment.with(params.treatment.aggfrag);
  }
  if (event.for_wish) watch_use(child, params, now);
  const auto installed = data_plane_.install(std::move(params));
  if (!installed) {
    const std::string problem = fmt::format("the data plane refused the Child SA: {}", to_string(installed.error()));
    notice(Level::error, connection, problem);
    install_failed(child, problem, now);
    return;
  }
  standing_[connection].children.insert(id);
  idles_.set(id, child.idle_at);
  belongs(id, child.ike_sa, child.ike_sa);
  children_.insert_or_assign(id, std::move(child));
  notice(Level::info, connection, text);
  Tunnel* tunnel = find(connection);
  if (tunnel == nullptr) return;
  tunnel->child_up(now);
  const Child& made = children_.at(id);
  if (made.view.resource) {
    if (made.for_wish && !rekeyed) tunnel->resources.made(made.view.local, made.view.remote, *made.view.resource, now);
  } else {
    tunnel->wishes.fulfil(made.view.local, made.view.remote);
  }
  if (!rekeyed) retire_other_transport(made, now);
  // What else waits may have been asked for in an attempt that ended with this.
  ask_for_children(*tunnel, now);
}

void ControlPlane::install_failed(const Child& child, const std::string& problem, Instant now) {
  Tunnel* tunnel = find(child.connection);
  if (tunnel != nullptr && child.view.resource) {
    tunnel->resources.refuse(child.view.local, child.view.remote, *child.view.resource, now);
  } else if (tunnel != nullptr) {
    tunnel->failed(now, "local_error", problem, "This is a fault on this host.", random_);
  }
  ike_.handle_command(ike::DeleteChildSa{child.view.id}, now);
}

void ControlPlane::keep_record(const ike::NegotiationFailed& event, const Tunnel* tunnel, const std::string& hint,
                               Instant now) {
  failures_.note({.first = now,
                  .last = now,
                  .tunnel = tunnel != nullptr ? tunnel->config().name : std::string(),
                  .peer = event.path.remote.address,
                  .identity = event.identity,
                  .we_began = event.role == model::Role::initiator,
                  .child_only = event.child_only,
                  .kind = std::string(ike::name_of(event.kind)),
                  .message = event.detail,
                  .hint = hint,
                  .refusal = event.refusal});
}

void ControlPlane::on(ike::NegotiationFailed&& event, Instant now) {
  const auto level = event.kind == ike::FailureKind::unknown_peer ? Level::warning : Level::error;
  Tunnel* tunnel = event.connection ? find(*event.connection) : nullptr;
  const std::string text =
      fmt::format("{} failed with {}: {} ({})", event.child_only ? "Child SA set-up" : "IKE SA set-up",
                  event.path.remote.to_string(), event.detail, ike::name_of(event.kind));
  const std::string hint = tunnel != nullptr ? advice(event, tunnel->config()) : std::string();
  keep_record(event, tunnel, hint, now);
  if (tunnel == nullptr) {
    notices_.push_back({level, "", text});
    return;
  }
  if (fall_back(*tunnel, event)) return;
  if (event.wish && event.wish->resource) return resource_refused(*tunnel, std::move(event), text, now);
  if (event.wish && event.child_only && !standing(tunnel->config().id).children.empty())
    return refused(*tunnel, std::move(event), text, now);
  notice(level, tunnel->config().id, hint.empty() ? text : text + ". " + hint);
  std::string kind(ike::name_of(event.kind));
  if (event.role == model::Role::initiator) {
    tunnel->failed(now, std::move(kind), std::move(event.detail), hint, random_);
  } else {
    tunnel->peer_attempt();
    tunnel->peer_failed(now, std::move(kind), std::move(event.detail), hint);
  }
  tunnel->set_refusal(std::move(event.refusal));
}

void ControlPlane::on(ipsec::Acquire&& event, Instant now) {
  Tunnel* tunnel = find(event.connection);
  // Of a pool: whoever has the address now, or had it, must call; which peer that is the tunnel does not say.
  if (tunnel == nullptr || !tunnel->config().pools.empty()) return;
  if (event.resource && ask_for_resource(*tunnel, event, now)) return;
  notice(Level::debug, event.connection,
         fmt::format("a packet {} -> {} waits for the tunnel", event.packet.source.to_string(),
                     event.packet.destination.to_string()));
  const auto wish = wish_of(event, tunnel->config());
  if (wish) {
    tunnel->wishes.note(*wish, now);
  } else if (!event.local.empty()) {
    // A rule may send a tunnel more than it has.
    notice(Level::debug, event.connection,
           "that packet is outside the tunnel's own local and remote: no SA can carry it");
    return;
  }
  tunnel->acquire(now);
  if (!standing(event.connection).children.empty()) ask_for_children(*tunnel, now);
}

void ControlPlane::on(ipsec::PathMtuChanged&& event, Instant) {
  const auto child = children_.find(event.child);
  if (child == children_.end()) return;
  notice(
      Level::debug, child->second.connection,
      fmt::format("the path takes outer packets of {} octets now, inner ones of {}", event.path_mtu, event.inner_mtu));
}

// RFC 6040 4.2: such combinations should be logged.
void ControlPlane::on(ipsec::EcnAnomaly&& event, Instant) {
  const auto child = children_.find(event.child);
  if (child == children_.end()) return;
  notice(
      Level::debug, child->second.connection,
      fmt::format("the ECN field {:02b} of an outer header does not go with {:02b} inside", event.outer, event.inner));
}

// RFC 3948 5.2: who wonders why a client's port is another one, or why it is not heard, finds it here.
void ControlPlane::on(ipsec::NatFlowShared&& event, Instant) {
  const auto child = children_.find(event.child);
  if (child == children_.end()) return;
  const net::PacketInfo& packet = event.packet;
  const std::string flow =
      packet.source_port == 0 && packet.destination_port == 0
          ? fmt::format("protocol {}", packet.protocol)
          : fmt::format("protocol {}, ports {} to {}", packet.protocol, packet.source_port, packet.destination_port);
  notice(Level::info, child->second.connection,
         event.port ? fmt::format("another host behind {} uses {} as well: this one's packets come in from port {}",
                                  packet.source.to_string(), flow, *event.port)
                    : fmt::format("another host behind {} uses {} as well, and no other port is protected by the same "
                                  "rule: this one's packets are dropped; let \"remote\" take any port, or use tunnel "
                                  "mode",
                                  packet.source.to_string(), flow));
}

void ControlPlane::on(ike::KeysExported&& event, Instant) { requests_.emplace_back(ExportIkeKeys{std::move(event)}); }

// ---------------------------------------------------------------- life

void ControlPlane::heard_from(Child& child, Instant now) {
  child.doubtful = child.tried = child.renewed = false;
  const auto sa = ike_sas_.find(child.ike_sa);
  if (!child.per_resource || sa == ike_sas_.end()) return;
  sa->second.traffic_at = now;
  for (const model::ChildSaId id : sa->second.children) {
    Child& other = children_.at(id);
    if (other.per_resource) other.doubtful = other.tried = other.renewed = false;
  }
}

void ControlPlane::on(ipsec::InboundActivity&& event, Instant now) {
  if (manual_.owns(event.child)) return;
  const auto child = children_.find(event.child);
  if (child != children_.end()) heard_from(child->second, now);
  ike_.handle_command(ike::PeerAlive{event.child}, now);
}

// Some peers' IKE follows us to where a NAT has put us, and their kernel's SAs do not: the IKE SA lives, and what they
// send is lost. A new pair goes to where IKE is. Once, for traffic may well go one way only.
void ControlPlane::renew_silent(Child& child, Instant now) {
  if (!std::exchange(child.tried, true) || std::exchange(child.renewed, true)) return;
  notice(Level::info, child.connection,
         "packets go out and none comes back, while the IKE SA stands: rekeying the Child SA");
  ike_.handle_command(ike::RekeyChildSa{child.view.id}, now);
}

void ControlPlane::on(ipsec::NothingComesBack&& event, Instant now) {
  const auto child = children_.find(event.child);
  if (child == children_.end()) return;
  const auto sa = ike_sas_.find(child->second.ike_sa);
  // Of several in one IKE SA the one that this is of looks after it.
  const Tunnel* tunnel = find(sa == ike_sas_.end() ? child->second.connection : sa->second.sa.connection);
  // Zero: the user wants no such questions.
  if (tunnel == nullptr || tunnel->config().liveness_interval <= Duration::zero()) return;
  // The answers may come over another one of those with the same selectors.
  const bool answered_elsewhere = child->second.per_resource && sa != ike_sas_.end() && sa->second.traffic_at &&
                                  now - *sa->second.traffic_at < kActivityInterval;
  if (answered_elsewhere) return;
  if (!child->second.doubtful || sa == ike_sas_.end() || !tunnel->may_begin()) {
    notice(Level::debug, child->second.connection, "packets go out and none comes back: asking whether the peer lives");
    child->second.doubtful = true;
    return ike_.handle_command(ike::CheckLiveness{child->second.ike_sa}, now);
  }
  // From an address that is gone nothing comes of it.
  if (!sa->second.sa.mobike && !is_ours(sa->second.sa.path.local.address)) return look_for_paths(sa->second);
  // Still nothing. A peer that was started anew may be silent about what it no longer knows, but it answers a new
  // IKE_SA_INIT. If it is the network that is silent, the old SAs are there when it comes back.
  notice(Level::debug, child->second.connection, "still nothing: trying a new IKE SA beside the old one");
  ike_.handle_command(ike::CheckLiveness{child->second.ike_sa}, now);
  renew_silent(child->second, now);
  const bool by_tcp = tunnel->config().tcp != model::TcpPolicy::never;
  if (by_tcp && (sa->second.sa.path.over_tcp() || movable(*tunnel) == nullptr)) {
    requests_.emplace_back(beside_wish(*tunnel, FindPath::kAnew, true));
    return;
  }
  if (by_tcp) try_tcp_beside(*tunnel);
  // A name may lead elsewhere by now.
  if (!net::IpAddress::parse(tunnel->peer())) {
    requests_.emplace_back(path_wish(*tunnel, FindPath::kAnew, false));
    return;
  }
  const net::Path& path = sa->second.sa.path;
  ike::Initiate command = initiation(*tunnel, {path.local.address, path.remote.address});
  command.despite_doubtful = true;
  ike_.handle_command(std::move(command), now);
}

void ControlPlane::on(ipsec::PeerMovedSeen&& event, Instant now) {
  // With manual keys nobody can confirm a new address.
  if (manual_.owns(event.child)) return;
  ike_.handle_command(ike::PeerMoved{event.child, event.remote}, now);
}

void ControlPlane::on(ipsec::SaExpired&& event, Instant now) {
  if (manual_.owns(event.child)) return manual_.expired(event.child, event.hard);
  const auto child = children_.find(event.child);
  if (child == children_.end()) return;
  notice(Level::info, child->second.connection,
         event.hard ? "Child SA reached its limit of bytes or packets"
                    : "Child SA nears its limit of bytes or packets: rekeying");
  if (event.hard) {
    ike_.handle_command(ike::DeleteChildSa{event.child}, now);
  } else {
    ike_.handle_command(ike::RekeyChildSa{event.child}, now);
  }
}

void ControlPlane::on(ipsec::SaRefused&& event, Instant now) {
  if (manual_.owns(event.child)) return manual_.refused(event.child, event.error);
  const auto child = children_.find(event.child);
  if (child == children_.end()) return;
  notice(Level::error, child->second.connection,
         fmt::format("the data plane could not set up the Child SA: {}", to_string(event.error)));
  Tunnel* tunnel = find(child->second.connection);
  if (tunnel != nullptr && child->second.view.resource) {
    const ChildSaFacts& view = child->second.view;
    tunnel->resources.refuse(view.local, view.remote, *view.resource, now);
    child->second.for_wish = false;  // its end says nothing that is not known
  }
  ike_.handle_command(ike::DeleteChildSa{event.child}, now);
}

void ControlPlane::on(ipsec::UnknownSpi&& event, Instant now) {
  notices_.push_back(
      {Level::debug, "",
       fmt::format("ESP from {} with the unknown SPI 0x{:08x}: an old SA of the peer's, or of our last run",
                   event.path.remote.to_string(), event.spi.value())});
  net::Path path = event.path;
  // Protocol 50 has no ports; the peer's IKE is where it usually is.
  if (path.local.port == 0) path.local.port = path.remote.port = settings_.ike_port;
  ike_.handle_command(ike::UnknownEspSpi{path, event.spi}, now);
}

void ControlPlane::on(ike::ChildSaSkipSequence&& event, Instant) {
  if (children_.contains(event.child)) data_plane_.skip_sequence(event.child, event.count);
}

void ControlPlane::on(ike::ChildSaUseOutbound&& event, Instant) { data_plane_.use_outbound(event.child); }

void ControlPlane::on(ike::ChildSaMoved&& event, Instant) {
  const auto child = children_.find(event.child);
  if (child == children_.end()) return;
  belongs(event.child, child->second.ike_sa, event.ike_sa);
  child->second.ike_sa = event.ike_sa;
}

// ---------------------------------------------------------------- end

void ControlPlane::on(ike::ChildSaRemoved&& event, Instant now) {
  const auto child = children_.find(event.child);
  if (child != children_.end()) count_in_session(child->second);
  data_plane_.remove(event.child, event.linger);
  if (child == children_.end()) return;
  const model::ConnectionId connection = child->second.connection;
  if (const auto sa = ike_sas_.find(child->second.ike_sa); sa != ike_sas_.end()) sa->second.children.erase(event.child);
  resource_ended(child->second, event.reason, now);
  children_.erase(child);
  idles_.set(event.child, std::nullopt);
  standing_[connection].children.erase(event.child);
  if (event.reason != ike::CloseReason::rekeyed) {
    notice(Level::info, connection, fmt::format("Child SA removed: {}", ike::name_of(event.reason)));
  }
  const Standing& left = standing(connection);
  if (Tunnel* tunnel = find(connection)) {
    tunnel->child_down(now, left.children.empty());
    // The IKE SA that they were in is another tunnel's, and stays.
    const bool all = left.children.empty() && left.ike_sas.empty();
    if (all && tunnel->state() == TunnelState::closing) tunnel->all_gone(now);
  }
  forget_when_empty(connection);
}

void ControlPlane::on(ike::IkeSaPassedOn&& event, Instant now) {
  const auto found = ike_sas_.find(event.ike_sa);
  if (found == ike_sas_.end()) return;
  found->second.sa.connection = event.to;
  standing_[event.from].ike_sas.erase(event.ike_sa);
  standing_[event.to].ike_sas.insert(event.ike_sa);
  plan_return(found->second, now);
  const Tunnel* to = find(event.to);
  notice(Level::debug, event.from,
         fmt::format("its IKE SA goes on for tunnel {}", to == nullptr ? "" : to->config().name));
  const Standing& left = standing(event.from);
  Tunnel* from = find(event.from);
  if (from != nullptr && left.ike_sas.empty() && left.children.empty() && from->state() == TunnelState::closing)
    from->all_gone(now);
  forget_when_empty(event.from);
}

void ControlPlane::on(ike::IkeSaClosed&& event, Instant now) {
  if (const auto closed = ike_sas_.find(event.ike_sa); closed != ike_sas_.end()) leave_stream(closed->second.sa.path);
  ike_sas_.erase(event.ike_sa);
  keepalives_.set(event.ike_sa, std::nullopt);
  leases_.release(event.ike_sa);
  sessions_.end(event.ike_sa, event.reason, now);
  standing_[event.connection].ike_sas.erase(event.ike_sa);
  if (event.reason != ike::CloseReason::rekeyed) {
    notice(event.reason == ike::CloseReason::peer_dead ? Level::warning : Level::info, event.connection,
           fmt::format("IKE SA closed: {}", ike::name_of(event.reason)));
  }
  Tunnel* tunnel = find(event.connection);
  const Standing& left = standing(event.connection);
  // Its Child SAs may be in the IKE SA of another tunnel by now.
  if (tunnel != nullptr && left.ike_sas.empty() && left.children.empty()) {
    tunnel->all_gone(now);
    if (tunnel->state() == TunnelState::down) give_back(*tunnel);
  }
  forget_when_empty(event.connection);
}

}  // namespace culvert::control
