#include "ike/v2/transport_addresses.hpp"

#include <algorithm>
#include <utility>

namespace culvert::ike::v2 {
namespace {

bool is_one_address(const model::TrafficSelector& selector) {
  return selector.addresses.first == selector.addresses.last;
}

model::TrafficSelectors with_address(model::TrafficSelectors selectors, const std::optional<net::IpAddress>& seen) {
  if (!seen) return selectors;
  for (model::TrafficSelector& selector : selectors) {
    if (is_one_address(selector) && selector.addresses.family() == seen->family())
      selector.addresses = net::AddressRange::of(*seen);
  }
  return selectors;
}

}  // namespace

SeenAddresses seen_addresses(const IkeSa& sa) {
  SeenAddresses seen;
  if (sa.local_behind_nat) seen.local = sa.path.local.address;
  if (sa.remote_behind_nat) seen.remote = sa.path.remote.address;
  return seen;
}

SelectorPair as_seen(const SelectorPair& heard, const SeenAddresses& seen) {
  return {with_address(heard.local, seen.local), with_address(heard.remote, seen.remote)};
}

std::optional<net::IpAddress> original_address(const model::TrafficSelectors& heard, const net::IpAddress& seen) {
  const auto same = [&](const model::TrafficSelector& one) {
    return is_one_address(one) && one.addresses == heard.front().addresses;
  };
  if (heard.empty() || !std::ranges::all_of(heard, same)) return std::nullopt;
  const net::IpAddress original = heard.front().addresses.first;
  return original == seen || original.family() != seen.family() ? std::nullopt : std::optional(original);
}

model::TrafficSelectors about(const model::TrafficSelectors& selectors, const net::IpAddress& address) {
  model::TrafficSelectors narrowed;
  for (model::TrafficSelector selector : selectors) {
    if (!selector.addresses.contains(address)) continue;
    selector.addresses = net::AddressRange::of(address);
    if (std::ranges::find(narrowed, selector) == narrowed.end()) narrowed.push_back(selector);
  }
  return narrowed.empty() ? selectors : narrowed;
}

}  // namespace culvert::ike::v2
