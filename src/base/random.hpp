// RandomSource: where keys, nonces, SPIs and jitter come from. Handed in, so that a seeded test replays byte for byte.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"

namespace culvert {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  /// Fills the whole view; cannot fail (an implementation that loses its source of entropy ends the process).
  virtual void fill(MutableByteView out) = 0;

  [[nodiscard]] std::uint32_t u32();
  [[nodiscard]] std::uint64_t u64();
  /// A uniformly chosen number in [0, bound); `bound` is at least 1.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
};

/// Repeats the same bytes for the same seed (SplitMix64). For tests and simulation only, never for keys.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableByteView out) override;

 private:
  std::uint64_t next();
  std::uint64_t state_;
};

}  // namespace culvert
