#include "control/clear_packets.hpp"

namespace culvert::control {
namespace {

bool same_kind(const model::TrafficSelector& a, const model::TrafficSelector& b) {
  return a.addresses.family() == b.addresses.family() &&
         (a.protocol == b.protocol || a.protocol == 0 || b.protocol == 0);
}

void spare_own_networks(const ipsec::Policy& policy, std::vector<ClearPacketWish>& wishes) {
  for (const model::TrafficSelector& remote : policy.remote) {
    for (const model::TrafficSelector& local : policy.local) {
      if (!same_kind(remote, local) || remote.addresses == local.addresses) continue;
      if (!remote.addresses.contains(local.addresses)) continue;
      const auto own = model::TrafficSelector::of(local.addresses);
      wishes.push_back({true, own, own});
    }
  }
}

}  // namespace

std::vector<ClearPacketWish> make_clear_packet_wishes(const std::vector<ipsec::Policy>& policies) {
  std::vector<ClearPacketWish> wishes;
  for (const ipsec::Policy& policy : policies) {
    if (policy.direction == ipsec::PolicyDirection::outbound) continue;
    if (policy.action == ipsec::PolicyAction::protect) spare_own_networks(policy, wishes);
    for (const model::TrafficSelector& remote : policy.remote) {
      for (const model::TrafficSelector& local : policy.local) {
        if (!same_kind(remote, local)) continue;
        // RFC 4301 5.2: a packet that an SPD entry wants protected and that is not is discarded.
        wishes.push_back({policy.action == ipsec::PolicyAction::bypass, remote, local});
      }
    }
  }
  return wishes;
}

}  // namespace culvert::control
