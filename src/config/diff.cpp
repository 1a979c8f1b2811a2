#include "config/diff.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "config/words.hpp"

namespace culvert::config {
namespace {

std::string text_of(model::StartMode start) {
  switch (start) {
    case model::StartMode::automatic: return "auto";
    case model::StartMode::on_demand: return "on-demand";
    case model::StartMode::manual: return "manual";
  }
  return "unknown";
}
std::string text_of(const std::optional<net::IpAddress>& address) { return address ? address->to_string() : "none"; }
std::string text_of(const std::optional<model::Identity>& identity) {
  return identity ? identity->to_string() : "default";
}
std::string text_of(const std::vector<model::Proposal>& proposals) {
  std::string out;
  for (const model::Proposal& proposal : proposals) out += (out.empty() ? "" : ", ") + model::to_string(proposal);
  return out;
}
std::string text_of(const model::Lifetime& lifetime) {
  std::string out = lifetime.time ? duration_text(*lifetime.time) : "no time";
  if (lifetime.bytes != 0) out += fmt::format(", {} bytes", lifetime.bytes);
  if (lifetime.packets != 0) out += fmt::format(", {} packets", lifetime.packets);
  return out;
}
std::string text_of(const model::TrafficSelectors& selectors) {
  std::string out;
  for (const auto& selector : selectors) out += (out.empty() ? "" : ", ") + selector.to_string();
  return out;
}
std::string text_of(const std::vector<model::InnerAddress>& addresses) {
  std::string out;
  for (const auto& one : addresses)
    out += fmt::format("{}{}/{}", out.empty() ? "" : ", ", one.address.to_string(), one.prefix_length);
  return out.empty() ? "none" : out;
}
std::string text_of(Duration duration) { return duration_text(duration); }
std::string text_of(const std::string& text) { return text; }
std::string text_of(model::EncapsulationPolicy policy) {
  return policy == model::EncapsulationPolicy::udp ? "udp" : "esp";
}
std::string text_of(model::Mode mode) {
  return mode == model::Mode::tunnel ? "tunnel" : mode == model::Mode::transport ? "transport" : "beet";
}
std::string text_of(double share) { return fmt::format("{:g}%", share * 100); }
template <typename Number>
  requires std::is_integral_v<Number>
std::string text_of(Number number) {
  return std::to_string(number);
}
template <typename Number>
  requires std::is_integral_v<Number>
std::string text_of(const std::optional<Number>& number) {
  return number ? std::to_string(*number) : "none";
}
std::string text_of(const std::optional<std::string>& text) { return text.value_or("none"); }

class Comparison {
 public:
  template <typename T>
  bool field(std::string_view name, const T& before, const T& after) {
    if (before == after) return false;
    lines_.push_back(fmt::format("{}: {} -> {}", name, text_of(before), text_of(after)));
    return true;
  }
  void say(std::string line) { lines_.push_back(std::move(line)); }
  [[nodiscard]] std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

TunnelChange compare(const TunnelConfig& before, const TunnelConfig& after) {
  const model::ConnectionConfig& a = before.connection;
  const model::ConnectionConfig& b = after.connection;
  Comparison comparison;
  bool restarts = false;
  const auto hard = [&](std::string_view name, const auto& x, const auto& y) {
    restarts |= comparison.field(name, x, y);
  };
  const auto soft = [&](std::string_view name, const auto& x, const auto& y) { comparison.field(name, x, y); };
  hard("peer", a.peer_name, b.peer_name);
  hard("peer_port", a.peer_port, b.peer_port);
  hard("local_address", a.local_address, b.local_address);
  hard("local_id", a.local_id, b.local_id);
  hard("remote_id", a.remote_id, b.remote_id);
  if (!constant_time_equal(before.secret.view(), after.secret.view())) {
    comparison.say("secret: changed");
    restarts = true;
  }
  hard("local", a.local, b.local);
  hard("remote", a.remote, b.remote);
  soft("address", a.addresses, b.addresses);
  soft("start", a.start, b.start);
  hard("ike", a.ike_proposals, b.ike_proposals);
  hard("esp", a.esp_proposals, b.esp_proposals);
  hard("mode", a.mode, b.mode);
  hard("encapsulation", a.encapsulation, b.encapsulation);
  soft("ike_lifetime", a.ike_lifetime, b.ike_lifetime);
  soft("child_lifetime", a.child_lifetime, b.child_lifetime);
  soft("rekey_margin", a.rekey_margin, b.rekey_margin);
  soft("liveness", a.liveness_interval, b.liveness_interval);
  soft("keepalive", a.nat_keepalive_interval, b.nat_keepalive_interval);
  hard("replay_window", a.replay_window, b.replay_window);
  hard("mtu", a.inner_mtu, b.inner_mtu);
  return {b.name, comparison.take(), restarts};
}

void compare_daemon(const DaemonConfig& a, const DaemonConfig& b, Diff& diff) {
  Comparison comparison;
  comparison.field("log_level", std::string(name_of(a.log_level)), std::string(name_of(b.log_level)));
  const auto hard = [&](std::string_view name, const auto& x, const auto& y) {
    diff.daemon_restart_needed |= comparison.field(name, x, y);
  };
  hard("socket", a.socket, b.socket);
  hard("tun_name", a.tun_name, b.tun_name);
  hard("ike_port", a.ike_port, b.ike_port);
  hard("nat_port", a.nat_port, b.nat_port);
  hard("export_keys", a.export_keys, b.export_keys);
  hard("routing_table", a.routing_table, b.routing_table);
  hard("fwmark", a.fwmark, b.fwmark);
  diff.daemon = comparison.take();
}

}  // namespace

DaemonConfig in_force(const DaemonConfig& running, const DaemonConfig& wanted) {
  DaemonConfig out = running;
  out.log_level = wanted.log_level;
  return out;
}

Diff diff(const Config& running, const Config& wanted) {
  Diff out;
  for (const TunnelConfig& tunnel : wanted.tunnels) {
    const TunnelConfig* before = running.find(tunnel.connection.name);
    if (before == nullptr) {
      out.added.push_back(tunnel.connection.name);
      continue;
    }
    TunnelChange change = compare(*before, tunnel);
    if (change.changes.empty()) {
      out.unchanged.push_back(tunnel.connection.name);
    } else {
      out.changed.push_back(std::move(change));
    }
  }
  for (const TunnelConfig& tunnel : running.tunnels) {
    if (wanted.find(tunnel.connection.name) == nullptr) out.removed.push_back(tunnel.connection.name);
  }
  out.policies_changed = running.policies != wanted.policies;
  compare_daemon(running.daemon, wanted.daemon, out);
  return out;
}

}  // namespace culvert::config
