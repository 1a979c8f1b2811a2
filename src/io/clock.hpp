// MonotonicClock: the one source of Instants outside of tests.
#pragma once

#include "base/time.hpp"

namespace culvert::io {

class MonotonicClock {
 public:
  /// CLOCK_MONOTONIC: never runs backwards, stands still while the host sleeps. Any thread.
  [[nodiscard]] static Instant now();
};

}  // namespace culvert::io
