// What the culvert command asks of the daemon.
#include <unistd.h>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/version.hpp"
#include "config/load.hpp"
#include "config/words.hpp"
#include "daemon/daemon.hpp"
#include "daemon/status_view.hpp"

namespace culvert::daemon {
namespace {

std::map<std::string, std::uint64_t> without_zeros(const std::vector<std::pair<std::string, std::uint64_t>>& counters) {
  std::map<std::string, std::uint64_t> map;
  for (const auto& [name, count] : counters) {
    if (count != 0) map.emplace(name, count);
  }
  return map;
}

}  // namespace

// Memory for some of them at a time, however many there are.
void Daemon::add_tunnels(api::Status& status, const api::StatusWish& wish) {
  std::size_t room = wish.limit;
  for (std::size_t i = wish.from.tunnel; i < config_.tunnels.size(); ++i) {
    const config::TunnelConfig& tunnel = config_.tunnels[i];
    if (wish.tunnel && tunnel.connection.name != *wish.tunnel) continue;
    if (room <= 1) {
      status.next = api::StatusPlace{i, 0};
      return;
    }
    --room;
    const std::uint64_t behind = i == wish.from.tunnel ? wish.from.ike_sa : 0;
    const auto view = control_->tunnel(tunnel.connection.name, {.behind = model::IkeSaId(behind), .most = room});
    if (!view) continue;
    room -= view->ike_sas.size();
    status.tunnels.push_back(to_status(*view, tunnel.connection, now(), ciphers_));
    if (view->more_ike_sas) {
      status.next = api::StatusPlace{i, view->ike_sas.back().sa.ike_sa.value()};
      return;
    }
  }
}

Result<api::Status, api::Error> Daemon::status(const api::StatusWish& wish) {
  api::Status status;
  if (wish.tunnel && config_.find(*wish.tunnel) == nullptr) return err(api::no_such_tunnel(*wish.tunnel));
  add_tunnels(status, wish);
  if (wish.from != api::StatusPlace{}) return status;
  add_daemon(status);
  status.manual = manual_views();
  add_counters(status);
  return status;
}

void Daemon::add_daemon(api::Status& status) {
  status.daemon.version = kVersion;
  status.daemon.pid = static_cast<std::uint64_t>(::getpid());
  status.daemon.uptime =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now() - started_).count());
  status.daemon.config = options_.config;
  const datapath::DataPlaneFacts facts = data_plane_->facts();
  status.daemon.tun = facts.tun_name;
  status.daemon.data_path = {.tun_offload = facts.tun_offload,
                             .longest_tcp = facts.longest_tcp,
                             .udp_segmentation = facts.udp_segmentation,
                             .udp_receive_offload = facts.udp_receive_offload,
                             .raw_esp = facts.raw_esp,
                             .ipv6 = facts.ipv6,
                             .io_engine = facts.io_engine,
                             .workers = facts.workers,
                             .xdp = {}};
  for (const datapath::XdpPorts::Fact& one : facts.xdp) {
    status.daemon.data_path.xdp.push_back({.interface = one.interface, .in_use = one.in_use, .text = one.text});
  }
  status.daemon.ike_port = config_.daemon.ike_port;
  status.daemon.nat_port = config_.daemon.nat_port;
  status.daemon.export_keys = config_.daemon.export_keys.value_or("");
}

void Daemon::add_counters(api::Status& status) {
  const ike::EndpointCounters counters = ike_->counters();
  status.ike_counters = {{"datagrams_in", counters.datagrams_in},
                         {"datagrams_out", counters.datagrams_out},
                         {"retransmissions", counters.retransmissions},
                         {"repeated", counters.repeated},
                         {"half_open", counters.half_open},
                         {"cookies", counters.cookies},
                         {"puzzles", counters.puzzles},
                         {"puzzles_solved", counters.solved},
                         {"auth_puzzles", counters.auth_puzzles},
                         {"auth_puzzles_solved", counters.auth_solved},
                         {"tickets_given", counters.tickets},
                         {"resumed", counters.resumed}};
  for (std::size_t i = 0; i < counters.dropped.size(); ++i) {
    if (counters.dropped[i] != 0)
      status.ike_drops.emplace(ike::name_of(static_cast<ike::DatagramDrop>(i)), counters.dropped[i]);
  }
  for (std::size_t i = 0; i < counters.refused.size(); ++i) {
    if (counters.refused[i] != 0)
      status.ike_refusals.emplace(ike::name_of(static_cast<ike::Refusal>(i)), counters.refused[i]);
  }
  auto packet_drops = data_plane_->drop_counters();
  CHECK(network_);
  packet_drops.emplace_back("clear_from_wire", network_->clear_packets_dropped());
  status.packet_drops = without_zeros(packet_drops);
}

Result<api::TunnelStatus, api::Error> Daemon::tunnel(const std::string& name, std::uint64_t from_sa) {
  const config::TunnelConfig* tunnel = config_.find(name);
  if (tunnel == nullptr) return err(api::no_such_tunnel(name));
  const auto view = control_->tunnel(name, {.behind = model::IkeSaId(from_sa), .most = api::kMostAtOnce});
  if (!view) return err(api::no_such_tunnel(name));
  api::TunnelStatus status = to_status(*view, tunnel->connection, now(), ciphers_);
  if (view->more_ike_sas) status.next = view->ike_sas.back().sa.ike_sa.value();
  return status;
}

