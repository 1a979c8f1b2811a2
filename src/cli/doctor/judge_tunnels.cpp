// The configuration, the daemon, and each tunnel: whether its peer can be found and reached, whether this host can
// carry the traffic that it is for, and what became of it where the daemon runs.
#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/doctor/judge.hpp"
#include "cli/text.hpp"

namespace culvert::cli::doctor {
namespace {

constexpr const char* kDaemonGroup = "culvertd";

// ---------------------------------------------------------------- configuration and daemon

void judge_config(const Facts& facts, Findings& out) {
  const ConfigFacts& config = facts.config;
  constexpr const char* kWhat = "configuration";
  if (!config.exists) {
    out.push_back({kDaemonGroup, kWhat, State::note, fmt::format("there is no {} yet", config.path),
                   "a first tunnel: README.md, culvert.toml(5); `culvert keygen` makes its secret"});
    return;
  }
  if (!config.readable) {
    out.push_back({kDaemonGroup, kWhat, State::note, fmt::format("may not read {}", config.path),
                   "run it as root, or: culvert doctor FILE"});
    return;
  }
  for (const config::Problem& problem : config.problems) {
    const bool error = problem.severity == config::Severity::error;
    const std::string place = problem.position.to_string();
    out.push_back({kDaemonGroup, kWhat, error ? State::problem : State::note,
                   fmt::format("{}: {}{}{}", place, problem.field, problem.field.empty() ? "" : ": ", problem.message),
                   problem.hint.empty() ? fmt::format("mend {}, then culvert check", place) : problem.hint});
  }
  if (!config.config) return;
  const std::size_t count = config.config->tunnels.size() + config.config->manual.size();
  if (count == 0) {
    out.push_back({kDaemonGroup, kWhat, State::note, fmt::format("{} has no tunnel", config.path),
                   "a first tunnel: README.md, culvert.toml(5)"});
  } else if (config.problems.empty()) {
    out.push_back({kDaemonGroup, kWhat, State::ok, fmt::format("{}: {}", config.path, plural(count, "tunnel")), ""});
  }
}

void judge_running(const Facts& facts, Findings& out) {
  const DaemonFacts& daemon = facts.daemon;
  if (!daemon.status) {
    std::string message = daemon.error ? daemon.error->message : "culvertd was not asked";
    std::string hint = daemon.error ? daemon.error->hint : "culvert status";
    const auto& config = facts.config.config;
    if (config && daemon.socket == config::kDefaultSocket && config->daemon.socket != daemon.socket)
      hint = fmt::format("the configuration names another socket: culvert --socket {} doctor", config->daemon.socket);
    out.push_back({kDaemonGroup, "daemon", State::note, std::move(message), std::move(hint)});
    return;
  }
  const api::DaemonStatus& status = daemon.status->daemon;
  out.push_back({kDaemonGroup, "daemon", State::ok,
                 fmt::format("culvertd {}, pid {}, up {}", status.version, status.pid, duration_text(status.uptime)),
                 ""});
  if (const api::DataPath& path = status.data_path; !path.io_engine.empty()) {
    std::vector<std::string> missing;
    if (path.tun_offload != "tcp+udp") missing.push_back(fmt::format("TUN super-packets {}", path.tun_offload));
    if (!path.udp_segmentation) missing.emplace_back("no UDP_SEGMENT");
    if (!path.udp_receive_offload) missing.emplace_back("no UDP_GRO");
    const std::string base = fmt::format("{}, {}", path.io_engine, plural(path.workers, "worker"));
    if (missing.empty()) {
      out.push_back({kDaemonGroup, "data path", State::ok, base + ", all offloads in use", ""});
    } else {
      out.push_back({kDaemonGroup, "data path", State::note, fmt::format("{}; slower: {}", base, joined(missing)),
                     "the lines above say which kernel has them"});
    }
  }
  if (!status.export_keys.empty()) {
    out.push_back({kDaemonGroup, "exported keys", State::note,
                   fmt::format("ALL KEYS ARE WRITTEN to {}", status.export_keys),
                   "take export_keys out of [daemon] when you have seen enough"});
  }
  if (daemon.pending) {
    const api::ApplyResult& pending = *daemon.pending;
    const bool differs = !pending.added.empty() || !pending.removed.empty() || !pending.changed.empty() ||
                         !pending.manual_added.empty() || !pending.manual_removed.empty() ||
                         !pending.manual_changed.empty() || pending.policies_changed || pending.pools_changed ||
                         pending.radius_changed || !pending.daemon.empty();
    if (differs) {
      out.push_back({kDaemonGroup, "pending", State::note, "the files have changes that culvertd has not taken",
                     pending.daemon_restart_needed ? "systemctl restart culvertd"
                                                   : "culvert apply --dry-run shows them, culvert apply takes them"});
    }
  }
}

// ---------------------------------------------------------------- tunnels

class TunnelJudge {
 public:
  TunnelJudge(const Facts& facts, const config::TunnelConfig& tunnel, Findings& out)
      : facts_(facts), tunnel_(tunnel), group_("tunnel " + tunnel.connection.name), out_(out) {}

