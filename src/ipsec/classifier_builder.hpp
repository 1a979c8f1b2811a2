// ClassifierBuilder: makes a Classifier's tables, lists and cuts. Runs once for each list of boxes, on whichever thread
// wants the list changed; the packet path never sees it.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "ipsec/classifier.hpp"

namespace culvert::ipsec {

template <typename Address>
class ClassifierBuilder {
 public:
  using Target = Classifier<Address>;
  ClassifierBuilder(Target& target, const std::vector<ClassifierEntry>& entries) : target_(target), entries_(entries) {}

  void build() {
    for (std::uint32_t i = 0; i < entries_.size(); ++i) add_pieces(i);
    cut_budget_ = 64 * entries_.size() + 65'536;
    Items all(pieces_.size());
    std::iota(all.begin(), all.end(), 0U);
    if (!all.empty()) target_.root_ = make_tables(all, 0);
    target_.rules_.shrink_to_fit();
    target_.slots_.shrink_to_fit();
    target_.tables_.shrink_to_fit();
    target_.nodes_.shrink_to_fit();
  }

 private:
  using Ref = typename Target::Ref;
  using Words = typename Target::Words;
  using Lengths = std::array<std::uint8_t, kSelectorFields>;  // of prefixes, in bits
  using Items = std::vector<std::uint32_t>;                   // pieces or entries, in order

  // A box's part, covered by one prefix in each field.
  struct Piece {
    std::uint32_t entry = 0;
    Lengths lengths{};
    Words words{};
  };
  // A table to be: the lengths of its key, and what goes into it.
  struct Plan {
    Lengths lengths{};
    Items items;
  };

  static constexpr std::size_t kLeaf = 8;
  static constexpr unsigned kMaxDepth = 6;
  // The mean number of boxes that a hit finds in its bucket, up to which two tables become one.
  static constexpr double kCrowded = 1.5;
  // Boxes looked at while tables are joined, for each box of a node.
  static constexpr std::size_t kWork = 64;

  static unsigned prefix_length(SelectorField field, const Interval& range) {
    return ipsec::prefix_length(Target::kFamily, field, range);
  }

  // A range that lies across a boundary of its prefix, and is much smaller than it, becomes two, one on each side: each
  // of them fills more than half of a prefix of its own.
  static std::vector<Interval> blocks_of(SelectorField field, const Interval& range) {
    const unsigned rest = field_bits(Target::kFamily, field) - prefix_length(field, range);
    if (rest < 3 || (range.last - range.first) >> (rest - 3) != 0) return {range};
    const Uint128 middle = range.last >> (rest - 1) << (rest - 1);
    return {{range.first, middle - 1}, {middle, range.last}};
  }

  void add_pieces(std::uint32_t entry) {
    const SelectorBox& box = entries_[entry].box;
    const auto blocks = [&](SelectorField field) { return blocks_of(field, box[field]); };
    using enum SelectorField;
    const std::vector<Interval> source_ports = blocks(source_port);
    const std::vector<Interval> destination_ports = blocks(destination_port);
    for (const Interval& from : blocks(source)) {
      for (const Interval& to : blocks(destination)) {
        for (const Interval& from_port : source_ports) {
          for (const Interval& to_port : destination_ports) add_piece(entry, from, to, from_port, to_port);
        }
      }
    }
  }

  void add_piece(std::uint32_t entry, const Interval& from, const Interval& to, const Interval& from_port,
                 const Interval& to_port) {
    using enum SelectorField;
    const Interval& protocols = entries_[entry].box[protocol];
    Piece piece{entry, {}, {}};
    const auto length = [](SelectorField field, const Interval& range) {
      return static_cast<std::uint8_t>(prefix_length(field, range));
    };
    piece.lengths = {length(source, from), length(destination, to), length(protocol, protocols),
                     length(source_port, from_port), length(destination_port, to_port)};
    piece.words =
        Target::words_of(from.first, to.first, static_cast<std::uint64_t>(protocols.first),
                         static_cast<std::uint64_t>(from_port.first), static_cast<std::uint64_t>(to_port.first));
    pieces_.push_back(piece);
  }

