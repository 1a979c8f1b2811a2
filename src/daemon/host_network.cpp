#include "daemon/host_network.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace culvert::daemon {

Result<HostNetwork, io::IoError> HostNetwork::open(const io::RoutingOptions& options,
                                                   const io::ClearPacketOptions& clear_packets, io::Tun& tun) {
  auto routes = io::TunnelRoutes::open(options, tun.index());
  if (!routes) return err(routes.error());
  auto addresses = io::AddedAddresses::open(tun.index());
  if (!addresses) return err(addresses.error());
  return HostNetwork(std::move(*routes), std::move(*addresses), io::ClearPacketFilter(clear_packets), tun);
}

void HostNetwork::set_own_streams(bool there) {
  if (std::exchange(own_streams_, there) == there) return;
  filter_.set_own_streams(there);
  filtered_.reset();
}

std::vector<std::string> HostNetwork::apply(const control::NetworkWish& wish) {
  std::vector<std::string> problems;
  if (wish.mtu != wish_.mtu) {
    if (const auto done = tun_->set_mtu(wish.mtu); !done) problems.push_back(done.error().text);
  }
  for (const model::InnerAddress& old : wish_.addresses) {
    if (std::ranges::find(wish.addresses, old) == wish.addresses.end()) addresses_.remove(old.address);
  }
  // Addresses before routes: a route's preferred source must be an address of the host.
  for (const model::InnerAddress& address : wish.addresses) {
    if (std::ranges::find(wish_.addresses, address) != wish_.addresses.end()) continue;
    if (const auto done = addresses_.add(address.address, address.prefix_length); !done)
      problems.push_back(done.error().text);
  }
  wish_ = wish;
  apply_routes(problems);
  apply_clear_packets(problems);
  return problems;
}

void HostNetwork::apply_clear_packets(std::vector<std::string>& problems) {
  if (filtered_ == wish_.clear_packets) return;
  std::vector<io::ClearPacketRule> rules;
  rules.reserve(wish_.clear_packets.size());
  for (const control::ClearPacketWish& wish : wish_.clear_packets) {
    const auto ports = [](const model::TrafficSelector& selector) {
      return selector.is_opaque() ? io::ClearPacketRule::Ports{}
                                  : io::ClearPacketRule::Ports{selector.start_port, selector.end_port};
    };
    rules.push_back({.accept = wish.accept,
                     .source = wish.source.addresses,
                     .destination = wish.destination.addresses,
                     .protocol = std::max(wish.source.protocol, wish.destination.protocol),
                     .source_ports = ports(wish.source),
                     .destination_ports = ports(wish.destination),
                     .later_fragments_only = wish.source.is_opaque() || wish.destination.is_opaque()});
  }
  if (const auto done = filter_.apply(rules); !done) {
    problems.push_back(done.error().text);
  } else {
    filtered_ = wish_.clear_packets;
  }
}

std::vector<std::string> HostNetwork::addresses_changed() {
  std::vector<std::string> problems;
  apply_routes(problems);
  return problems;
}

std::vector<std::string> HostNetwork::links_changed() {
  std::vector<std::string> problems;
  if (const auto done = filter_.links_changed(); !done) problems.push_back(done.error().text);
  return problems;
}

void HostNetwork::apply_routes(std::vector<std::string>& problems) {
  const auto addresses = io::local_addresses();
  if (!addresses) problems.push_back(addresses.error().text);
  std::vector<io::TunnelRoute> routes;
  for (const control::RouteWish& wish : wish_.routes) {
    io::TunnelRoute route{wish.destination, io::TunnelRoute::Kind::tunnel, std::nullopt};
    if (wish.kind == control::RouteWish::Kind::bypass) route.kind = io::TunnelRoute::Kind::around;
    if (addresses && route.kind == io::TunnelRoute::Kind::tunnel) {
      // Of the tunnel's local networks only those of the route's family can be its source.
      std::vector<net::AddressRange> candidates = wish_.inner_locals;
      std::erase_if(candidates, [&](const net::AddressRange& range) {
        return range.family() != wish.destination.address.family();
      });
      // First those of the rules for this very destination: a peer that is protected from host to host wants another
      // source than the networks behind it.
      route.preferred_source = io::local_address_within(*addresses, wish.sources);
      if (!route.preferred_source) route.preferred_source = io::local_address_within(*addresses, candidates);
    }
    routes.push_back(route);
  }
  if (const auto done = routes_.apply(routes); !done) problems.push_back(done.error().text);
}

}  // namespace culvert::daemon
