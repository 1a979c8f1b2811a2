// IvPool: unpredictable IVs for CBC (RFC 3602 3), fetched from the random source many at a time.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/random.hpp"

namespace culvert::ipsec {

class IvPool {
 public:
  static constexpr std::size_t kIvSize = 16;  // the longest; DES has 8

  explicit IvPool(RandomSource& random) : random_(random) {}

  /// Fills `out`, up to 16 octets, with random ones; each is given out once.
  void take(MutableByteView out) {
    if (used_ == pool_.size()) {
      random_.fill(pool_);
      used_ = 0;
    }
    std::memcpy(out.data(), pool_.data() + used_, out.size());
    used_ += kIvSize;
  }

 private:
  RandomSource& random_;
  std::array<std::uint8_t, 128 * kIvSize> pool_{};
  std::size_t used_ = 128 * kIvSize;
};

}  // namespace culvert::ipsec
