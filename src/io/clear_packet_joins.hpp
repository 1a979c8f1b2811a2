// Rules of the clear packet filter put together: nftables walks its rules one by one, and to make one of each of a
// hundred thousand takes hundreds of MB. Most say the same of many addresses.
#pragma once

#include <vector>

#include "io/clear_packet_filter.hpp"
#include "net/address.hpp"

namespace culvert::io {

/// A rule for each of these sources to each of these destinations, which stand for those in `rule`. Both lists are
/// sorted, their ranges apart from each other.
struct JoinedRule {
  ClearPacketRule rule;
  std::vector<net::AddressRange> sources;
  std::vector<net::AddressRange> destinations;
};

/// What decides as `rules` do, in their order. Of neighbours with one verdict those are joined that differ in their
/// sources only, or in their destinations only; no list gets longer than `most`.
[[nodiscard]] std::vector<JoinedRule> join_rules(const std::vector<ClearPacketRule>& rules, std::size_t most = 4096);

}  // namespace culvert::io
