#include "io/clock.hpp"

#include <chrono>

#include <sys/timex.h>

namespace culvert::io {

Instant MonotonicClock::now() {
  return Instant(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

WallClock wall_clock() {
  timex asked{};  // modes 0: only asks
  const int state = ::adjtimex(&asked);
  return {
      .seconds =
          std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(),
      .synchronized = state != -1 && state != TIME_ERROR && (asked.status & STA_UNSYNC) == 0};
}

}  // namespace culvert::io
