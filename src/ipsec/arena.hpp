// Arena: memory for the packets of one batch that cannot be worked on where they lie. Taken in pieces, given back all
// at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"

namespace culvert::ipsec {

/// Takes memory at the first use and keeps one chunk of it; more comes and goes with a batch that needs more. Who uses
/// it bounds the batch.
class Arena {
 public:
  struct Piece {
    MutableByteView bytes;
    const std::uint8_t* chunk = nullptr;  // where the chunk starts that the piece lies in; later pieces lie behind it
  };

  /// `size` octets of unspecified content, until `clear`.
  [[nodiscard]] Piece take(std::size_t size) {
    if (chunks_.empty() || chunks_.back().size - used_ < size) {
      const std::size_t room = std::max(size, kChunk);
      chunks_.push_back({std::make_unique_for_overwrite<std::uint8_t[]>(room), room});
      used_ = 0;
    }
    std::uint8_t* const start = chunks_.back().memory.get();
    used_ += size;
    return {{start + used_ - size, size}, start};
  }
  [[nodiscard]] bool empty() const { return used_ == 0 && chunks_.size() <= 1; }
  void clear() {
    if (chunks_.size() > 1) chunks_.resize(1);
    used_ = 0;
  }

 private:
  static constexpr std::size_t kChunk = std::size_t{256} * 1024;
  struct Chunk {
    std::unique_ptr<std::uint8_t[]> memory;
    std::size_t size = 0;
  };
  std::vector<Chunk> chunks_;
  std::size_t used_ = 0;  // of the last chunk
};

}  // namespace culvert::ipsec
