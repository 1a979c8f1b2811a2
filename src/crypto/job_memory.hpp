// What both backends need to know about a job's memory.
#pragma once

#include <cstdint>
#include <cstring>

#include "crypto/packet_cipher.hpp"

namespace culvert::crypto {

/// Brings the input to where the output shall be, for algorithms that then work in place. Allows any overlap.
inline void move_to_output(const PacketJob& job) {
  if (job.output != job.input && job.length > 0) std::memmove(job.output, job.input, job.length);
}

/// True when input and output share memory without being the same.
[[nodiscard]] inline bool overlaps_partly(const PacketJob& job) {
  const auto in = reinterpret_cast<std::uintptr_t>(job.input);
  const auto out = reinterpret_cast<std::uintptr_t>(job.output);
  return in != out && in < out + job.length && out < in + job.length;
}

/// Cipher-then-MAC: at most this many octets enter one MAC. More than any IP packet needs; ipsec-mb counts in 16 bits.
inline constexpr std::size_t kMaxMacInput = 65'534;

/// True when the MAC's input has a size that every backend takes. ipsec-mb's bursts must not be given an empty message:
/// it spoils the batch. No protocol has one.
[[nodiscard]] inline bool mac_input_fits(const PacketJob& job, const SuiteSizes& sizes) {
  if (job.length > kMaxMacInput || job.aad.size() > kMaxMacInput) return false;
  const std::size_t total = job.aad.size() + sizes.iv + job.length + job.mac_suffix_length;
  return total > 0 && total <= kMaxMacInput;
}

}  // namespace culvert::crypto
