#include "control/network_wish.hpp"

#include <algorithm>
#include <iterator>

namespace culvert::control {
namespace {

void add_routes(std::vector<RouteWish>& routes, const model::TrafficSelectors& remote, RouteWish::Kind kind) {
  for (const model::TrafficSelector& selector : remote) {
    for (const net::Prefix& prefix : selector.addresses.prefixes()) routes.push_back({prefix, kind});
  }
}

using Prefixes = std::vector<net::Prefix>;

bool any_covers(const Prefixes& list, const net::Prefix& prefix) {
  const auto inner = net::AddressRange::of(prefix);
  return std::ranges::any_of(list, [&](const net::Prefix& outer) {
    return outer.address.family() == prefix.address.family() && net::AddressRange::of(outer).contains(inner);
  });
}

bool all_traffic(const model::TrafficSelector& selector) { return selector.protocol == 0 && selector.any_port(); }

bool is_everything(const model::TrafficSelectors& selectors, net::Family family) {
  return std::ranges::any_of(selectors, [&](const model::TrafficSelector& s) {
    return all_traffic(s) && s.addresses == net::AddressRange::all(family);
  });
}

/// Where the rules' bypass may be a route. Routing sees destinations only: a rule for some ports or sources cannot be
/// one, nor one behind a discard rule that may match first. Such packets reach the SPD, and the data plane sends those
/// in clear that a rule lets out.
Prefixes bypass_prefixes(const std::vector<config::PolicyRule>& rules) {
  Prefixes discarded;
  Prefixes bypassed;
  for (const config::PolicyRule& rule : rules) {
    for (const model::TrafficSelector& selector : rule.remote) {
      const Prefixes prefixes = selector.addresses.prefixes();
      if (rule.action == config::RuleAction::discard) {
        discarded.insert(discarded.end(), prefixes.begin(), prefixes.end());
      } else if (all_traffic(selector) && is_everything(rule.local, selector.addresses.family())) {
        std::ranges::copy_if(prefixes, std::back_inserter(bypassed),
                             [&](const net::Prefix& prefix) { return !any_covers(discarded, prefix); });
      }
    }
  }
  return bypassed;
}

/// The tunnels' own networks that lie within a remote "everything": they are reached past TUN, as they would be without
/// it. Not where another tunnel leads there, or a rule discards.
Prefixes own_networks(const std::vector<config::PolicyRule>& rules,
                      const std::vector<const model::ConnectionConfig*>& connections) {
  Prefixes taken;
  for (const config::PolicyRule& rule : rules) {
    if (rule.action != config::RuleAction::discard) continue;
    for (const model::TrafficSelector& s : rule.remote)
      std::ranges::copy(s.addresses.prefixes(), std::back_inserter(taken));
  }
  for (const model::ConnectionConfig* connection : connections) {
    for (const model::TrafficSelector& s : connection->remote) {
      if (s.addresses == net::AddressRange::all(s.addresses.family())) continue;
      std::ranges::copy(s.addresses.prefixes(), std::back_inserter(taken));
    }
  }
  Prefixes own;
  for (const model::ConnectionConfig* connection : connections) {
    for (const model::TrafficSelector& s : connection->local) {
      const auto everything = net::AddressRange::all(s.addresses.family());
      const bool inside =
          std::ranges::any_of(connection->remote, [&](const auto& remote) { return remote.addresses == everything; });
      if (!inside || s.addresses == everything) continue;
      std::ranges::copy_if(s.addresses.prefixes(), std::back_inserter(own),
                           [&](const net::Prefix& prefix) { return !any_covers(taken, prefix); });
    }
  }
  return own;
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
    const auto action =
        rule.action == config::RuleAction::bypass ? ipsec::PolicyAction::bypass : ipsec::PolicyAction::discard;
    policies.push_back({next_id(), action, rule.local, rule.remote, {}});
  }
  for (const model::ConnectionConfig* connection : connections) {
    policies.push_back(
        {next_id(), ipsec::PolicyAction::protect, connection->local, connection->remote, connection->id});
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
  for (const config::PolicyRule& rule : rules) {
    if (rule.action == config::RuleAction::discard) add_routes(wish.routes, rule.remote, RouteWish::Kind::tunnel);
  }
  Prefixes bypassed = bypass_prefixes(rules);
  std::ranges::copy(own_networks(rules, connections), std::back_inserter(bypassed));
  // Of two wishes for one prefix the bypass wins: its rule stands first in the SPD.
  std::erase_if(wish.routes, [&](const RouteWish& route) {
    return route.kind == RouteWish::Kind::tunnel && std::ranges::find(bypassed, route.destination) != bypassed.end();
  });
  for (const net::Prefix& prefix : bypassed) wish.routes.push_back({prefix, RouteWish::Kind::bypass});
  sort_unique(wish.routes);
  sort_unique(wish.addresses);
  sort_unique(wish.inner_locals);
  return wish;
}

}  // namespace culvert::control
