#include "ipsec/selector_box.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace culvert::ipsec {
namespace {

using enum SelectorField;

// Protocols whose packets ignore the destination's port selector (RFC 4301 4.4.1.3).
constexpr std::uint8_t kOneFieldProtocols[] = {1, 58, 135};
static_assert(std::ranges::all_of(kOneFieldProtocols, model::has_one_port_field));

Interval of_addresses(const net::AddressRange& range) { return {to_number(range.first), to_number(range.last)}; }

Interval of_ports(const model::TrafficSelector& selector) {
  if (selector.any_port()) return {0, kOpaquePort};
  if (selector.is_opaque()) return {kOpaquePort, kOpaquePort};
  return {selector.start_port, selector.end_port};
}

Interval of_protocol(std::uint8_t protocol) {
  if (protocol == 0) return {0, 255};
  return {protocol, protocol};
}

net::IpAddress to_address(net::Family family, Uint128 number) {
  std::array<std::uint8_t, 16> octets{};
  const std::size_t size = family == net::Family::v4 ? 4 : 16;
  for (std::size_t i = size; i-- > 0; number >>= 8) octets[i] = static_cast<std::uint8_t>(number);
  return net::IpAddress::load(family, octets.data());
}

std::string ports_text(const Interval& ports) {
  if (ports.first == 0 && ports.last == kOpaquePort) return "any";
  if (ports.first == kOpaquePort) return "opaque";
  const auto first = static_cast<std::uint32_t>(ports.first);
  const auto last = static_cast<std::uint32_t>(std::min<Uint128>(ports.last, 0xffff));
  const std::string visible = first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
  return ports.last == kOpaquePort ? visible + " and opaque" : visible;
}

void widen(Interval& hull, const Interval& other, bool first) {
  if (first) {
    hull = other;
    return;
  }
  hull.first = std::min(hull.first, other.first);
  hull.last = std::max(hull.last, other.last);
}

}  // namespace

Uint128 to_number(const net::IpAddress& address) {
  Uint128 number = 0;
  for (const std::uint8_t octet : address.bytes()) number = number << 8 | octet;
  return number;
}

unsigned field_bits(net::Family family, SelectorField field) {
  switch (field) {
    case source:
    case destination: return family == net::Family::v4 ? 32 : 128;
    case protocol: return 8;
    case source_port:
    case destination_port: return 17;
  }
  return 0;
}

Uint128 last_value(net::Family family, SelectorField field) {
  switch (field) {
    case source:
    case destination: return family == net::Family::v4 ? Uint128{0xffff'ffff} : ~Uint128{0};
    case protocol: return 255;
    case source_port:
    case destination_port: return kOpaquePort;
  }
  return 0;
}

unsigned prefix_length(net::Family family, SelectorField field, const Interval& range) {
  unsigned differing = 0;
  for (Uint128 bits = range.first ^ range.last; bits != 0; bits >>= 1) ++differing;
  return field_bits(family, field) - differing;
}

Uint128 field_of(const net::PacketInfo& packet, SelectorField field) {
  switch (field) {
    case source: return to_number(packet.source);
    case destination: return to_number(packet.destination);
    case protocol: return packet.protocol;
    case source_port: return packet.ports_visible ? packet.source_port : kOpaquePort;
    case destination_port: return packet.ports_visible ? packet.destination_port : kOpaquePort;
  }
  return 0;
}

SelectorBox SelectorBox::all(net::Family family) {
  SelectorBox box{family, {}};
  for (std::size_t i = 0; i < kSelectorFields; ++i) {
    box.fields[i] = {0, last_value(family, static_cast<SelectorField>(i))};
  }
  return box;
}

bool SelectorBox::contains(const net::PacketInfo& packet) const {
  if (packet.family != family) return false;
  for (std::size_t i = 0; i < kSelectorFields; ++i) {
    if (!fields[i].contains(field_of(packet, static_cast<SelectorField>(i)))) return false;
  }
  return true;
}

bool SelectorBox::contains(const SelectorBox& other) const {
  if (family != other.family) return false;
  for (std::size_t i = 0; i < kSelectorFields; ++i) {
    if (!fields[i].contains(other.fields[i])) return false;
  }
  return true;
}

bool SelectorBox::overlaps(const SelectorBox& other) const {
  if (family != other.family) return false;
  for (std::size_t i = 0; i < kSelectorFields; ++i) {
    if (!fields[i].overlaps(other.fields[i])) return false;
  }
  return true;
}

std::string SelectorBox::to_string() const {
  const auto addresses = [this](const Interval& range) {
    return net::AddressRange{to_address(family, range.first), to_address(family, range.last)}.to_string();
  };
  const Interval& protocols = (*this)[protocol];
  const auto low = static_cast<unsigned>(protocols.first);
  const auto high = static_cast<unsigned>(protocols.last);
  std::string which = "any";
  if (low != 0 || high != 255) which = low == high ? std::to_string(low) : fmt::format("{}-{}", low, high);
  return fmt::format("{} -> {}, protocol {}, ports {} -> {}", addresses((*this)[source]),
                     addresses((*this)[destination]), which, ports_text((*this)[source_port]),
                     ports_text((*this)[destination_port]));
}

std::vector<SelectorBox> boxes_of(const model::TrafficSelector& from, const model::TrafficSelector& to) {
  if (from.addresses.family() != to.addresses.family()) return {};
  if (from.protocol != 0 && to.protocol != 0 && from.protocol != to.protocol) return {};
  SelectorBox box{from.addresses.family(), {}};
  box[source] = of_addresses(from.addresses);
  box[destination] = of_addresses(to.addresses);
  const std::uint8_t number = from.protocol != 0 ? from.protocol : to.protocol;
  box[protocol] = of_protocol(number);
  box[source_port] = of_ports(from);
  box[destination_port] = of_ports(to);
  if (to.any_port()) return {box};

  // RFC 4301 4.4.1.3: where the protocol has one field, the destination's selector says nothing about what is seen of
  // it; what is not seen it must allow.
  const Interval not_looked_at{0, to.covers_opaque() ? kOpaquePort : kOpaquePort - 1};
  if (model::has_one_port_field(number)) {
    box[destination_port] = not_looked_at;
    return {box};
  }
  std::vector<SelectorBox> boxes{box};
  if (number == 0) {
    for (const std::uint8_t one : kOneFieldProtocols) {
      box[protocol] = of_protocol(one);
      box[destination_port] = not_looked_at;
      boxes.push_back(box);
    }
  }
  return boxes;
}

std::optional<SelectorBox> hull_of(const model::TrafficSelectors& sources, const model::TrafficSelectors& destinations,
                                   net::Family family) {
  SelectorBox hull = SelectorBox::all(family);
  const auto around = [&](const model::TrafficSelectors& list, SelectorField addresses) {
    bool first = true;
    for (const model::TrafficSelector& one : list) {
      if (one.addresses.family() != family) continue;
      widen(hull[addresses], of_addresses(one.addresses), first);
      first = false;
    }
    return !first;
  };
  if (!around(sources, source) || !around(destinations, destination)) return std::nullopt;
  return hull;
}

}  // namespace culvert::ipsec
