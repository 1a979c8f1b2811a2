// Choices: octets as numbers, zeros when there are no more; by which a fuzzer, or a seed, says what comes next.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace culvert::liar {

class Choices {
 public:
  explicit Choices(ByteView octets) : left_(octets) {}
  [[nodiscard]] bool more() const { return !left_.empty(); }
  std::uint8_t next() {
    if (left_.empty()) return 0;
    const std::uint8_t first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }
  ByteView take(std::size_t count) {
    const ByteView taken = left_.first(std::min(count, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }

 private:
  ByteView left_;
};

}  // namespace culvert::liar
