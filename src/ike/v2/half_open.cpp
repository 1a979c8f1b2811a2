#include "ike/v2/half_open.hpp"

#include "base/check.hpp"

namespace culvert::ike::v2 {
namespace {

net::Prefix prefix_of(const net::IpAddress& address, std::uint8_t v4_bits, std::uint8_t v6_bits) {
  const auto prefix = net::Prefix::make(address, address.is_v4() ? v4_bits : v6_bits);
  CHECK(prefix);
  return *prefix;
}

net::Prefix sender_of(const net::IpAddress& address) { return prefix_of(address, 32, 64); }

}  // namespace

net::Prefix network_of(const net::IpAddress& address) { return prefix_of(address, 24, 56); }

void HalfOpenCounts::put(model::IkeSaId id, const net::IpAddress& address) {
  const auto [place, inserted] = addresses_.try_emplace(id, address);
  if (!inserted) {
    if (place->second == address) return;
    count(place->second, false);
    place->second = address;
  }
  count(address, true);
}

void HalfOpenCounts::remove(model::IkeSaId id) {
  const auto found = addresses_.find(id);
  if (found == addresses_.end()) return;
  count(found->second, false);
  addresses_.erase(found);
}

void HalfOpenCounts::count(const net::IpAddress& address, bool more) {
  for (const net::Prefix& prefix : {sender_of(address), network_of(address)}) {
    if (more) {
      ++counts_[prefix];
    } else if (const auto found = counts_.find(prefix); --found->second == 0) {
      counts_.erase(found);
    }
  }
}

std::size_t HalfOpenCounts::get(const net::Prefix& prefix) const {
  const auto found = counts_.find(prefix);
  return found == counts_.end() ? 0 : found->second;
}

std::size_t HalfOpenCounts::of_sender(const net::IpAddress& address) const { return get(sender_of(address)); }
std::size_t HalfOpenCounts::of_network(const net::IpAddress& address) const { return get(network_of(address)); }

}  // namespace culvert::ike::v2
