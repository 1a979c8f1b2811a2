// WishRest: how long a wish that the peer refused is left alone; longer with each refusal, up to a minute.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/time.hpp"

namespace culvert::control {

struct WishRest {
  static constexpr Duration kFirst = std::chrono::seconds(2);
  static constexpr Duration kLongest = std::chrono::seconds(60);

  unsigned refusals = 0;  // in a row
  std::optional<Instant> until;

  /// One more refusal; how long the rest is that begins with it.
  Duration begin(Instant now) {
    Duration rest = kFirst;
    for (unsigned i = 0; i < refusals && rest < kLongest; ++i) rest *= 2;
    rest = std::min(rest, kLongest);
    ++refusals;
    until = now + rest;
    return rest;
  }
  [[nodiscard]] bool over(Instant now) const { return !until || *until <= now; }
};

}  // namespace culvert::control
