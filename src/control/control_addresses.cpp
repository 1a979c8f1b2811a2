// Remote access: the addresses that peers get of us (control/leases.hpp), and those that we get of them (RFC
// 7296 2.19).
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "control/control_plane.hpp"
#include "control/peer_subnets.hpp"

namespace culvert::control {

using Level = Notice::Level;

namespace {

std::string text_of(const std::vector<net::IpAddress>& addresses) {
  std::string text;
  for (const net::IpAddress& address : addresses) text += (text.empty() ? "" : " and ") + address.to_string();
  return text;
}

/// What a client is told of the network behind the tunnel: its local subnets, but not that they are everything.
std::vector<net::Prefix> subnets_of(const model::TrafficSelectors& local) {
  std::vector<net::Prefix> subnets;
  for (const model::TrafficSelector& selector : local) {
    if (selector.addresses == net::AddressRange::all(selector.addresses.family())) continue;
    for (const net::Prefix& prefix : selector.addresses.prefixes()) {
      if (std::ranges::find(subnets, prefix) == subnets.end()) subnets.push_back(prefix);
    }
  }
  return subnets;
}

template <typename T>
void append_new(std::vector<T>& list, const std::vector<T>& more) {
  for (const T& one : more) {
    if (std::ranges::find(list, one) == list.end()) list.push_back(one);
  }
}

/// Those of the resolvers that a host's own resolver can use: by DNS over TLS, with a name to authenticate (RFC
/// 9464 3.1; RFC 7858).
std::vector<NameServerWish::OverTls> over_tls_of(const std::vector<model::EncryptedDns>& resolvers) {
  std::vector<NameServerWish::OverTls> servers;
  for (const model::EncryptedDns& resolver : resolvers) {
    if (resolver.name.empty() || std::ranges::find(resolver.protocols, "dot") == resolver.protocols.end()) continue;
    for (const net::IpAddress& address : resolver.addresses)
      servers.push_back({.address = address, .port = resolver.port.value_or(853), .name = resolver.name});
  }
  return servers;
}

}  // namespace

// ---------------------------------------------------------------- given by us

void ControlPlane::apply_pools(const config::Config& config, const config::Diff& diff) {
  if (!diff.pools_changed) return;
  pools_ = config.pools;
  leases_.configure(pools_);
}

void ControlPlane::restore_leases(std::span<const LeaseRecord> records) { leases_.restore(records); }

std::vector<LeaseView> ControlPlane::leases(std::uint64_t from, std::size_t most) const {
  return leases_.views(from, most);
}

namespace {

/// RFC 2869 5.18: the pools that the AAA server names, and no others, are the client's.
Result<std::vector<std::string>, std::string> pools_for(const ike::AddressRequest& request) {
  if (!request.authorization || request.authorization->pools.empty()) return request.pools;
  std::vector<std::string> chosen;
  for (const std::string& name : request.authorization->pools) {
    if (std::ranges::find(request.pools, name) != request.pools.end()) chosen.push_back(name);
  }
  if (!chosen.empty()) return chosen;
  return err(fmt::format("the RADIUS server names the pool '{}', which is none of its tunnel or group",
                         escaped(request.authorization->pools.front(), 64)));
}

}  // namespace

ike::AddressResult ControlPlane::give_addresses(const ike::AddressRequest& request) {
  const Tunnel* tunnel = find(request.connection);
  if (tunnel == nullptr) return {err(std::string("the tunnel is gone"))};
  const auto chosen = pools_for(request);
  if (!chosen) return {err(chosen.error())};
  const std::vector<std::string>& names = *chosen;
  auto addresses = leases_.grant({.pools = names,
                                  .identity = request.identity,
                                  .wishes = request.wishes,
                                  .session = request.ike_sa,
                                  .ending = request.ending,
                                  .assigned = request.authorization ? std::span(request.authorization->addresses)
                                                                    : std::span<const net::IpAddress>()});
  if (!addresses) return {err(std::move(addresses.error()))};
  notice(Level::info, request.connection,
         fmt::format("{} has the address {} now", request.identity.to_string(), text_of(*addresses)));
  model::Configuration given;
  for (const std::string& name : names) {
    const auto pool = std::ranges::find(pools_, name, &config::PoolConfig::name);
    const bool used = pool != pools_.end() && std::ranges::any_of(pool->ranges, [&](const net::AddressRange& range) {
                        return std::ranges::any_of(*addresses, [&](const auto& one) { return range.contains(one); });
                      });
    if (!used) continue;
    append_new(given.dns_servers, pool->dns_servers);
    append_new(given.encrypted_dns, pool->encrypted_dns);
    append_new(given.domains, pool->domains);
    append_new(given.subnets, pool->subnets.empty() ? subnets_of(request.local) : pool->subnets);
  }
  given.addresses = std::move(*addresses);
  return {std::move(given)};
}

void ControlPlane::write_leases_down() {
  if (auto changes = leases_.take_changes(); !changes.empty()) requests_.emplace_back(StoreLeases{std::move(changes)});
}

// ---------------------------------------------------------------- given to us

void ControlPlane::on(ike::ConfigurationReceived&& event, Instant) {
  Tunnel* tunnel = find(event.connection);
  if (tunnel == nullptr) return;
  notice(Level::info, event.connection,
         fmt::format("the peer gave us the address {}{}", text_of(event.configuration.addresses),
                     event.configuration.dns_servers.empty()
                         ? ""
                         : fmt::format(", name servers {}", text_of(event.configuration.dns_servers))));
  for (const model::EncryptedDns& resolver : event.configuration.encrypted_dns) {
    notice(Level::debug, event.connection,
           fmt::format("the peer has an encrypted resolver {} at {}", resolver.name, text_of(resolver.addresses)));
  }
  if (tunnel->given == event.configuration) return;
  tunnel->given = std::move(event.configuration);
  // They were for other addresses.
  tunnel->wishes.clear();
  send_rules();
}

void ControlPlane::give_back(Tunnel& tunnel) {
  if (!std::exchange(tunnel.given, std::nullopt)) return;
  send_rules();
}

Guarded ControlPlane::guard_of(const Tunnel& tunnel) {
  Guarded guard = guarded(tunnel.config());
  if (tunnel.config().request_addresses.empty()) return guard;
  // Without an address the rule is for all that could be ours: nothing leaves in clear while there is no tunnel. What
  // arrives in clear is for none of the tunnel's addresses yet.
  guard.outbound_only = !tunnel.given;
  if (!tunnel.given) return guard;
  guard.local.clear();
  for (const net::IpAddress& address : tunnel.given->addresses) {
    guard.local.push_back(model::TrafficSelector::of(net::AddressRange::of(address)));
    guard.addresses.push_back({address, static_cast<std::uint8_t>(address.bits())});
  }
  // RFC 7296 3.15.2: the client chooses whether other traffic that the peer would take goes another way.
  if (tunnel.only_peer_subnets) guard.remote = only_peer_subnets(guard.remote, *tunnel.given);
  return guard;
}

NameServerWish ControlPlane::name_servers() const {
  NameServerWish wish;
  bool for_all = false;
  for (const auto& [id, tunnel] : tunnels_) {
    const auto& given = tunnel->given;
    if (!given) continue;
    const auto over_tls = over_tls_of(given->encrypted_dns);
    if (given->dns_servers.empty() && over_tls.empty()) continue;
    append_new(wish.servers, given->dns_servers);
    append_new(wish.over_tls, over_tls);
    append_new(wish.domains, given->domains);
    for_all |= given->domains.empty();
  }
  if (for_all) wish.domains.clear();
  return wish;
}

}  // namespace culvert::control
