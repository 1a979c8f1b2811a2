// MonotonicClock: the one source of Instants outside of tests. WallClock: the time of day, and what it is worth.
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace culvert::io {

class MonotonicClock {
 public:
  /// CLOCK_MONOTONIC: never runs backwards, stands still while the host sleeps. Any thread.
  [[nodiscard]] static Instant now();
};

struct WallClock {
  std::int64_t seconds = 0;   // since 1970
  bool synchronized = false;  // the kernel was told so, by an NTP client as a rule
};
[[nodiscard]] WallClock wall_clock();

}  // namespace culvert::io