  // Lengths rounded down, so that a few kinds of tables serve all.
  static Lengths rounded(const Lengths& exact) {
    constexpr unsigned kStep = sizeof(Address) == 4 ? 4 : 8;
    const auto address = [](unsigned bits) { return static_cast<std::uint8_t>(bits / kStep * kStep); };
    const auto port = [](unsigned bits) { return static_cast<std::uint8_t>(bits == 0 ? 0 : (bits - 1) / 4 * 4 + 1); };
    return {address(exact[0]), address(exact[1]), exact[2], port(exact[3]), port(exact[4])};
  }

  static Lengths shorter(const Lengths& a, const Lengths& b) {
    Lengths both{};
    for (std::size_t i = 0; i < both.size(); ++i) both[i] = std::min(a[i], b[i]);
    return both;
  }

  static Words masks_of(const Lengths& lengths) {
    const auto mask = [&](SelectorField field) {
      const unsigned bits = field_bits(Target::kFamily, field);
      const unsigned length = lengths[static_cast<std::size_t>(field)];
      const Uint128 all = bits == 128 ? ~Uint128{0} : (Uint128{1} << bits) - 1;
      return length == 0 ? Uint128{0} : all >> (bits - length) << (bits - length);
    };
    using enum SelectorField;
    return Target::words_of(mask(source), mask(destination), static_cast<std::uint64_t>(mask(protocol)),
                            static_cast<std::uint64_t>(mask(source_port)),
                            static_cast<std::uint64_t>(mask(destination_port)));
  }

  [[nodiscard]] std::uint32_t hash(std::uint32_t piece, const Words& masks) const {
    return Target::hash(pieces_[piece].words, masks);
  }

  // How many boxes share the bucket of an average one of `a`, and of `b`, in a table for both; the larger of the two.
  // Counted in a table of counters a little larger than the boxes' number: now and then two buckets count as one.
  [[nodiscard]] double crowd(const Lengths& lengths, const Items& a, const Items& b) {
    const Words masks = masks_of(lengths);
    const std::size_t size = std::bit_ceil(2 * (a.size() + b.size()));
    counters_.assign(size, 0);
    keys_.clear();
    for (const Items* const items : {&a, &b}) {
      for (const std::uint32_t item : *items) {
        keys_.push_back(hash(item, masks) & static_cast<std::uint32_t>(size - 1));
        ++counters_[keys_.back()];
      }
    }
    const auto mean = [this](std::size_t first, std::size_t count) {
      double sum = 0;
      for (std::size_t i = first; i < first + count; ++i) sum += counters_[keys_[i]];
      return sum / static_cast<double>(count);
    };
    return std::max(mean(0, a.size()), mean(a.size(), b.size()));
  }

  // Groups boxes by the lengths of their prefixes, then joins groups whose common key still tells boxes apart well.
  [[nodiscard]] std::vector<Plan> plan(const Items& items) {
    std::map<Lengths, Items> groups;
    for (const std::uint32_t item : items) groups[rounded(pieces_[item].lengths)].push_back(item);
    std::vector<Plan> sorted;
    for (auto& [lengths, members] : groups) sorted.push_back({lengths, std::move(members)});
    // The longest first; no two have the same lengths.
    std::ranges::sort(sorted, [](const Plan& a, const Plan& b) {
      return a.items.size() != b.items.size() ? a.items.size() > b.items.size() : a.lengths < b.lengths;
    });

    std::vector<Plan> plans;
    std::size_t work = kWork * items.size();
    for (Plan& group : sorted) {
      Plan* home = nullptr;
      for (Plan& candidate : plans) {
        const std::size_t cost = candidate.items.size() + group.items.size();
        if (cost > work) break;
        work -= cost;
        if (crowd(shorter(candidate.lengths, group.lengths), candidate.items, group.items) > kCrowded) continue;
        home = &candidate;
        break;
      }
      // What is left when the places run out shares the last one, and is told apart one level deeper.
      if (home == nullptr && plans.size() == Target::kMaxTables) home = &plans.back();
      if (home == nullptr) {
        plans.push_back(std::move(group));
      } else {
        home->lengths = shorter(home->lengths, group.lengths);
        home->items.insert(home->items.end(), group.items.begin(), group.items.end());
      }
    }
    for (Plan& one : plans) std::ranges::sort(one.items);
    std::ranges::sort(plans, {}, [](const Plan& one) { return one.items.front(); });
    return plans;
  }

