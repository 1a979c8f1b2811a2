#include "base/random.hpp"

#include "base/check.hpp"

namespace culvert {

std::uint32_t RandomSource::u32() {
  std::uint8_t raw[4];
  fill(raw);
  return load_be32(raw);
}

std::uint64_t RandomSource::u64() {
  std::uint8_t raw[8];
  fill(raw);
  return load_be64(raw);
}

std::uint64_t RandomSource::below(std::uint64_t bound) {
  CHECK(bound >= 1);
  // Rejects the tail that would favour small results.
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  for (;;) {
    const std::uint64_t value = u64();
    if (value < limit) return value % bound;
  }
}

std::uint64_t SeededRandom::next() {
  state_ += 0x9e3779b97f4a7c15ull;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

void SeededRandom::fill(MutableByteView out) {
  std::size_t i = 0;
  while (i < out.size()) {
    std::uint64_t word = next();
    for (int k = 0; k < 8 && i < out.size(); ++k, ++i) {
      out[i] = static_cast<std::uint8_t>(word);
      word >>= 8;
    }
  }
}

}  // namespace culvert
