// Spd: the ordered Security Policy Database of RFC 4301 4.4.1, and the selector test shared with the SAD.
#pragma once

#include <cstdint>
#include <vector>

#include "ipsec/data_plane.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// True when a packet from a `source` selector to a `destination` selector is what the two lists describe: one of each,
/// and both for the packet's protocol.
[[nodiscard]] bool selectors_match(const model::TrafficSelectors& source, const model::TrafficSelectors& destination,
                                   const net::PacketInfo& packet);

/// The whole list is replaced at once. The first matching rule decides; no match means discard (RFC 4301 5.1, 5.2).
class Spd {
 public:
  void replace(std::vector<Policy> policies) { policies_ = std::move(policies); }

  /// The rule for a packet that leaves the protected side, or null. The pointer holds until `replace`.
  [[nodiscard]] const Policy* find_outbound(const net::PacketInfo& packet) const;
  [[nodiscard]] const std::vector<Policy>& policies() const { return policies_; }

 private:
  std::vector<Policy> policies_;
};

}  // namespace culvert::ipsec
