// Time as the pure layers see it: a value handed in, never read from a clock. The daemon feeds the monotonic clock, the
// simulator a virtual one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace culvert {

using Duration = std::chrono::nanoseconds;

/// Names the time line of Instant. It has no now(): whoever needs the time is given it.
struct GivenClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  static constexpr bool is_steady = true;
};

/// A point on a monotonic time line with an arbitrary origin, in nanoseconds.
using Instant = std::chrono::time_point<GivenClock, Duration>;

/// An instant that may be absent, in no more room than an instant; for objects of which there are very many. The
/// earliest instant of the time line stands for none.
class OptionalInstant {
 public:
  constexpr OptionalInstant() = default;
  constexpr OptionalInstant(std::nullopt_t /*unused*/) {}
  constexpr OptionalInstant(Instant at) : at_(at) {}
  constexpr OptionalInstant(std::optional<Instant> at) : at_(at.value_or(Instant::min())) {}
  [[nodiscard]] constexpr explicit operator bool() const { return at_ != Instant::min(); }
  [[nodiscard]] constexpr Instant operator*() const { return at_; }
  constexpr operator std::optional<Instant>() const { return *this ? std::optional(at_) : std::nullopt; }
  constexpr void reset() { at_ = Instant::min(); }

 private:
  Instant at_ = Instant::min();
};

/// An instant that may be absent, in 32 bits, for objects of which there are very many: good for "is it long since", of
/// spans up to days, to about a millisecond.
class CoarseInstant {
 public:
  constexpr CoarseInstant() = default;
  constexpr CoarseInstant(Instant at) : at_(std::max<std::uint32_t>(number(at), 1)) {}
  /// True when there is an instant, and `now` lies less than `span` behind it. After 52 days it is wrong once.
  [[nodiscard]] constexpr bool within(Duration span, Instant now) const {
    return at_ != 0 && number(now) - at_ < units(span);
  }

 private:
  [[nodiscard]] static constexpr std::uint32_t units(Duration time) {
    return static_cast<std::uint32_t>(time.count() >> 20);
  }
  // From 1 on.
  [[nodiscard]] static constexpr std::uint32_t number(Instant at) { return units(at.time_since_epoch()) + 1; }
  std::uint32_t at_ = 0;
};

/// The earlier of two optional instants; an absent one never comes.
[[nodiscard]] constexpr std::optional<Instant> earliest(std::optional<Instant> a, std::optional<Instant> b) {
  if (!a) return b;
  if (!b) return a;
  return *a < *b ? a : b;
}

}  // namespace culvert
