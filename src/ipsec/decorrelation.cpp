#include "ipsec/decorrelation.hpp"

#include <algorithm>
#include <utility>

namespace culvert::ipsec {

std::vector<SelectorBox> subtract(const SelectorBox& box, const SelectorBox& hole) {
  if (!box.overlaps(hole)) return {box};
  // Field by field what lies beside the hole is cut off; the rest goes on, as narrow as the hole in that field.
  std::vector<SelectorBox> beside;
  SelectorBox rest = box;
  for (std::size_t i = 0; i < kSelectorFields; ++i) {
    const Interval& out = hole.fields[i];
    if (rest.fields[i].first < out.first) {
      beside.push_back(rest);
      beside.back().fields[i].last = out.first - 1;
      rest.fields[i].first = out.first;
    }
    if (out.last < rest.fields[i].last) {
      beside.push_back(rest);
      beside.back().fields[i].first = out.last + 1;
      rest.fields[i].last = out.last;
    }
  }
  return beside;
}

std::optional<std::vector<DecorrelatedEntry>> decorrelate(const std::vector<Policy>& policies, bool inbound,
                                                          std::size_t limit) {
  std::vector<DecorrelatedEntry> entries;
  std::vector<SelectorBox> earlier;
  for (std::uint32_t place = 0; place < policies.size(); ++place) {
    const Policy& policy = policies[place];
    if (policy.direction == (inbound ? PolicyDirection::outbound : PolicyDirection::inbound)) continue;
    for (const model::TrafficSelector& from : inbound ? policy.remote : policy.local) {
      for (const model::TrafficSelector& to : inbound ? policy.local : policy.remote) {
        for (const SelectorBox& box : boxes_of(from, to)) {
          // RFC 4301 Appendix B: what an earlier entry decides is taken out of every later one. A rule's own boxes
          // count as earlier too: together they are one rule, but no packet stands in two entries.
          std::vector<SelectorBox> pieces{box};
          for (const SelectorBox& hole : earlier) {
            std::vector<SelectorBox> cut;
            for (const SelectorBox& piece : pieces) std::ranges::move(subtract(piece, hole), std::back_inserter(cut));
            pieces = std::move(cut);
            if (pieces.size() > limit) return std::nullopt;
            if (pieces.empty()) break;
          }
          if (entries.size() + pieces.size() > limit) return std::nullopt;
          for (const SelectorBox& piece : pieces) entries.push_back({place, piece});
          if (!pieces.empty()) earlier.push_back(box);
        }
      }
    }
  }
  return entries;
}

}  // namespace culvert::ipsec
