// FragmentRanges: which octets of a packet its fragments have brought so far. Of fixed size; knows overlaps from gaps.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace culvert::ipsec {

class FragmentRanges {
 public:
  enum class Added : std::uint8_t {
    fresh,
    contained,    // nothing of it is new: a duplicate, or a lie of the same length
    overlapping,  // partly new; or it contradicts where the packet ends
    too_scattered
  };

  /// `last`: no more follow, so the packet ends at `end`. Only `fresh` changes anything.
  [[nodiscard]] Added add(std::uint32_t start, std::uint32_t end, bool last) {
    if (end_ && (last ? end != *end_ : end >= *end_)) {
      return last || end > *end_ ? Added::overlapping : overlap_kind(start, end);
    }
    if (last && count_ != 0 && ranges_[count_ - 1].end > end) return Added::overlapping;
    const Added kind = overlap_kind(start, end);
    if (kind != Added::fresh) return kind;
    if (!insert(start, end)) return Added::too_scattered;
    if (last) end_ = end;
    return Added::fresh;
  }
  /// Every octet from 0 to the end has come.
  [[nodiscard]] bool complete() const {
    return end_ && count_ == 1 && ranges_[0].start == 0 && ranges_[0].end == *end_;
  }

 private:
  static constexpr std::size_t kCapacity = 16;
  struct Range {
    std::uint32_t start = 0;
    std::uint32_t end = 0;
  };

  [[nodiscard]] Added overlap_kind(std::uint32_t start, std::uint32_t end) const {
    for (std::size_t i = 0; i < count_; ++i) {
      const Range& range = ranges_[i];
      if (end <= range.start || range.end <= start) continue;
      return range.start <= start && end <= range.end ? Added::contained : Added::overlapping;
    }
    return Added::fresh;
  }

  // Sorted and without touching neighbours, so that fragments in order take one place.
  [[nodiscard]] bool insert(std::uint32_t start, std::uint32_t end) {
    std::size_t at = 0;
    while (at < count_ && ranges_[at].end < start) ++at;
    const bool joins_left = at < count_ && ranges_[at].end == start;
    if (joins_left) {
      ranges_[at].end = end;
      if (at + 1 < count_ && ranges_[at + 1].start == end) {
        ranges_[at].end = ranges_[at + 1].end;
        std::move(ranges_.begin() + at + 2, ranges_.begin() + count_, ranges_.begin() + at + 1);
        --count_;
      }
      return true;
    }
    if (at < count_ && ranges_[at].start == end) {
      ranges_[at].start = start;
      return true;
    }
    if (count_ == kCapacity) return false;
    std::move_backward(ranges_.begin() + at, ranges_.begin() + count_, ranges_.begin() + count_ + 1);
    ranges_[at] = {start, end};
    ++count_;
    return true;
  }

  std::array<Range, kCapacity> ranges_{};
  std::size_t count_ = 0;
  std::optional<std::uint32_t> end_;
};

}  // namespace culvert::ipsec
