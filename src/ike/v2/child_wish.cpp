#include "ike/v2/child_wish.hpp"

#include <algorithm>

namespace culvert::ike::v2 {
namespace {

using model::TrafficSelector;
using model::TrafficSelectors;

// The packet's own address, protocol and port, as far as the selectors allow them.
TrafficSelectors with_packet_first(const TrafficSelectors& wished, const net::PacketInfo& packet,
                                   const net::IpAddress& address, std::uint16_t port) {
  TrafficSelector own{net::AddressRange::of(address), packet.protocol};
  // The field of ICMP and the Mobility Header stands for one direction only (RFC 4301 4.4.1.3): left open.
  if (packet.ports_visible && model::has_port_fields(packet.protocol) && !model::has_one_port_field(packet.protocol))
    own.start_port = own.end_port = port;
  TrafficSelectors offered;
  for (const TrafficSelector& selector : wished) {
    if (const auto common = own.intersection(selector)) {
      offered.push_back(*common);
      break;
    }
  }
  for (const TrafficSelector& selector : wished) {
    if (offered.empty() || selector != offered.front()) offered.push_back(selector);
  }
  return offered;
}

}  // namespace

bool carries(const TrafficSelectors& local, const TrafficSelectors& remote, const net::PacketInfo& packet) {
  const auto sends = [&](const TrafficSelector& one) {
    return one.matches(packet.source, packet.protocol, packet.ports_visible, packet.source_port);
  };
  const auto receives = [&](const TrafficSelector& one) {
    return one.matches_destination(packet.destination, packet.protocol, packet.ports_visible, packet.destination_port);
  };
  return std::ranges::any_of(local, sends) && std::ranges::any_of(remote, receives);
}

bool fulfils(const ChildSa& child, const ChildWish& wish) {
  const bool within = model::is_subset(child.local, wish.local) && model::is_subset(child.remote, wish.remote);
  if (!child.is_current() || child.group.resource != wish.resource || !within) return false;
  // RFC 9611 3: one for a single resource has just the selectors of the fallback.
  if (wish.resource) return model::is_subset(wish.local, child.local) && model::is_subset(wish.remote, child.remote);
  return carries(child.local, child.remote, wish.packet);
}

bool same_wish(const ChildWish& a, const ChildWish& b) {
  return a.local == b.local && a.remote == b.remote && a.resource == b.resource;
}

std::pair<TrafficSelectors, TrafficSelectors> selectors_to_offer(const ChildWish& wish) {
  const net::PacketInfo& packet = wish.packet;
  return {with_packet_first(wish.local, packet, packet.source, packet.source_port),
          with_packet_first(wish.remote, packet, packet.destination, packet.destination_port)};
}

std::optional<ChildWish> wish_like(const ChildSa& child) {
  if (!child.scope || child.local.empty() || child.remote.empty()) return std::nullopt;
  const TrafficSelector& from = child.local.front();
  const TrafficSelector& to = child.remote.front();
  ChildWish wish{.local = child.scope->local, .remote = child.scope->remote, .packet = {}};
  wish.packet.source = from.addresses.first;
  wish.packet.destination = to.addresses.first;
  wish.packet.protocol = from.protocol;
  return wish;
}

Boxed<ChildScope> scope_of(const ChildWish& wish, const model::ConnectionConfig& config) {
  if (model::is_subset(config.local, wish.local) && model::is_subset(config.remote, wish.remote)) return std::nullopt;
  return ChildScope{wish.local, wish.remote};
}

}  // namespace culvert::ike::v2
