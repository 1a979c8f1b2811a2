// Decorrelation (RFC 4301 4.4.1, Appendix B): an ordered list of rules as entries that do not overlap, so that their
// order no longer matters and any of them may be cached alone.
//
// Lists of rules that overlap in several selectors at once can need very many entries: each rule is cut around every
// earlier one. So there is a limit, and the packet path does not depend on this: its lookup (ipsec/spd.hpp) answers
// from the ordered list at any overlap.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ipsec/data_plane.hpp"
#include "ipsec/selector_box.hpp"

namespace culvert::ipsec {

struct DecorrelatedEntry {
  std::uint32_t rule = 0;  // its place in the list
  SelectorBox box;         // as packets are seen: from source to destination
};

/// What is left of `box` without `hole`: up to ten boxes that do not overlap; `box` itself where the two do not.
[[nodiscard]] std::vector<SelectorBox> subtract(const SelectorBox& box, const SelectorBox& hole);

/// The entries of the list for one direction, in the order of their rules; together they hold the packets that the list
/// matches, each one in the first rule that would. Nothing when there would be more than `limit` of them, or of pieces
/// in between.
[[nodiscard]] std::optional<std::vector<DecorrelatedEntry>> decorrelate(const std::vector<Policy>& policies,
                                                                        bool inbound, std::size_t limit);

}  // namespace culvert::ipsec