  [[nodiscard]] Ref make_tables(const Items& items, unsigned depth) {
    if (items.size() <= kLeaf) return make_list(entries_in(items));
    if (depth == kMaxDepth) return make_cuts(entries_in(items), SelectorBox::all(Target::kFamily));
    const std::vector<Plan> plans = plan(items);
    // The children come first: a node's tables stand side by side.
    std::vector<typename Target::Table> tables;
    for (const Plan& one : plans) {
      tables.push_back(make_table(one, items.size(), depth));
    }
    const auto first = static_cast<std::uint32_t>(target_.tables_.size());
    target_.tables_.insert(target_.tables_.end(), tables.begin(), tables.end());
    return add_node({.kind = Target::Kind::tables, .first = first, .count = static_cast<std::uint32_t>(tables.size())});
  }

  [[nodiscard]] typename Target::Table make_table(const Plan& plan, std::size_t parent_size, unsigned depth) {
    typename Target::Table table;
    table.masks = masks_of(plan.lengths);
    table.first_order = entries_[pieces_[plan.items.front()].entry].order;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> keyed;
    keyed.reserve(plan.items.size());
    for (const std::uint32_t item : plan.items) keyed.emplace_back(hash(item, table.masks), item);
    std::ranges::sort(keyed);
    std::vector<std::pair<std::uint32_t, Ref>> buckets;
    for (std::size_t i = 0; i < keyed.size();) {
      const std::uint32_t key = keyed[i].first;
      Items members;
      for (; i < keyed.size() && keyed[i].first == key; ++i) members.push_back(keyed[i].second);
      const bool stuck = members.size() == parent_size;
      buckets.emplace_back(key, stuck ? make_cuts(entries_in(members), SelectorBox::all(Target::kFamily))
                                      : make_tables(members, depth + 1));
    }
    const std::size_t size = std::bit_ceil(2 * buckets.size());
    table.first_slot = static_cast<std::uint32_t>(target_.slots_.size());
    table.slot_mask = static_cast<std::uint32_t>(size - 1);
    target_.slots_.resize(target_.slots_.size() + size);
    typename Target::Slot* const slots = target_.slots_.data() + table.first_slot;
    for (const auto& [key, child] : buckets) {
      std::uint32_t at = key & table.slot_mask;
      while (slots[at].child != Target::kEmpty) at = (at + 1) & table.slot_mask;
      slots[at] = {key, child};
    }
    return table;
  }

  [[nodiscard]] Items entries_in(const Items& items) const {
    Items entries;
    for (const std::uint32_t item : items) {
      const std::uint32_t entry = pieces_[item].entry;
      if (entries.empty() || entries.back() != entry) entries.push_back(entry);
    }
    return entries;
  }

  [[nodiscard]] Ref make_list(const Items& entries) {
    const std::size_t first = target_.rules_.size();
    for (const std::uint32_t entry : entries) target_.rules_.push_back(rule_of(entries_[entry]));
    const std::size_t count = entries.size();
    if (count == 0) return Target::kEmpty;
    if (count <= Target::kShortList && first < std::size_t{1} << Target::kOffsetBits) {
      return Target::kListFlag | static_cast<Ref>(count - 1) << Target::kOffsetBits | static_cast<Ref>(first);
    }
    return add_node({.kind = Target::Kind::list,
                     .first = static_cast<std::uint32_t>(first),
                     .count = static_cast<std::uint32_t>(count)});
  }

  [[nodiscard]] Ref add_node(const typename Target::Node& node) {
    target_.nodes_.push_back(node);
    return static_cast<Ref>(target_.nodes_.size() - 1);
  }