  void run() {
    judge_peer();
    judge_networks();
    judge_state();
  }

 private:
  void say(const char* what, State state, std::string found, std::string way_out = {}) {
    out_.push_back({group_, what, state, std::move(found), std::move(way_out)});
  }

  [[nodiscard]] std::string interface_of(const net::IpAddress& address) const {
    for (const io::InterfaceAddress& own : facts_.host.addresses) {
      if (own.address != address) continue;
      const auto name = facts_.host.interfaces.find(own.interface_index);
      if (name != facts_.host.interfaces.end()) return escaped(name->second, 20);
    }
    return {};
  }

  void judge_peer() {
    const model::ConnectionConfig& connection = tunnel_.connection;
    const auto found = facts_.config.peers.find(connection.name);
    if (found == facts_.config.peers.end()) {
      say("peer", State::ok, "any: it comes up when the peer calls");
      return;
    }
    const PeerFacts& peer = found->second;
    if (peer.addresses.empty()) {
      say("peer", State::problem,
          fmt::format("the name {} has no address: {}", escaped(connection.peer_name, 80), peer.lookup_error),
          fmt::format("mend the name at {}, or the name servers of this host (getent hosts {})",
                      connection.place.to_string(), escaped(connection.peer_name, 80)));
      return;
    }
    if (!peer.reached) {
      say("peer", State::problem, peer.route_error,
          connection.local_address ? "ip route; ip address: local_address must be an address of this host"
                                   : "ip route: a route to the peer, or a default route, is missing");
      return;
    }
    const std::string name = peer.reached->to_string() == connection.peer_name
                                 ? connection.peer_name
                                 : fmt::format("{} ({})", escaped(connection.peer_name, 80), peer.reached->to_string());
    const std::string interface = interface_of(*peer.from);
    if (!facts_.tun_name.empty() && interface == facts_.tun_name) {
      say("peer", State::problem, fmt::format("the way to {} leads into the tunnel itself", name),
          "the peer needs a route outside: look for other programs' routes with `ip rule` and `ip route`");
      return;
    }
    say("peer", State::ok,
        fmt::format("{}, from {}{}{}", name, peer.from->to_string(), interface.empty() ? "" : " by ", interface));
    judge_mtu(peer);
  }

  void judge_mtu(const PeerFacts& peer) {
    if (!peer.mtu) return;
    // What IPv6 needs inside (RFC 8200 5), and what tunnel mode in UDP adds at most with the default suites.
    constexpr unsigned kSmallestIpv6 = 1280;
    constexpr unsigned kAdded = 100;
    const bool inner_v6 = std::ranges::any_of(tunnel_.connection.remote, [](const model::TrafficSelector& selector) {
      return selector.addresses.family() == net::Family::v6;
    });
    const std::string found = fmt::format("{} octets towards the peer", *peer.mtu);
    if (inner_v6 && *peer.mtu < kSmallestIpv6 + kAdded) {
      say("MTU", State::note, found + ": IPv6 packets of 1,280 octets do not fit in one",
          "a larger MTU on the way out (ip link set DEV mtu 1500); they are cut in two until then");
    } else {
      say("MTU", State::ok, found);
    }
  }

