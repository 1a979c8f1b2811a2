// PlainWindow: RFC 4303 3.4.3 as a set of numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>

namespace culvert {

class PlainWindow {
 public:
  explicit PlainWindow(std::uint64_t size) : size_(size) {}
  /// Whether the number is new and not too old; it counts from then on.
  bool accept(std::uint64_t sequence) {
    if (sequence + size_ <= top_ || !seen_.insert(sequence).second) return false;
    top_ = std::max(top_, sequence);
    return true;
  }

 private:
  std::uint64_t size_;
  std::uint64_t top_ = 0;
  std::set<std::uint64_t> seen_;
};

}  // namespace culvert
