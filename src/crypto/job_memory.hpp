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

}  // namespace culvert::crypto
