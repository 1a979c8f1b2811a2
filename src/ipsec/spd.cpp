#include "ipsec/spd.hpp"

namespace culvert::ipsec {

bool selectors_match(const model::TrafficSelectors& source, const model::TrafficSelectors& destination,
                     const net::PacketInfo& packet) {
  const auto any = [&packet](const model::TrafficSelectors& list, const net::IpAddress& address, std::uint16_t port) {
    for (const model::TrafficSelector& selector : list) {
      if (selector.matches(address, packet.protocol, packet.ports_visible, port)) return true;
    }
    return false;
  };
  return any(source, packet.source, packet.source_port) &&
         any(destination, packet.destination, packet.destination_port);
}

const Policy* Spd::find_outbound(const net::PacketInfo& packet) const {
  for (const Policy& policy : policies_) {
    if (selectors_match(policy.local, policy.remote, packet)) return &policy;
  }
  return nullptr;
}

}  // namespace culvert::ipsec