  [[nodiscard]] bool is_ours(const net::AddressRange& range) const {
    const auto& own = tunnel_.connection.addresses;
    return std::ranges::any_of(facts_.host.addresses,
                               [&](const io::InterfaceAddress& address) {
                                 return !address.address.is_loopback() && range.contains(address.address);
                               }) ||
           std::ranges::any_of(own, [&](const model::InnerAddress& one) { return range.contains(one.address); });
  }

  void judge_networks() {
    if (tunnel_.connection.mode != model::Mode::tunnel) return;
    judge_overlap();
    std::vector<std::string> strange;   // local networks in which this host has no address
    std::vector<std::string> networks;  // local networks with room for other hosts, which this one does not serve
    std::string setting = "net.ipv4.ip_forward";
    for (const model::TrafficSelector& selector : tunnel_.connection.local) {
      const net::AddressRange& range = selector.addresses;
      const auto forwards = range.family() == net::Family::v4 ? facts_.host.forward_v4 : facts_.host.forward_v6;
      const bool stands = forwards.value_or(0) == 0;
      if (stands && range.family() == net::Family::v6) setting = "net.ipv6.conf.all.forwarding";
      if (!is_ours(range)) {
        if (stands) strange.push_back(range.to_string());
      } else if (range.first != range.last && stands && range != net::AddressRange::all(range.family())) {
        networks.push_back(range.to_string());
      }
    }
    const std::string forward = fmt::format("sysctl -w {}=1", setting);
    if (!strange.empty()) {
      say("local", State::problem,
          fmt::format("this host has no address in {} and forwards nothing: nobody can use the tunnel",
                      joined(strange)),
          fmt::format("{}, or give this host an address there: address = \"...\" in [{}]", forward,
                      "tunnel." + tunnel_.connection.name));
    } else if (!networks.empty()) {
      say("local", State::note,
          fmt::format("only this host itself can use the tunnel, other hosts of {} cannot: it does not forward",
                      joined(networks)),
          forward);
    } else {
      say("local", State::ok, model::to_string(tunnel_.connection.local));
    }
  }

  // The network behind the peer is also the one that this host is in: the everlasting 192.168.1.0/24.
  void judge_overlap() {
    for (const model::TrafficSelector& selector : tunnel_.connection.remote) {
      if (selector.addresses == net::AddressRange::all(selector.addresses.family())) continue;
      for (const io::InterfaceAddress& own : facts_.host.addresses) {
        const auto name = facts_.host.interfaces.find(own.interface_index);
        if (own.address.is_loopback() || !own.global || own.address.family() != selector.addresses.family()) continue;
        if (name != facts_.host.interfaces.end() && name->second == facts_.tun_name) continue;
        const auto network = net::Prefix::make(own.address, own.prefix_length);
        if (!network || own.prefix_length == own.address.bits()) continue;
        if (!net::AddressRange::of(*network).overlaps(selector.addresses)) continue;
        const std::string dev = name == facts_.host.interfaces.end() ? "an interface" : escaped(name->second, 20);
        say("remote", State::problem,
            fmt::format("{} overlaps this host's own network {} on {}: hosts there could not be reached any more",
                        selector.to_string(), network->to_string(), dev),
            "give one of the two networks other addresses, or narrow remote to the hosts that are needed; exceptions: "
            "[[policy]] with action = \"bypass\"");
        return;
      }
    }
  }