Result<api::TunnelList, api::Error> Daemon::list(const api::StatusWish& wish) {
  api::TunnelList list;
  for (std::size_t i = wish.from.tunnel; i < config_.tunnels.size(); ++i) {
    if (list.tunnels.size() == wish.limit) {
      list.next = api::StatusPlace{i, 0};
      break;
    }
    const config::TunnelConfig& tunnel = config_.tunnels[i];
    const auto view = control_->tunnel(tunnel.connection.name, {.most = 0});
    if (view) list.tunnels.push_back(to_summary(to_status(*view, tunnel.connection, now(), ciphers_)));
  }
  return list;
}

Result<api::LeaseList, api::Error> Daemon::leases(std::uint64_t from) {
  api::LeaseList list;
  auto views = control_->leases(from, api::kMostAtOnce + 1);
  if (views.size() > api::kMostAtOnce) {
    views.pop_back();
    list.next = from + views.size();
  }
  for (const control::LeaseView& view : views) {
    list.leases.push_back({.address = view.record.address.to_string(),
                           .identity = view.record.identity.to_string(),
                           .pool = view.pool,
                           .sessions = view.sessions.size()});
  }
  return list;
}

Result<api::FailureList, api::Error> Daemon::failures() {
  api::FailureList list;
  for (const control::FailureRecord& record : control_->failures()) list.failures.push_back(to_failure(record, now()));
  return list;
}

Result<api::TunnelStatus, api::Error> Daemon::up(const std::string& name) {
  const config::TunnelConfig* tunnel = config_.find(name);
  if (tunnel == nullptr) return err(api::no_such_tunnel(name));
  if (tunnel->peer_kind == config::PeerKind::any) {
    return err(api::Error{api::ErrorCode::conflict,
                          fmt::format("tunnel {} has peer = \"any\": it comes up when the peer calls", name),
                          "To begin from this end, name the peer's address.",
                          "peer",
                          {}});
  }
  (void)control_->up(name, now());
  pump();
  return this->tunnel(name, 0);
}

Result<api::TunnelStatus, api::Error> Daemon::down(const std::string& name) {
  if (!control_->down(name, now())) return err(api::no_such_tunnel(name));
  pump();
  return tunnel(name, 0);
}

Result<api::RekeyResult, api::Error> Daemon::rekey(const std::string& name, const api::RekeyRequest& request) {
  const bool ike = request.what != api::RekeyWhat::child;
  const bool child = request.what != api::RekeyWhat::ike;
  const auto count = control_->rekey(name, ike, child, now());
  if (!count) return err(api::no_such_tunnel(name));
  if (count->ike_sas + count->child_sas == 0) {
    return err(api::Error{api::ErrorCode::conflict,
                          fmt::format("tunnel {} is not up", name),
                          fmt::format("Run: culvert up {}", name),
                          "",
                          {}});
  }
  pump();
  return api::RekeyResult{count->ike_sas, count->child_sas};
}

Result<api::RedirectResult, api::Error> Daemon::redirect(const std::string& name, const api::RedirectRequest& request) {
  if (!config::is_gateway(request.gateway)) {
    return err(api::Error{api::ErrorCode::bad_request,
                          "that is neither an address nor a DNS name",
                          "Write where the other gateway is: 192.0.2.9, 2001:db8::9 or gw2.example.net.",
                          "gateway",
                          {}});
  }
  const auto count = control_->redirect(name, request.gateway, now());
  if (!count) return err(api::no_such_tunnel(name));
  pump();
  return api::RedirectResult{.ike_sas = *count};
}

Result<api::ApplyResult, api::Error> Daemon::apply(const api::ApplyRequest& request) {
  auto loaded = config::load(options_.config);
  if (!loaded) {
    api::Error error{api::ErrorCode::config_invalid, fmt::format("{} has errors; nothing was changed", options_.config),
                     "Mend them and run `culvert apply` again.", "", to_problems(loaded.error())};
    // Whoever asked hears it; so does whoever looks later why an old configuration is in force.
    if (!request.dry_run) {
      for (const std::string& line : lines_of(error)) log_.write(control::Notice::Level::error, "", line);
    }
    return err(std::move(error));
  }
  const config::Diff diff = config::diff(config_, *loaded);
  api::ApplyResult result;
  result.applied = !request.dry_run;
  result.added = diff.added;
  result.removed = diff.removed;
  for (const config::TunnelChange& change : diff.changed)
    result.changed.push_back({change.name, change.changes, change.restarts});
  result.unchanged = diff.unchanged;
  result.manual_added = diff.manual_added;
  result.manual_removed = diff.manual_removed;
  for (const config::TunnelChange& change : diff.manual_changed)
    result.manual_changed.push_back({change.name, change.changes, change.restarts});
  result.manual_unchanged = diff.manual_unchanged;
  result.policies_changed = diff.policies_changed;
  result.pools_changed = diff.pools_changed;
  result.radius_changed = diff.radius_changed;
  result.daemon = diff.daemon;
  result.daemon_restart_needed = diff.daemon_restart_needed;
  result.warnings = to_problems(loaded->warnings);
  if (!request.dry_run) run_config(std::move(*loaded), diff);
  return result;
}

}  // namespace culvert::daemon
