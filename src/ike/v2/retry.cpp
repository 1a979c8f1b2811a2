#include "ike/v2/retry.hpp"

#include <algorithm>

#include "ike/v2/closing.hpp"

namespace culvert::ike::v2 {
namespace {

constexpr Duration kLongest = std::chrono::minutes(1);
constexpr Duration kLongestAfterCollision = std::chrono::seconds(4);
constexpr Duration kShortest = std::chrono::seconds(1);
constexpr Duration kPatience = std::chrono::minutes(5);
constexpr unsigned kMostForgotten = 4;

Duration share_of_rest(const Core& core, std::optional<Instant> expire_at, Duration most) {
  if (!expire_at) return most;
  return std::clamp<Duration>((*expire_at - core.now) / 4, kShortest, most);
}

}  // namespace

Duration retry_delay(Core& core, std::optional<Instant> expire_at) {
  return share_of_rest(core, expire_at, kLongest) + core.jitter(kShortest);
}

Duration retry_delay(Core& core, const ChildSa* old) {
  return retry_delay(core, old != nullptr ? old->expire_at : std::nullopt);
}

Duration collision_delay(Core& core, std::optional<Instant> expire_at) {
  const Duration wait = share_of_rest(core, expire_at, kLongestAfterCollision);
  return wait / 2 + core.jitter(wait);
}

Duration collision_delay(Core& core, const ChildSa* old) {
  return collision_delay(core, old != nullptr ? old->expire_at : std::nullopt);
}

bool give_up_on_temporary_failure(Core& core, IkeSa& sa, Retry& retry) {
  if (!retry.refused_since) retry.refused_since = core.now;
  if (core.now - *retry.refused_since < kPatience) return false;
  close_with_delete(core, sa, CloseReason::protocol_error);
  return true;
}

bool is_forgotten_for_good(Core& core, IkeSa& sa, Retry& retry) {
  if (++retry.forgotten < kMostForgotten) return false;
  close_with_delete(core, sa, CloseReason::protocol_error);
  return true;
}

}  // namespace culvert::ike::v2
