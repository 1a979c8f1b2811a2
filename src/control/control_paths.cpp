// Where the peers of standing IKE SAs are: paths that change, or may have to (RFC 4555, RFC 7296 2.23), because the
// host's network or the peer's did.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "control/control_plane.hpp"

namespace culvert::control {

using Level = Notice::Level;

namespace {

// What the tunnel protects is no way to its peer, however well it can be reached from there. Unless the one in use is
// protected itself, as between two hosts, or the user has decided.
void leave_out_protected(std::vector<net::Path>& paths, const net::IpAddress& in_use,
                         const model::ConnectionConfig& config) {
  if (config.local_address || model::protects(config.local, in_use)) return;
  std::erase_if(paths, [&](const net::Path& one) { return model::protects(config.local, one.local.address); });
}

}  // namespace

void ControlPlane::belongs(model::ChildSaId child, model::IkeSaId before, model::IkeSaId ike_sa) {
  if (const auto old = ike_sas_.find(before); old != ike_sas_.end()) old->second.children.erase(child);
  if (const auto sa = ike_sas_.find(ike_sa); sa != ike_sas_.end()) sa->second.children.insert(child);
}

// RFC 3948 4: the side behind a NAT keeps its mapping open. RFC 9329 6.6: not TCP's.
void ControlPlane::plan_keepalive(const IkeSa& sa, Instant now) {
  const Tunnel* tunnel = find(sa.sa.connection);
  const bool wanted = sa.sa.local_behind_nat && !sa.sa.path.over_tcp() && tunnel != nullptr &&
                      tunnel->config().nat_keepalive_interval > Duration::zero();
  keepalives_.set(sa.sa.ike_sa, wanted ? std::optional(now + tunnel->config().nat_keepalive_interval) : std::nullopt);
}

void ControlPlane::on(ike::PathChanged&& event, Instant now) {
  const auto found = ike_sas_.find(event.ike_sa);
  if (found == ike_sas_.end()) return;
  IkeSa& sa = found->second;
  if (sa.sa.path != event.path) {
    notice(
        Level::info, sa.sa.connection,
        fmt::format("moved from {} -> {} to {} -> {}: {}", sa.sa.path.local.to_string(), sa.sa.path.remote.to_string(),
                    event.path.local.to_string(), event.path.remote.to_string(), event.why));
  }
  const bool other_transport = sa.sa.path.over_tcp() != event.path.over_tcp();
  if (auto hold = streams_.take(event.path)) requests_.emplace_back(*hold);
  leave_stream(sa.sa.path);
  sa.sa.path = event.path;
  give_up_trial(sa);
  if (other_transport) changed_transport(sa, now);
  sa.sa.local_behind_nat = event.local_behind_nat;
  sa.sa.remote_behind_nat = event.remote_behind_nat;
  plan_keepalive(sa, now);
  sessions_.set_path(event.ike_sa, event.path);
  for (const model::ChildSaId id : sa.children) {
    Child& child = children_.at(id);
    if (event.encapsulation) child.view.encapsulation = *event.encapsulation;
    net::Path path = event.path;
    if (child.view.encapsulation == model::Encapsulation::none) path.local.port = path.remote.port = 0;
    child.path = path;
    data_plane_.update_path(id, path, child.view.encapsulation);
  }
}

void ControlPlane::on(ike::PathInDoubt&& event, Instant) {
  const auto found = ike_sas_.find(event.ike_sa);
  if (found == ike_sas_.end()) return;
  const Tunnel* tunnel = find(found->second.sa.connection);
  if (tunnel == nullptr) return;
  FindPaths request{event.ike_sa, std::move(event.peers), {}, tunnel->config().local_address};
  // A silent peer may have another address by now. While our own network changes, names cannot be looked up well.
  // Or it is back where it belongs.
  const std::string& name = tunnel->peer();
  const auto written = net::IpAddress::parse(name);
  if (event.silent && written && std::ranges::find(request.peers, *written) == request.peers.end())
    request.peers.push_back(*written);
  if (event.silent && !name.empty() && !written) request.names.push_back(name);
  requests_.emplace_back(std::move(request));
}

void ControlPlane::handle_paths(model::IkeSaId ike_sa, std::vector<net::Path> paths, Instant now) {
  const auto found = ike_sas_.find(ike_sa);
  if (found == ike_sas_.end()) return;
  const Tunnel* tunnel = find(found->second.sa.connection);
  if (tunnel != nullptr) leave_out_protected(paths, found->second.sa.path.local.address, tunnel->config());
  const bool only_tcp = tunnel != nullptr && tunnel->config().tcp == model::TcpPolicy::always;
  if (found->second.sa.mobike && found->second.opened_stream && only_tcp) {
    roam_over_tcp(found->second, *tunnel, paths);
  } else if (found->second.sa.mobike) {
    if (paths.empty()) notice(Level::debug, found->second.sa.connection, "no route leads to the peer now");
    ike_.handle_command(ike::UsePaths{ike_sa, paths}, now);
  } else {
    start_anew(found->second, paths, now);
  }
  settle(now);
}

// RFC 9329 7.1, where nothing shall go over UDP: each way is a stream of its own.
void ControlPlane::roam_over_tcp(const IkeSa& sa, const Tunnel& tunnel, const std::vector<net::Path>& paths) {
  const net::IpAddress ours = sa.sa.path.local.address;
  const bool stands = std::ranges::any_of(paths, [&](const net::Path& one) { return one.local.address == ours; });
  if (!stands && !paths.empty()) requests_.emplace_back(beside_wish(tunnel, FindPath::kBeside, true));
}

// As long as nobody has said which they are, all are.
bool ControlPlane::is_ours(const net::IpAddress& address) const {
  return own_addresses_.empty() || std::ranges::binary_search(own_addresses_, address);
}

void ControlPlane::look_for_paths(const IkeSa& sa) {
  const Tunnel* tunnel = find(sa.sa.connection);
  requests_.emplace_back(FindPaths{sa.sa.ike_sa,
                                   {sa.sa.path.remote.address},
                                   {},
                                   tunnel != nullptr ? tunnel->config().local_address : std::nullopt});
}

// Without MOBIKE an IKE SA cannot follow our own address; a new one can take its place, which the peer is told.
void ControlPlane::start_anew(const IkeSa& sa, const std::vector<net::Path>& paths, Instant now) {
  Tunnel* tunnel = find(sa.sa.connection);
  const net::IpAddress ours = sa.sa.path.local.address;
  const bool stands = std::ranges::any_of(paths, [&](const net::Path& one) { return one.local.address == ours; });
  if (stands || paths.empty() || tunnel == nullptr || !tunnel->may_begin()) return;
  net::Path path = paths.front();
  notice(Level::info, sa.sa.connection,
         fmt::format("{} is gone, and the peer has no MOBIKE: a new IKE SA begins from {}", ours.to_string(),
                     path.local.address.to_string()));
  if (tunnel->config().tcp == model::TcpPolicy::always) {
    ike_.handle_command(ike::CheckLiveness{sa.sa.ike_sa}, now);
    requests_.emplace_back(beside_wish(*tunnel, FindPath::kAnew, true));
    return;
  }
  path.local.port = settings_.ike_port;
  path.remote.port = tunnel->config().peer_port;
  ike_.handle_command(ike::CheckLiveness{sa.sa.ike_sa}, now);
  ike_.handle_command(ike::Initiate{sa.sa.connection, path, true, std::nullopt}, now);
}

void ControlPlane::handle_network_change(std::vector<net::IpAddress> addresses, Instant now) {
  std::ranges::sort(addresses);
  const bool changed = addresses != own_addresses_;
  own_addresses_ = std::move(addresses);
  if (changed) ike_.handle_command(ike::OwnAddresses{own_addresses_}, now);
  std::vector<model::IkeSaId> review;
  for (const model::IkeSaId id : ike_sas_.ids()) {
    const IkeSa& sa = ike_sas_.at(id);
    const bool gone = !is_ours(sa.sa.path.local.address);
    if (sa.sa.mobike) {
      if (sa.sa.chooses_paths || gone) review.push_back(id);
      continue;
    }
    const Tunnel* tunnel = find(sa.sa.connection);
    if (gone && tunnel != nullptr && tunnel->may_begin()) look_for_paths(sa);
  }
  for (const model::IkeSaId id : review) ike_.handle_command(ike::ReviewPath{id}, now);
  // What could not be had may be there now.
  for (auto& [id, tunnel] : tunnels_) tunnel->hurry(now);
  settle(now);
}

}  // namespace culvert::control
