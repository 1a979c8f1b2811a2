// The sums behind checksum.hpp, one for each kind of vector registers; apart so that a test can compare all that a CPU
// has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace culvert::net {

struct ChecksumSums {
  const char* name;
  /// The sum of the bytes as 16-bit machine words, modulo 2^16 - 1, an odd last byte counting as the first half of a
  /// word. At most kMost octets.
  std::uint64_t (*sum)(const std::uint8_t* bytes, std::size_t size);
  /// The same, and copies them to `out`, which does not overlap them or begins in front of them.
  std::uint64_t (*copy)(const std::uint8_t* bytes, std::size_t size, std::uint8_t* out);

  static constexpr std::size_t kMost = std::size_t{64} * 1024;
};

/// Those that this CPU can run, the fastest one first.
[[nodiscard]] std::span<const ChecksumSums> checksum_sums();

}  // namespace culvert::net
