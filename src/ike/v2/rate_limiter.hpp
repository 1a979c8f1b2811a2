// RateLimiter: a token bucket for answers to messages that prove nothing (RFC 7296 2.21.4 wants their rate bounded).
#pragma once

#include <algorithm>

#include "base/time.hpp"

namespace culvert::ike::v2 {

/// Allows `burst` events at once and one more for each `interval` that passes.
class RateLimiter {
 public:
  RateLimiter(unsigned burst, Duration interval) : interval_(interval), capacity_(interval * burst) {}

  /// True when one more event is allowed at `now`; it is then counted.
  [[nodiscard]] bool allow(Instant now) {
    // `full_at_` is when the bucket will be full again; each event moves it on by one interval.
    full_at_ = std::max(full_at_, now);
    if (full_at_ - now > capacity_ - interval_) return false;
    full_at_ += interval_;
    return true;
  }

 private:
  Duration interval_;
  Duration capacity_;
  Instant full_at_{};
};

/// The same for what is fixed and of which there are very many.
template <unsigned kBurst, Duration::rep kMilliseconds>
class FixedRateLimiter {
 public:
  [[nodiscard]] bool allow(Instant now) {
    constexpr Duration kInterval = std::chrono::milliseconds(kMilliseconds);
    full_at_ = std::max(full_at_, now);
    if (full_at_ - now > kInterval * kBurst - kInterval) return false;
    full_at_ += kInterval;
    return true;
  }

 private:
  Instant full_at_{};
};

}  // namespace culvert::ike::v2
