#include "cli/doctor/gather.hpp"

#include <algorithm>

#include <errno.h>
#include <net/if.h>
#include <unistd.h>

#include "config/load.hpp"
#include "crypto/backend_meter.hpp"
#include "io/kernel_settings.hpp"
#include "io/name_lookup.hpp"
#include "io/packet_filters.hpp"
#include "io/path_mtu.hpp"
#include "io/routes.hpp"
#include "model/transforms.hpp"

namespace culvert::cli::doctor {
namespace {

constexpr std::chrono::seconds kDaemonPatience{3};
constexpr std::chrono::seconds kNamePatience{4};

DaemonFacts ask_daemon(const std::string& socket) {
  DaemonFacts facts;
  facts.socket = socket;
  const api::Client client(socket, kDaemonPatience);
  auto status = client.status();
  if (!status) {
    facts.error = std::move(status.error().error);
    return facts;
  }
  facts.status = std::move(*status);
  if (auto pending = client.apply({.dry_run = true})) facts.pending = std::move(*pending);
  return facts;
}

/// The first address that routing knows a way to; packets marked as the daemon's own where that is allowed.
void find_way(PeerFacts& peer, const config::TunnelConfig& tunnel, std::uint32_t mark) {
  for (const net::IpAddress& address : peer.addresses) {
    const auto& wanted = tunnel.connection.local_address;
    if (wanted && wanted->family() != address.family()) {
      peer.route_error = "local_address " + wanted->to_string() + " is of another family than " + address.to_string();
      continue;
    }
    const auto from = io::local_address_towards(address, mark, wanted);
    if (!from) {
      peer.route_error = from.error().text;
      continue;
    }
    peer.reached = address;
    peer.from = *from;
    peer.route_error.clear();
    peer.mtu = io::PathMtuProbe(mark).ask(*from, address);
    return;
  }
}

std::map<std::string, PeerFacts> find_peers(const config::Config& config, std::uint32_t mark) {
  std::map<std::string, PeerFacts> peers;
  std::vector<std::string> names;
  for (const config::TunnelConfig& tunnel : config.tunnels) {
    if (tunnel.peer_kind == config::PeerKind::dns_name &&
        std::ranges::find(names, tunnel.connection.peer_name) == names.end()) {
      names.push_back(tunnel.connection.peer_name);
    }
  }
  const auto answers = io::look_up(names, kNamePatience);
  for (const config::TunnelConfig& tunnel : config.tunnels) {
    if (tunnel.peer_kind == config::PeerKind::any) continue;
    PeerFacts peer;
    if (tunnel.connection.peer) {
      peer.addresses = {*tunnel.connection.peer};
    } else {
      const auto at = std::ranges::find(names, tunnel.connection.peer_name) - names.begin();
      peer.addresses = answers[static_cast<std::size_t>(at)].addresses;
      peer.lookup_error = answers[static_cast<std::size_t>(at)].error;
    }
    find_way(peer, tunnel, mark);
    peers.emplace(tunnel.connection.name, std::move(peer));
  }
  return peers;
}

ConfigFacts read_config(const std::string& path) {
  ConfigFacts facts;
  facts.path = path;
  facts.exists = ::access(path.c_str(), F_OK) == 0 || errno == EACCES;
  if (!facts.exists) return facts;
  facts.readable = ::access(path.c_str(), R_OK) == 0;
  if (!facts.readable) return facts;
  auto loaded = config::load(path);
  if (loaded) {
    facts.problems = loaded->warnings;
    facts.config = std::move(*loaded);
  } else {
    facts.problems = std::move(loaded.error());
  }
  return facts;
}

/// The ciphers of the suites for packets that are offered by default or configured, each once, and who computes them.
std::vector<std::pair<std::string, std::string>> find_ciphers(const ConfigFacts& config) {
  std::vector<model::Proposal> proposals = model::default_esp_proposals();
  if (config.config) {
    for (const config::TunnelConfig& tunnel : config.config->tunnels) {
      const auto& own = tunnel.connection.esp_proposals;
      proposals.insert(proposals.end(), own.begin(), own.end());
    }
  }
  std::vector<std::pair<std::string, std::string>> ciphers;
  const bool measures = !config.config || config.config->daemon.measure_ciphers;
  crypto::BackendMeter meter;
  for (const model::Proposal& proposal : proposals) {
    for (const model::Transform& transform : proposal.transforms) {
      if (transform.type != model::TransformType::encryption) continue;
      const model::TransformInfo* info = model::find_transform(transform);
      if (info == nullptr) continue;
      const std::string word(info->word);
      if (std::ranges::find(ciphers, word, &std::pair<std::string, std::string>::first) != ciphers.end()) continue;
      // As culvertd does.
      if (const auto suite = model::trial_suite(*info); suite && measures) (void)meter.settle(*suite);
      ciphers.emplace_back(word, model::backend_of(*info));
    }
  }
  return ciphers;
}

void look_at_filters(HostFacts& host) {
  auto filters = io::packet_filter_text();
  if (filters) {
    host.filters = std::move(*filters);
  } else {
    host.filters_refused = filters.error().text;
    host.filters_not_permitted = filters.error().code == io::IoErrorCode::not_permitted;
  }
  host.legacy_filters = io::legacy_filter_tables();
}

void look_at_host(Facts& facts, const io::RoutingOptions& routing) {
  HostFacts& host = facts.host;
  host.rights = io::process_rights();
  host.packets = io::packet_facilities();
  for (const std::uint16_t port : {facts.ike_port, facts.nat_port}) host.ports[port] = io::udp_port_holders(port);
  host.kernel_ipsec = io::kernel_ipsec();
  look_at_filters(host);
  host.reverse_paths = io::reverse_path_filters();
  host.forward_v4 = io::kernel_number("net/ipv4/ip_forward");
  host.forward_v6 = io::kernel_number("net/ipv6/conf/all/forwarding");
  host.congestion_control = io::kernel_setting("net/ipv4/tcp_congestion_control").value_or("");
  if (auto addresses = io::local_addresses()) host.addresses = std::move(*addresses);
  for (const io::InterfaceAddress& address : host.addresses) {
    char name[IF_NAMESIZE] = {};
    if (::if_indextoname(address.interface_index, name) != nullptr) host.interfaces[address.interface_index] = name;
  }
  if (auto guards = io::TunnelRoutes::guarded(routing)) host.guards = std::move(*guards);
  host.clock = io::wall_clock();
  host.cpu = crypto::cpu_features();
  host.ciphers = find_ciphers(facts.config);
}

}  // namespace

Facts gather(const Sources& sources) {
  Facts facts;
  facts.daemon = ask_daemon(sources.socket);
  std::string path = sources.config;
  // A relative path is relative to the daemon's folder, which is not ours.
  if (path.empty() && facts.daemon.status && facts.daemon.status->daemon.config.starts_with('/')) {
    path = facts.daemon.status->daemon.config;
  }
  facts.config = read_config(path.empty() ? std::string(config::kDefaultPath) : path);
  io::RoutingOptions routing;
  if (facts.config.config) {
    const config::DaemonConfig& daemon = facts.config.config->daemon;
    facts.ike_port = daemon.ike_port;
    facts.nat_port = daemon.nat_port;
    facts.tun_name = daemon.tun_name;
    facts.routing_table = routing.table = daemon.routing_table;
    routing.mark = daemon.fwmark;
  }
  if (facts.daemon.status) {
    facts.ike_port = facts.daemon.status->daemon.ike_port;
    facts.nat_port = facts.daemon.status->daemon.nat_port;
    facts.tun_name = facts.daemon.status->daemon.tun;
  }
  look_at_host(facts, routing);
  if (facts.config.config) {
    facts.config.peers = find_peers(*facts.config.config, facts.host.rights.net_admin ? routing.mark : 0);
  }
  return facts;
}

}  // namespace culvert::cli::doctor
