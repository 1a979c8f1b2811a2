// SelectorBox: what one pair of traffic selectors describes, as a box in the space of RFC 4301 4.4.1.1's five
// selectors. The form that decorrelation and the fast lookup compute with; packets are points of the same space.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/traffic_selector.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

__extension__ using Uint128 = unsigned __int128;

/// The selectors as dimensions of a box.
enum class SelectorField : std::uint8_t { source, destination, protocol, source_port, destination_port };
inline constexpr std::size_t kSelectorFields = 5;

/// The port field's values: 0 to 65535, and one more for packets where it cannot be seen (OPAQUE). ANY is all of them.
inline constexpr std::uint32_t kOpaquePort = 0x10000;

/// All values from `first` to `last`, both included. Addresses are unsigned numbers.
struct Interval {
  Uint128 first = 0;
  Uint128 last = 0;
  [[nodiscard]] bool contains(Uint128 value) const { return first <= value && value <= last; }
  [[nodiscard]] bool contains(const Interval& other) const { return first <= other.first && other.last <= last; }
  [[nodiscard]] bool overlaps(const Interval& other) const { return first <= other.last && other.first <= last; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

struct SelectorBox {
  net::Family family = net::Family::v4;
  std::array<Interval, kSelectorFields> fields;

  /// Everything of one family.
  [[nodiscard]] static SelectorBox all(net::Family family);
  [[nodiscard]] const Interval& operator[](SelectorField field) const {
    return fields[static_cast<std::size_t>(field)];
  }
  [[nodiscard]] Interval& operator[](SelectorField field) { return fields[static_cast<std::size_t>(field)]; }
  [[nodiscard]] bool contains(const net::PacketInfo& packet) const;
  [[nodiscard]] bool contains(const SelectorBox& other) const;
  [[nodiscard]] bool overlaps(const SelectorBox& other) const;
  /// "10.0.0.0-10.0.0.255 -> 192.0.2.1, protocol 6, ports any -> 80-90".
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const SelectorBox&, const SelectorBox&) = default;
};

/// How many values a field has, less one; its bits.
[[nodiscard]] Uint128 last_value(net::Family family, SelectorField field);
[[nodiscard]] unsigned field_bits(net::Family family, SelectorField field);
/// The leading bits that all values of a range of the field share.
[[nodiscard]] unsigned prefix_length(net::Family family, SelectorField field, const Interval& range);
/// The packet's value in one field.
[[nodiscard]] Uint128 field_of(const net::PacketInfo& packet, SelectorField field);
[[nodiscard]] Uint128 to_number(const net::IpAddress& address);

/// The boxes whose union is what packets from `source` to `destination` match; none when the families differ.
[[nodiscard]] std::vector<SelectorBox> boxes_of(const model::TrafficSelector& source,
                                                const model::TrafficSelector& destination);
/// The smallest box of the family around all packets from one of `sources` to one of `destinations`; nothing when there
/// is none of the family.
[[nodiscard]] std::optional<SelectorBox> hull_of(const model::TrafficSelectors& sources,
                                                 const model::TrafficSelectors& destinations, net::Family family);

}  // namespace culvert::ipsec
