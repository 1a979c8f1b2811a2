#include "ipsec/spd.hpp"

#include <algorithm>

#include "ipsec/sa_lengths.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

// Boxes that one rule may have for exact answers; a rule of longer lists gets coarser ones and is asked itself.
constexpr std::size_t kExactPairs = 256;
constexpr std::size_t kHulls = 4096;

using Entries = std::array<std::vector<ClassifierEntry>, 2>;  // by family

void add(Entries& entries, const SelectorBox& box, std::uint32_t order, bool exact) {
  entries[box.family == net::Family::v4 ? 0 : 1].push_back({box, order, exact});
}

void add_hull(Entries& entries, const model::TrafficSelectors& source, const model::TrafficSelectors& destination,
              std::uint32_t order) {
  for (const net::Family family : {net::Family::v4, net::Family::v6}) {
    if (const auto hull = hull_of(source, destination, family)) add(entries, *hull, order, false);
  }
}

// All boxes of a rule; of long lists hulls: one selector of the longer list each, around all of the shorter one.
void add_rule(Entries& entries, const model::TrafficSelectors& source, const model::TrafficSelectors& destination,
              std::uint32_t order) {
  if (source.size() * destination.size() <= kExactPairs) {
    for (const model::TrafficSelector& from : source) {
      for (const model::TrafficSelector& to : destination) {
        for (const SelectorBox& box : boxes_of(from, to)) add(entries, box, order, true);
      }
    }
  } else if (std::max(source.size(), destination.size()) > kHulls) {
    add_hull(entries, source, destination, order);
  } else if (source.size() > destination.size()) {
    for (const model::TrafficSelector& from : source) add_hull(entries, {from}, destination, order);
  } else {
    for (const model::TrafficSelector& to : destination) add_hull(entries, source, {to}, order);
  }
}

// What of a rule's list remains when some of its values are to be the packet's.
class Populating {
 public:
  Populating(const net::PacketInfo& packet, bool protocol_flag, bool address_flag, bool port_flag)
      : packet_(packet), protocol_(protocol_flag), address_(address_flag), port_(port_flag) {}

  [[nodiscard]] model::TrafficSelectors narrow(const model::TrafficSelectors& list, const net::IpAddress& address,
                                               std::uint16_t port) const {
    model::TrafficSelectors narrowed;
    for (model::TrafficSelector selector : list) {
      if (address_) {
        if (!selector.addresses.contains(address)) continue;
        selector.addresses = net::AddressRange::of(address);
      }
      if (protocol_) {
        if (selector.protocol != 0 && selector.protocol != packet_.protocol) continue;
        selector.protocol = packet_.protocol;
      }
      if (port_) {
        const bool within = selector.any_port() || (selector.start_port <= port && port <= selector.end_port);
        // RFC 4301 4.4.1.3: ICMP may be sent that must not be received; then the rule's word on that stays.
        if (!within && !model::has_one_port_field(packet_.protocol)) continue;
        if (within) selector.start_port = selector.end_port = port;
      }
      if (std::ranges::find(narrowed, selector) == narrowed.end()) narrowed.push_back(selector);
    }
    return narrowed;
  }

 private:
  const net::PacketInfo& packet_;
  bool protocol_;
  bool address_;
  bool port_;
};

// RFC 4301 4.4.1.1: the protocol of a later IPv6 fragment may lie behind extension headers that it does not have.
bool protocol_seen(const net::PacketInfo& packet) {
  switch (static_cast<net::IpProtocol>(packet.protocol)) {
    case net::IpProtocol::hop_by_hop:
    case net::IpProtocol::routing:
    case net::IpProtocol::fragment:
    case net::IpProtocol::destination_options: return packet.family == net::Family::v4;
    default: return true;
  }
}

}  // namespace

bool selectors_match(const model::TrafficSelectors& source, const model::TrafficSelectors& destination,
                     const net::PacketInfo& packet) {
  return std::ranges::any_of(source,
                             [&](const model::TrafficSelector& selector) {
                               return selector.matches(packet.source, packet.protocol, packet.ports_visible,
                                                       packet.source_port);
                             }) &&
         std::ranges::any_of(destination, [&](const model::TrafficSelector& selector) {
           return selector.matches_destination(packet.destination, packet.protocol, packet.ports_visible,
                                               packet.destination_port);
         });
}

std::optional<SaSelectors> selectors_for(const Policy& policy, const net::PacketInfo& packet) {
  const PopulateFromPacket& flags = policy.populate;
  if (flags == PopulateFromPacket{}) return SaSelectors{policy.local, policy.remote};
  // A protocol without ports has none to take; then the rule's selectors, ANY or OPAQUE, say it all.
  const bool has_ports = model::has_port_fields(packet.protocol);
  const bool wants_ports = has_ports && (flags.local_port || flags.remote_port);
  if ((flags.protocol || flags.local_port || flags.remote_port) && !protocol_seen(packet)) return std::nullopt;
  if (wants_ports && !packet.ports_visible) return std::nullopt;
  // RFC 7296 3.13.1: a selector for ports needs a protocol, so the packet's goes along.
  const bool protocol = flags.protocol || wants_ports;
  return SaSelectors{Populating(packet, protocol, flags.local_address, has_ports && flags.local_port)
                         .narrow(policy.local, packet.source, packet.source_port),
                     Populating(packet, protocol, flags.remote_address, has_ports && flags.remote_port)
                         .narrow(policy.remote, packet.destination, packet.destination_port)};
}

PolicyTable::PolicyTable(std::vector<Policy> policies) : policies_(std::move(policies)) {
  verdicts_.reserve(policies_.size());
  for (const Policy& policy : policies_) {
    verdicts_.push_back({policy.connection, policy.action, policy.populate != PopulateFromPacket{}});
    later_fragments_hide_ = later_fragments_hide_ || ipsec::later_fragments_hide(policy.local) ||
                            ipsec::later_fragments_hide(policy.remote);
  }
  outbound_.table = inbound_.table = this;
  inbound_.inbound = true;
  build(outbound_);
  build(inbound_);
}

// RFC 4301 4.4.1: SPD-S entries serve both ways, SPD-O and SPD-I ones only theirs.
void PolicyTable::build(Direction& direction) {
  Entries entries;
  for (std::uint32_t order = 0; order < policies_.size(); ++order) {
    const Policy& policy = policies_[order];
    if (policy.direction == (direction.inbound ? PolicyDirection::outbound : PolicyDirection::inbound)) continue;
    add_rule(entries, direction.inbound ? policy.remote : policy.local,
             direction.inbound ? policy.local : policy.remote, order);
  }
  direction.v4 = Classifier<std::uint32_t>(entries[0]);
  direction.v6 = Classifier<Uint128>(entries[1]);
}

bool PolicyTable::Direction::confirm(std::uint32_t order, const net::PacketInfo& packet) const {
  const Policy& policy = table->policies_[order];
  return inbound ? selectors_match(policy.remote, policy.local, packet)
                 : selectors_match(policy.local, policy.remote, packet);
}

std::size_t PolicyTable::bytes() const {
  return outbound_.v4.shape().bytes + outbound_.v6.shape().bytes + inbound_.v4.shape().bytes +
         inbound_.v6.shape().bytes;
}

}  // namespace culvert::ipsec
