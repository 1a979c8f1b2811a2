// Asking for memory ahead of its use.
#pragma once

namespace culvert {

/// Brings the cache line at `at` nearer, for reading. GCC takes a function that only prefetches for one without effect
/// and drops calls to it; the empty statement is an effect.
inline void prefetch(const void* at) {
  __builtin_prefetch(at);
  asm volatile("");
}
/// For writing.
inline void prefetch_to_write(const void* at) {
  __builtin_prefetch(at, 1);
  asm volatile("");
}

}  // namespace culvert
