#include "control/network_wish.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>

namespace culvert::control {
namespace {

void add_routes(std::vector<RouteWish>& routes, const model::TrafficSelectors& remote, RouteWish::Kind kind) {
  for (const model::TrafficSelector& selector : remote) {
    for (const net::Prefix& prefix : selector.addresses.prefixes()) routes.push_back({prefix, kind, {}});
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

/// For packets that leave, which is what routes are about.
bool is_outbound(const SpdEntry& entry) { return entry.policy.direction != ipsec::PolicyDirection::inbound; }

bool is_bypass(const SpdEntry& entry) { return entry.policy.action == ipsec::PolicyAction::bypass; }

/// Where a bypass may be a route. Routing sees destinations only: a rule for some ports or sources cannot be one, nor
/// one behind a rule that may match first. Such packets reach the SPD, and the data plane sends those in clear that a
/// rule lets out.
Prefixes bypass_prefixes(const std::vector<SpdEntry>& spd) {
  Prefixes taken;
  Prefixes bypassed;
  for (const SpdEntry& entry : spd) {
    if (!is_outbound(entry)) continue;
    for (const model::TrafficSelector& selector : entry.policy.remote) {
      const Prefixes prefixes = selector.addresses.prefixes();
      if (!is_bypass(entry)) {
        taken.insert(taken.end(), prefixes.begin(), prefixes.end());
      } else if (all_traffic(selector) && is_everything(entry.policy.local, selector.addresses.family())) {
        std::ranges::copy_if(prefixes, std::back_inserter(bypassed),
                             [&](const net::Prefix& prefix) { return !any_covers(taken, prefix); });
      }
    }
  }
  return bypassed;
}

/// The tunnels' own networks that lie within a remote "everything": they are reached past TUN, as they would be without
/// it. Not where another tunnel leads there, or a rule discards.
Prefixes own_networks(const std::vector<SpdEntry>& spd, const std::vector<Guarded>& guards) {
  Prefixes taken;
  for (const SpdEntry& entry : spd) {
    const bool discards = entry.policy.action == ipsec::PolicyAction::discard;
    if (is_bypass(entry) || !is_outbound(entry)) continue;
    for (const model::TrafficSelector& s : entry.policy.remote) {
      if (!discards && s.addresses == net::AddressRange::all(s.addresses.family())) continue;
      std::ranges::copy(s.addresses.prefixes(), std::back_inserter(taken));
    }
  }
  Prefixes own;
  for (const Guarded& guard : guards) {
    for (const model::TrafficSelector& s : guard.local) {
      const auto everything = net::AddressRange::all(s.addresses.family());
      const bool inside =
          std::ranges::any_of(guard.remote, [&](const auto& remote) { return remote.addresses == everything; });
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

/// What protect rules for each destination want as the source, in the order of the rules. One sweep over rules and
/// routes by their addresses: a gateway may have ten thousand of both.
void find_sources(std::vector<RouteWish>& sorted_routes, const std::vector<SpdEntry>& spd) {
  std::vector<std::pair<net::AddressRange, std::size_t>> rules;
  for (std::size_t at = 0; at < spd.size(); ++at) {
    if (!is_outbound(spd[at]) || spd[at].policy.action != ipsec::PolicyAction::protect) continue;
    for (const model::TrafficSelector& selector : spd[at].policy.remote) rules.emplace_back(selector.addresses, at);
  }
  std::ranges::sort(rules, {}, [](const auto& rule) { return rule.first.first; });
  std::multimap<net::IpAddress, std::size_t> open;  // rules that have begun, by their last address
  auto next = rules.begin();
  for (RouteWish& route : sorted_routes) {
    if (route.kind != RouteWish::Kind::tunnel) continue;
    const auto inner = net::AddressRange::of(route.destination);
    for (; next != rules.end() && next->first.first <= inner.first; ++next)
      open.emplace(next->first.last, next->second);
    open.erase(open.begin(), open.lower_bound(inner.first));
    std::set<std::size_t> leading;
    for (auto rule = open.lower_bound(inner.last); rule != open.end(); ++rule) leading.insert(rule->second);
    std::set<net::AddressRange> known;  // all rules may lead to one network of the peer's
    for (const std::size_t at : leading) {
      for (const model::TrafficSelector& selector : spd[at].policy.local) {
        if (selector.addresses.family() == inner.family() && known.insert(selector.addresses).second)
          route.sources.push_back(selector.addresses);
      }
    }
  }
}

}  // namespace

NetworkWish make_network_wish(const std::vector<SpdEntry>& spd, const std::vector<Guarded>& guards) {
  NetworkWish wish;
  wish.mtu = kDefaultInnerMtu;
  std::optional<std::uint16_t> smallest;
  for (const Guarded& guard : guards) {
    for (const model::TrafficSelector& selector : guard.local) wish.inner_locals.push_back(selector.addresses);
    wish.addresses.insert(wish.addresses.end(), guard.addresses.begin(), guard.addresses.end());
    if (guard.inner_mtu) smallest = std::min(smallest.value_or(0xffff), *guard.inner_mtu);
  }
  if (smallest) wish.mtu = *smallest;
  for (const SpdEntry& entry : spd) {
    if (is_outbound(entry) && !is_bypass(entry)) add_routes(wish.routes, entry.policy.remote, RouteWish::Kind::tunnel);
  }
  Prefixes bypassed = bypass_prefixes(spd);
  std::ranges::copy(own_networks(spd, guards), std::back_inserter(bypassed));
  // Of two wishes for one prefix the bypass wins: its rule stands first in the SPD.
  std::erase_if(wish.routes, [&](const RouteWish& route) {
    return route.kind == RouteWish::Kind::tunnel && std::ranges::find(bypassed, route.destination) != bypassed.end();
  });
  for (const net::Prefix& prefix : bypassed) wish.routes.push_back({prefix, RouteWish::Kind::bypass, {}});
  sort_unique(wish.routes);
  find_sources(wish.routes, spd);
  sort_unique(wish.addresses);
  sort_unique(wish.inner_locals);
  return wish;
}

}  // namespace culvert::control
