// SelectorList: the traffic selectors of one end of an SA, which never change once it stands. In one block of memory
// and short: a gateway has two such lists for each of its SAs, most of them of one selector.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "model/traffic_selector.hpp"
#include "net/packet.hpp"
#include "net/plain_packet.hpp"

namespace culvert::ipsec {

/// A range of IPv4 addresses, for every protocol and port: what most lists come down to.
struct RangeV4 {
  std::uint32_t first = 0;
  std::uint32_t span = 0;  // last - first
  [[nodiscard]] bool contains(std::uint32_t address) const { return address - first <= span; }
};

class SelectorList {
 public:
  SelectorList() = default;
  /// At most 65,535 selectors.
  explicit SelectorList(const model::TrafficSelectors& selectors);

  [[nodiscard]] bool empty() const { return block_ == nullptr; }
  /// The first one of a list that is not empty.
  [[nodiscard]] model::TrafficSelector front() const;
  [[nodiscard]] model::TrafficSelectors all() const;
  /// Where the list says no more of IPv4 than such a range.
  [[nodiscard]] std::optional<RangeV4> range_v4() const;

  /// Whether the packet can come from this end, or go to it: model::TrafficSelector::matches, `matches_destination`.
  [[nodiscard]] bool matches_source(const net::PacketInfo& packet) const;
  [[nodiscard]] bool matches_destination(const net::PacketInfo& packet) const;
  /// The same for a plain packet, from the packet itself.
  [[nodiscard]] bool matches_source(const net::PlainPacket& plain, const std::uint8_t* packet) const;
  [[nodiscard]] bool matches_destination(const net::PlainPacket& plain, const std::uint8_t* packet) const;

 private:
  // In the block: how many there are (16 bits), then for each of them a Head, the first and the last address.
  struct Head {
    net::Family family;
    std::uint8_t protocol;
    std::uint16_t start_port;
    std::uint16_t end_port;
    [[nodiscard]] std::size_t address_size() const { return family == net::Family::v4 ? 4 : 16; }
  };
  struct Cursor {
    std::uint16_t left = 0;
    const std::uint8_t* at = nullptr;
  };
  [[nodiscard]] Cursor begin() const;
  [[nodiscard]] static model::TrafficSelector take(Cursor& cursor);
  template <typename Above>
  [[nodiscard]] bool any(net::Family family, const std::uint8_t* address, Above above) const;

  std::unique_ptr<std::uint8_t[]> block_;
};

/// Whether the packet goes from one of `source` to one of `destination`.
[[nodiscard]] inline bool selectors_match(const SelectorList& source, const SelectorList& destination,
                                          const net::PacketInfo& packet) {
  return source.matches_source(packet) && destination.matches_destination(packet);
}

}  // namespace culvert::ipsec
