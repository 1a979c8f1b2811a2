#include "base/time.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

using namespace std::chrono_literals;

TEST(CoarseInstant, KnowsWhetherASpanIsOver) {
  EXPECT_FALSE(CoarseInstant().within(1s, Instant{}));
  EXPECT_FALSE(CoarseInstant().within(1s, Instant{} + 24h));
  // From the beginning of the time line to where the number of milliseconds has more than 32 bits.
  for (const Duration start : {Duration(0), Duration(5ms), Duration(90s), Duration(24h * 40), Duration(24h * 60)}) {
    const Instant then = Instant{} + start;
    const CoarseInstant coarse(then);
    for (const Duration span : {Duration(250ms), Duration(1s), Duration(24h)}) {
      EXPECT_TRUE(coarse.within(span, then));
      EXPECT_TRUE(coarse.within(span, then + span - 3ms));
      EXPECT_FALSE(coarse.within(span, then + span + 3ms));
    }
  }
}

}  // namespace
}  // namespace culvert
