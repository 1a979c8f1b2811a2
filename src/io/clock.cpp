#include "io/clock.hpp"

#include <chrono>

namespace culvert::io {

Instant MonotonicClock::now() {
  return Instant(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

}  // namespace culvert::io
