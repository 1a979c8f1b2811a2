// Commands, timers and outputs of the control plane; what events do stands in control_events.cpp.
#include "control/control_plane.hpp"

#include <algorithm>
#include <utility>

#include "control/credential_groups.hpp"

namespace culvert::control {

ControlPlane::ControlPlane(const ControlSettings& settings, ike::Endpoint& ike, ipsec::DataPlane& data_plane,
                           RandomSource& random)
    : settings_(settings),
      ike_(ike),
      data_plane_(data_plane),
      random_(random),
      manual_(data_plane, requests_, notices_, settings.sequence_block, settings.export_keys) {}

// ---------------------------------------------------------------- configuration

void ControlPlane::apply(const config::Config& config, const config::Diff& diff, Instant now) {
  apply_pools(config, diff);
  const config::TunnelsByName tunnels = config::by_name(config);
  number_credentials(config);
  for (const std::string& name : diff.removed) remove_tunnel(name, now);
  for (const config::TunnelChange& change : diff.changed) {
    const auto tunnel = tunnels.find(change.name);
    if (tunnel != tunnels.end()) change_tunnel(*tunnel->second, change.restarts, now);
  }
  for (const std::string& name : diff.added) {
    const auto tunnel = tunnels.find(name);
    if (tunnel != tunnels.end()) add_tunnel(*tunnel->second, now);
  }
  tell_new_credentials(now);
  apply_manual(config, diff, now);
  // The rules stand before the first attempt, so that no packet leaves in clear between them.
  send_rules();
  settle(now);
}

void ControlPlane::add_tunnel(const config::TunnelConfig& tunnel, Instant now) {
  model::ConnectionConfig connection = tunnel.connection;
  connection.id = model::ConnectionId(++last_connection_);
  connection.credential_group = credentials_.at(connection.name);
  const bool any_peer = tunnel.peer_kind == config::PeerKind::any;
  const auto id = connection.id;
  by_name_.insert_or_assign(tunnel.connection.name, id);
  auto& added = tunnels_[id];
  added = std::make_unique<Tunnel>(std::move(connection), any_peer ? std::string() : tunnel.connection.peer_name,
                                   !any_peer, attempts_);
  added->only_peer_subnets = tunnel.only_peer_subnets;
  configure_ike(*added, now);
  if (added->config().start == model::StartMode::automatic) added->want(true, now);
}

void ControlPlane::remove_tunnel(std::string_view name, Instant now) {
  Tunnel* tunnel = find(name);
  if (tunnel == nullptr) return;
  const model::ConnectionId id = tunnel->config().id;
  tunnel->want(false, now);
  ike_.handle_command(ike::RemoveConnection{id}, now);
  // Its SAs go while the tunnel is still known by name.
  settle(now);
  by_name_.erase(std::string(name));
  returns_.set(id, std::nullopt);
  tunnels_.erase(id);
}

void ControlPlane::change_tunnel(const config::TunnelConfig& changed, bool restarts, Instant now) {
  Tunnel* tunnel = find(changed.connection.name);
  if (tunnel == nullptr) return;
  if (restarts) {
    remove_tunnel(changed.connection.name, now);
    add_tunnel(changed, now);
    return;
  }
  const model::ConnectionId id = tunnel->config().id;
  const auto resolved = tunnel->config().peer;
  tunnel->config() = changed.connection;
  tunnel->config().id = id;
  tunnel->config().credential_group = credentials_.at(changed.connection.name);
  tunnel->only_peer_subnets = changed.only_peer_subnets;
  // A name keeps the address that was found for it: without one IKE would take any caller for the peer's host.
  if (!tunnel->config().peer) tunnel->config().peer = resolved;
  configure_ike(*tunnel, now);
  if (tunnel->config().start == model::StartMode::automatic) tunnel->want(true, now);
}

void ControlPlane::number_credentials(const config::Config& config) {
  credentials_.clear();
  for (const CredentialGroup& group : credential_groups(config)) {
    for (const config::TunnelConfig* one : group.tunnels) credentials_[one->connection.name] = group.number;
  }
}

// Of tunnels that did not change themselves: a list or a user that they believe did.
void ControlPlane::tell_new_credentials(Instant now) {
  for (const auto& [name, number] : credentials_) {
    Tunnel* tunnel = find(name);
    if (tunnel == nullptr || std::exchange(tunnel->config().credential_group, number) == number) continue;
    configure_ike(*tunnel, now);
  }
}

void ControlPlane::configure_ike(const Tunnel& tunnel, Instant now) {
  model::ConnectionConfig config = tunnel.config();
  config.resource_sas = resource_sas_of(tunnel);
  ike_.handle_command(ike::ConfigureConnection{std::move(config)}, now);
}

// ---------------------------------------------------------------- the user's commands

bool ControlPlane::up(std::string_view name, Instant now) {
  Tunnel* tunnel = find(name);
  if (tunnel == nullptr) return false;
  tunnel->want(true, now);
  settle(now);
  return true;
}

bool ControlPlane::down(std::string_view name, Instant now) {
  Tunnel* tunnel = find(name);
  if (tunnel == nullptr) return false;
  const Standing& ours = standing(tunnel->config().id);
  const bool something = !ours.ike_sas.empty() || !ours.children.empty();
  tunnel->want(false, now);
  if (something) tunnel->closing();
  give_back(*tunnel);
  ike_.handle_command(ike::Terminate{tunnel->config().id}, now);
  notice(Notice::Level::info, tunnel->config().id, "taken down on request; its traffic is dropped until `culvert up`");
  settle(now);
  return true;
}

std::optional<ControlPlane::RekeyCount> ControlPlane::rekey(std::string_view name, bool ike_sas, bool child_sas,
                                                            Instant now) {
  const Tunnel* tunnel = find(name);
  if (tunnel == nullptr) return std::nullopt;
  const model::ConnectionId id = tunnel->config().id;
  RekeyCount count;
  std::vector<ike::Command> commands;
  const Standing& ours = standing(id);
  if (child_sas) {
    for (const model::ChildSaId child : ours.children) commands.emplace_back(ike::RekeyChildSa{child});
  }
  count.child_sas = commands.size();
  if (ike_sas) {
    for (const model::IkeSaId sa : ike_sas_used(id)) commands.emplace_back(ike::RekeyIkeSa{sa});
  }
  count.ike_sas = commands.size() - count.child_sas;
  for (ike::Command& command : commands) ike_.handle_command(std::move(command), now);
  settle(now);
  return count;
}

void ControlPlane::shutdown(Instant now) {
  for (auto& [id, tunnel] : tunnels_) tunnel->want(false, now);
  sessions_.shut_down();
  ike_.handle_command(ike::Shutdown{}, now);
  settle(now);
}

// ---------------------------------------------------------------- inputs

void ControlPlane::handle_datagram(const net::Path& path, ByteView message, Instant now) {
  ike_.handle_datagram(path, message, now);
  settle(now);
}

void ControlPlane::handle_timeout(Instant now) {
  const auto ike_timeout = ike_.poll_timeout();
  if (ike_timeout && *ike_timeout <= now) ike_.handle_timeout(now);
  send_keepalives(now);
  try_udp_again(now);
  end_idle_children(now);
  end_due_sessions(now);
  manual_.handle_time(now);
  settle(now);
}

void ControlPlane::handle_data_plane(Instant now) { settle(now); }

void ControlPlane::handle_path(model::ConnectionId connection, std::uint64_t attempt,
                               const Result<net::Path, std::string>& path, Instant now) {
  Tunnel* tunnel = find(connection);
  // A name's address goes into the configuration too, so that IKE knows the peer when it calls us.
  const auto know_address = [&](const net::IpAddress& peer) {
    if (tunnel->config().peer == peer) return;
    tunnel->config().peer = peer;
    configure_ike(*tunnel, now);
  };
  if (tunnel != nullptr && (attempt == FindPath::kBeside || attempt == FindPath::kAnew)) {
    if (attempt == FindPath::kAnew && path && !path->over_tcp()) know_address(path->remote.address);
    begin_beside(*tunnel, attempt == FindPath::kAnew, path, now);
    return settle(now);
  }
  if (tunnel == nullptr || !tunnel->is_current_attempt(attempt)) {  // the tunnel changed its mind meanwhile
    if (path && path->over_tcp()) requests_.emplace_back(HoldStream{*path, false});
    return;
  }
  if (!path) {
    notice(Notice::Level::error, connection, path.error());
    tunnel->failed(now, "no_path", path.error(), "Check \"peer\" and \"local_address\", the host's routes and its DNS.",
                   random_);
    settle(now);
    return;
  }
  if (tunnel->lead) {
    // RFC 5685 3: the gateway is another one; who it must be stays as it is, and so does the configuration.
    ike::Initiate command = initiation(*tunnel, *path);
    command.wish = first_wish(*tunnel, now);
    command.redirected_from = tunnel->lead->from;
    command.replaces = tunnel->lead->ike_sa;
    ike_.handle_command(std::move(command), now);
    return settle(now);
  }
  know_address(path->remote.address);
  ike::Initiate command = initiation(*tunnel, *path);
  command.wish = first_wish(*tunnel, now);
  ike_.handle_command(std::move(command), now);
  settle(now);
}

void ControlPlane::handle_completion(ike::RequestToken token, ike::Completion completion, Instant now) {
  ike_.handle_completion(token, std::move(completion), now);
  settle(now);
}

void ControlPlane::begin_due_attempts(Instant now) {
  while (const auto id = attempts_.due(now)) {
    Tunnel& tunnel = *tunnels_.at(*id);
    const std::uint64_t attempt = tunnel.begin_attempt();
    tunnel.lead.reset();
    requests_.emplace_back(path_wish(tunnel, attempt, tunnel.config().tcp == model::TcpPolicy::always));
  }
}

void ControlPlane::send_keepalives(Instant now) {
  while (const auto id = keepalives_.due(now)) {
    const IkeSa& sa = ike_sas_.at(*id);
    requests_.emplace_back(SendKeepalive{sa.sa.path});
    const Tunnel* tunnel = find(sa.sa.connection);
    keepalives_.set(*id,
                    tunnel != nullptr ? std::optional(now + tunnel->config().nat_keepalive_interval) : std::nullopt);
  }
}

void ControlPlane::settle(Instant now) {
  bool more = true;
  while (more) {
    more = false;
    while (auto event = ike_.poll_event()) {
      more = true;
      std::visit([&](auto&& one) { on(std::forward<decltype(one)>(one), now); }, std::move(*event));
    }
    while (auto event = data_plane_.poll_event()) {
      more = true;
      std::visit([&](auto&& one) { on(std::forward<decltype(one)>(one), now); }, std::move(*event));
    }
    begin_due_attempts(now);
    while (auto request = ike_.poll_request()) {
      if (const auto* asked = std::get_if<ike::AddressRequest>(&*request)) {
        ike_.handle_completion(asked->token, give_addresses(*asked), now);
        more = true;
        continue;
      }
      std::visit([&](auto&& one) { forward(std::forward<decltype(one)>(one)); }, std::move(*request));
    }
  }
  write_leases_down();
  for (model::SessionRecord& record : sessions_.take_records())
    requests_.emplace_back(AccountSession{std::move(record)});
}

// ---------------------------------------------------------------- outputs

namespace {

template <typename T>
std::optional<T> take_front(std::deque<T>& queue) {
  if (queue.empty()) return std::nullopt;
  std::optional<T> front(std::move(queue.front()));
  queue.pop_front();
  return front;
}

}  // namespace

std::optional<Request> ControlPlane::poll_request() { return take_front(requests_); }

std::optional<Notice> ControlPlane::poll_notice() { return take_front(notices_); }

std::optional<ike::Transmit> ControlPlane::poll_transmit() { return ike_.poll_transmit(); }

std::optional<Instant> ControlPlane::poll_timeout() const {
  const auto own = earliest(earliest(attempts_.next(), keepalives_.next()), earliest(idles_.next(), returns_.next()));
  return earliest(earliest(ike_.poll_timeout(), own), earliest(manual_.next_timeout(), sessions_.next_timeout()));
}

// ---------------------------------------------------------------- views and small helpers

std::vector<TunnelView> ControlPlane::tunnels() const {
  std::vector<TunnelView> views;
  views.reserve(tunnels_.size());
  for (const auto& [id, tunnel] : tunnels_) views.push_back(view_of(*tunnel, {}));
  return views;
}

std::optional<TunnelView> ControlPlane::tunnel(std::string_view name, const IkeSaRange& range) const {
  const auto named = by_name_.find(std::string(name));
  if (named == by_name_.end()) return std::nullopt;
  const auto found = tunnels_.find(named->second);
  return found == tunnels_.end() ? std::nullopt : std::optional(view_of(*found->second, range));
}

std::vector<std::pair<std::string, model::ConnectionId>> ControlPlane::connection_ids() const {
  std::vector<std::pair<std::string, model::ConnectionId>> ids;
  ids.reserve(tunnels_.size());
  for (const auto& [id, tunnel] : tunnels_) ids.emplace_back(tunnel->config().name, id);
  return ids;
}

TunnelView ControlPlane::view_of(const Tunnel& tunnel, const IkeSaRange& range) const {
  TunnelView view;
  view.name = tunnel.config().name;
  view.state = tunnel.state();
  view.progress = tunnel.progress;
  view.attempts = tunnel.attempts();
  view.last_failure = tunnel.last_failure();
  view.retry_at = tunnel.attempt_running() ? std::nullopt : tunnel.retry_at();
  if (tunnel.given) view.given = *tunnel.given;
  const Standing& ours = standing(tunnel.config().id);
  std::unordered_map<model::IkeSaId, std::size_t> places;  // a gateway may have thousands
  const ChunkedSet<model::IkeSaId> used = ike_sas_used(tunnel.config().id);
  for (auto at = used.upper_bound(range.behind); at != used.end(); ++at) {
    view.more_ike_sas = view.ike_sas.size() == range.most;
    if (view.more_ike_sas) break;
    const model::IkeSaId id = *at;
    const IkeSa& sa = ike_sas_.at(id);
    const auto owner = tunnels_.find(sa.sa.connection);
    const bool guest = sa.sa.connection != tunnel.config().id && owner != tunnels_.end();
    places.emplace(id, view.ike_sas.size());
    view.ike_sas.push_back(IkeSaView{sa.sa,
                                     sa.established,
                                     sa.transport_since,
                                     leases_.of_session(id),
                                     guest ? owner->second->config().name : std::string(),
                                     {}});
  }
  for (const model::ChildSaId child_id : ours.children) {
    const Child& child = children_.at(child_id);
    const auto place = places.find(child.ike_sa);
    if (place == places.end()) continue;
    view.ike_sas[place->second].children.push_back(
        {child.view, data_plane_.counters(child_id).value_or(ipsec::SaCounters{})});
  }
  return view;
}

Tunnel* ControlPlane::find(std::string_view name) {
  const auto found = by_name_.find(std::string(name));
  return found == by_name_.end() ? nullptr : find(found->second);
}

Tunnel* ControlPlane::find(model::ConnectionId id) {
  const auto found = tunnels_.find(id);
  return found == tunnels_.end() ? nullptr : found->second.get();
}

const ControlPlane::Standing& ControlPlane::standing(model::ConnectionId connection) const {
  static const Standing kNothing;
  const auto found = standing_.find(connection);
  return found == standing_.end() ? kNothing : found->second;
}

ChunkedSet<model::IkeSaId> ControlPlane::ike_sas_used(model::ConnectionId connection) const {
  const Standing& ours = standing(connection);
  ChunkedSet<model::IkeSaId> used = ours.ike_sas;
  for (const model::ChildSaId child : ours.children) {
    if (const model::IkeSaId id = children_.at(child).ike_sa; ike_sas_.contains(id)) used.insert(id);
  }
  return used;
}

void ControlPlane::forget_when_empty(model::ConnectionId connection) {
  const Standing& left = standing(connection);
  if (left.ike_sas.empty() && left.children.empty()) standing_.erase(connection);
}

void ControlPlane::notice(Notice::Level level, model::ConnectionId connection, std::string text) {
  const Tunnel* tunnel = find(connection);
  notices_.push_back({level, tunnel == nullptr ? std::string() : tunnel->config().name, std::move(text)});
}

}  // namespace culvert::control
