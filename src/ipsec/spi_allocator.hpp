// SpiAllocator: chooses our inbound SPIs so that the SAD finds an SA without hashing: the slot is in the SPI.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <vector>

#include "base/random.hpp"
#include "base/result.hpp"
#include "ipsec/data_plane.hpp"
#include "model/ids.hpp"

namespace culvert::ipsec {

/// How an SPI of ours is cut, from the high bits down: node id | random generation | slot. The node id is there for a
/// cluster of gateways that share one address. The generation is never 0, so no SPI falls into 0 to 255 (RFC 4303 2.1).
/// By default 64 nodes with 1,048,576 SAs each, and 63 generations; memory is taken as slots come into use.
struct SpiLayout {
  unsigned node_bits = 6;
  unsigned slot_bits = 20;
  std::uint32_t node = 0;

  [[nodiscard]] std::uint32_t capacity() const { return std::uint32_t{1} << slot_bits; }
  [[nodiscard]] unsigned generation_bits() const { return 32 - node_bits - slot_bits; }
  [[nodiscard]] std::uint32_t slot_of(model::Spi spi) const { return spi.value() & (capacity() - 1); }
};

/// Hands out each slot at most once at a time. Belongs to the control thread; engines only need the layout. A released
/// slot rests while others are free, and its next generation differs, so that late packets of the old SA never meet a
/// new one's SPI.
class SpiAllocator {
 public:
  /// `random` must outlive the allocator.
  SpiAllocator(const SpiLayout& layout, RandomSource& random);

  /// `no_free_spi` when all slots are in use.
  [[nodiscard]] Result<model::Spi, DataPlaneError> allocate();
  /// Takes an SPI that someone else chose; `no_free_spi` when it is in use or reserved (0 to 255).
  [[nodiscard]] Result<void, DataPlaneError> reserve(model::Spi spi);
  /// An SPI that is not in use is ignored.
  void release(model::Spi spi);
  [[nodiscard]] std::uint32_t in_use() const { return in_use_; }

 private:
  SpiLayout layout_;
  RandomSource& random_;
  std::vector<std::uint32_t> current_;  // by slot: the SPI in use, or the last one
  std::vector<bool> used_;
  std::set<std::uint32_t> given_;      // chosen by others
  std::deque<std::uint32_t> resting_;  // released slots, the longest rested first
  std::uint32_t in_use_ = 0;
};

}  // namespace culvert::ipsec
