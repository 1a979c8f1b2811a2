#include "control/network_wish.hpp"

#include <algorithm>

namespace culvert::control {
namespace {

void add_routes(std::vector<RouteWish>& routes, const model::TrafficSelectors& remote, RouteWish::Kind kind) {
  for (const model::TrafficSelector& selector : remote) {
    for (const net::Prefix& prefix : selector.addresses.prefixes()) routes.push_back({prefix, kind});
  }
}

template <typename T>
void sort_unique(std::vector<T>& values) {
  std::ranges::sort(values);
  const auto [first, last] = std::ranges::unique(values);
  values.erase(first, last);
}

}  // namespace

std::vector<ipsec::Policy> make_policies(const std::vector<config::PolicyRule>& rules,
                                         const std::vector<const model::ConnectionConfig*>& connections) {
  std::vector<ipsec::Policy> policies;
  const auto next_id = [&] { return ipsec::PolicyId(static_cast<std::uint32_t>(policies.size() + 1)); };
  for (const config::PolicyRule& rule : rules) {
    const auto action = rule.action == config::RuleAction::bypass ? ipsec::PolicyAction::bypass : ipsec::PolicyAction::discard;
    policies.push_back({next_id(), action, rule.local, rule.remote, {}});
  }
  for (const model::ConnectionConfig* connection : connections) {
    policies.push_back({next_id(), ipsec::PolicyAction::protect, connection->local, connection->remote, connection->id});
  }
  return policies;
}

NetworkWish make_network_wish(const std::vector<config::PolicyRule>& rules,
                              const std::vector<const model::ConnectionConfig*>& connections) {
  NetworkWish wish;
  wish.mtu = kDefaultInnerMtu;
  std::optional<std::uint16_t> smallest;
  for (const model::ConnectionConfig* connection : connections) {
    add_routes(wish.routes, connection->remote, RouteWish::Kind::tunnel);
    for (const model::TrafficSelector& selector : connection->local) wish.inner_locals.push_back(selector.addresses);
    wish.addresses.insert(wish.addresses.end(), connection->addresses.begin(), connection->addresses.end());
    if (connection->inner_mtu) smallest = std::min(smallest.value_or(0xffff), *connection->inner_mtu);
  }
  if (smallest) wish.mtu = *smallest;
  std::vector<net::Prefix> bypassed;
  for (const config::PolicyRule& rule : rules) {
    if (rule.action == config::RuleAction::discard) {
      add_routes(wish.routes, rule.remote, RouteWish::Kind::tunnel);
      continue;
    }
    model::TrafficSelectors whole = rule.remote;
    // Routing sees addresses only: a rule for some ports cannot be a route. Such packets reach the SPD, which drops and counts them.
    std::erase_if(whole, [](const model::TrafficSelector& s) { return s.protocol != 0 || !s.any_port(); });
    add_routes(wish.routes, whole, RouteWish::Kind::bypass);
    for (const model::TrafficSelector& selector : whole) {
      const auto prefixes = selector.addresses.prefixes();
      bypassed.insert(bypassed.end(), prefixes.begin(), prefixes.end());
    }
  }
  // Of two wishes for one prefix the bypass rule stands first in the SPD, so it wins here too.
  std::erase_if(wish.routes, [&](const RouteWish& route) {
    return route.kind == RouteWish::Kind::tunnel && std::ranges::find(bypassed, route.destination) != bypassed.end();
  });
  sort_unique(wish.routes);
  sort_unique(wish.addresses);
  sort_unique(wish.inner_locals);
  return wish;
}

}  // namespace culvert::control
