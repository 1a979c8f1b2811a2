// CHECK: stops the process on a broken invariant of our own. Never for anything a peer, a user or the system can cause.
#pragma once

namespace culvert {

/// Prints the failed condition with its place to standard error and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace culvert

#define CHECK(condition) \
  (__builtin_expect(!!(condition), 1) ? void(0) : ::culvert::check_failed(#condition, __FILE__, __LINE__))