  void judge_state() {
    if (!facts_.daemon.status) return;
    const auto& running = facts_.daemon.status->tunnels;
    const auto found = std::ranges::find(running, tunnel_.connection.name, &api::TunnelStatus::name);
    if (found == running.end()) {
      say("state", State::note, "culvertd does not know it yet", "culvert apply");
      return;
    }
    const api::TunnelStatus& status = *found;
    const std::string name(api::name_of(status.state));
    if (status.state == api::TunnelState::up) {
      say("state", State::ok, up_text(status));
      judge_drops(status);
      return;
    }
    // A failure counts until a later attempt has come through; one that is under way has not.
    const bool under_way = status.state == api::TunnelState::connecting;
    if (status.last_failure && status.last_failure->attempt + (under_way ? 1 : 0) >= status.attempts) {
      say("state", State::problem, fmt::format("{}; it failed: {}", name, status.last_failure->message),
          status.last_failure->hint.empty() ? fmt::format("culvert log {}", status.name) : status.last_failure->hint);
    } else if (status.state == api::TunnelState::connecting) {
      say("state", State::note, fmt::format("{}{}{}", name, status.progress.empty() ? "" : ": ", status.progress),
          fmt::format("culvert log -f {}", status.name));
    } else if (status.state == api::TunnelState::down) {
      say("state", State::note, "down", fmt::format("culvert up {}", status.name));
    } else {
      say("state", State::ok, name);
    }
  }

  static std::string up_text(const api::TunnelStatus& status) {
    std::string text = "up";
    for (const api::IkeSa& sa : status.ike_sas) {
      for (const api::ChildSa& child : sa.children) {
        text += fmt::format(", {}", child.suite);
        if (!child.backend.empty()) text += fmt::format(" by {}", child.backend);
        if (child.encapsulation == "udp") text += " in UDP";
        if (child.encapsulation == "tcp") text += " in TCP";
        return text;
      }
    }
    return text;
  }

  // A few are normal (the network repeats and reorders); one in a hundred is not.
  void judge_drops(const api::TunnelStatus& status) {
    std::uint64_t received = 0;
    std::uint64_t broken = 0;
    std::uint64_t sent = 0;
    for (const api::IkeSa& sa : status.ike_sas) {
      for (const api::ChildSa& child : sa.children) {
        received += child.counters.inbound_packets;
        sent += child.counters.outbound_packets;
        broken += child.counters.integrity_drops;
      }
    }
    constexpr std::uint64_t kFew = 10;
    if (broken > kFew && broken * 100 > received) {
      say("packets", State::problem, fmt::format("{} of the packets received failed their integrity check", broken),
          "something on the way changes packets: try encapsulation = \"udp\", and look for a faulty device or offload");
    } else if (sent > kFew && received == 0) {
      say("packets", State::note, fmt::format("{} packets sent, none came back", count_text(sent)),
          "does a firewall let UDP 4500 in, does the host behind the peer answer, and has it a route back?");
    }
  }

  const Facts& facts_;
  const config::TunnelConfig& tunnel_;
  std::string group_;
  Findings& out_;
};

void judge_manual(const Facts& facts, Findings& out) {
  if (!facts.daemon.status) return;
  for (const api::ManualSa& sa : facts.daemon.status->manual) {
    const std::string group = "manual " + sa.name;
    if (sa.state == "up") {
      out.push_back({group, "state", State::ok, "up", ""});
    } else {
      out.push_back({group, "state", State::problem,
                     sa.reason.empty() ? sa.state : fmt::format("{}: {}", sa.state, sa.reason),
                     sa.state == "ended" ? "give it new keys" : fmt::format("culvert sa list {}", sa.name)});
    }
  }
}

}  // namespace

void judge_daemon(const Facts& facts, Findings& findings) {
  judge_config(facts, findings);
  judge_running(facts, findings);
}

void judge_tunnels(const Facts& facts, Findings& findings) {
  if (facts.config.config) {
    for (const config::TunnelConfig& tunnel : facts.config.config->tunnels) TunnelJudge(facts, tunnel, findings).run();
  }
  judge_manual(facts, findings);
}

}  // namespace culvert::cli::doctor