  // The first boxes that overlap `space`, up to one that fills it: what comes after can never be the first.
  [[nodiscard]] Items seen_in(const Items& entries, const SelectorBox& space) const {
    Items seen;
    for (const std::uint32_t entry : entries) {
      if (!entries_[entry].box.overlaps(space)) continue;
      seen.push_back(entry);
      if (entries_[entry].exact && entries_[entry].box.contains(space)) break;
    }
    return seen;
  }

  // Halves the space where most boundaries lie, until few boxes are left in each part.
  [[nodiscard]] Ref make_cuts(const Items& entries, const SelectorBox& space) {
    const Items seen = seen_in(entries, space);
    if (seen.size() <= kLeaf || seen.size() > cut_budget_) return make_list(seen);
    cut_budget_ -= seen.size();
    std::size_t best = 0;
    std::vector<Uint128> boundaries;
    for (std::size_t i = 0; i < kSelectorFields; ++i) {
      std::vector<Uint128> here;
      for (const std::uint32_t entry : seen) {
        const Interval& range = entries_[entry].box.fields[i];
        if (range.first > space.fields[i].first) here.push_back(range.first);
        if (range.last < space.fields[i].last) here.push_back(range.last + 1);
      }
      std::ranges::sort(here);
      const auto duplicates = std::ranges::unique(here);
      here.erase(duplicates.begin(), duplicates.end());
      if (here.size() <= boundaries.size()) continue;
      best = i;
      boundaries = std::move(here);
    }
    // Only boxes that are not exact can be without a boundary in here.
    if (boundaries.empty()) return make_list(seen);
    const Uint128 cut = boundaries[boundaries.size() / 2];
    SelectorBox below = space;
    SelectorBox above = space;
    below.fields[best].last = cut - 1;
    above.fields[best].first = cut;
    const Ref node = add_node({.kind = Target::Kind::cut, .field = static_cast<SelectorField>(best), .cut = cut});
    const Ref low = make_cuts(seen, below);
    const Ref high = make_cuts(seen, above);
    target_.nodes_[node].first = low;
    target_.nodes_[node].count = high;
    return node;
  }

  [[nodiscard]] static typename Target::Rule rule_of(const ClassifierEntry& entry) {
    using enum SelectorField;
    const SelectorBox& box = entry.box;
    typename Target::Rule rule;
    rule.source = static_cast<Address>(box[source].first);
    rule.source_width = static_cast<Address>(box[source].last - box[source].first);
    rule.destination = static_cast<Address>(box[destination].first);
    rule.destination_width = static_cast<Address>(box[destination].last - box[destination].first);
    const bool any_protocol = box[protocol] == Interval{0, 255};
    CHECK(any_protocol || box[protocol].first == box[protocol].last);
    rule.protocol = static_cast<std::uint8_t>(box[protocol].first);
    rule.flags =
        static_cast<std::uint8_t>((any_protocol ? Target::kAnyProtocol : 0) | (entry.exact ? 0 : Target::kInexact));
    const auto ports = [&](const Interval& range, std::uint16_t& first, std::uint16_t& last, std::uint8_t opaque) {
      if (range.last == kOpaquePort) rule.flags = static_cast<std::uint8_t>(rule.flags | opaque);
      // OPAQUE alone: no port that is seen lies in it.
      const bool nothing_seen = range.first == kOpaquePort;
      first = nothing_seen ? 1 : static_cast<std::uint16_t>(range.first);
      last = nothing_seen ? 0 : static_cast<std::uint16_t>(std::min<Uint128>(range.last, 0xffff));
    };
    ports(box[source_port], rule.source_port_first, rule.source_port_last, Target::kSourceOpaque);
    ports(box[destination_port], rule.destination_port_first, rule.destination_port_last, Target::kDestinationOpaque);
    rule.order = entry.order;
    return rule;
  }

  Target& target_;
  const std::vector<ClassifierEntry>& entries_;
  std::vector<Piece> pieces_;
  std::size_t cut_budget_ = 0;
  std::vector<std::uint32_t> counters_;
  std::vector<std::uint32_t> keys_;
};

}  // namespace culvert::ipsec
