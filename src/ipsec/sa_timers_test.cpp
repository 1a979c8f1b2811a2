#include "ipsec/sa_timers.hpp"

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

using namespace std::chrono_literals;

TEST(SaTimers, TellsInOrderAndOnce) {
  SaTimers timers;
  const Instant now{};
  const model::ChildSaId one{1};
  const model::ChildSaId two{2};
  EXPECT_FALSE(timers.next().has_value());
  timers.arm(one, now + 3s);
  timers.arm(two, now + 2s);
  EXPECT_EQ(timers.next(), now + 2s);
  timers.arm(two, now + 5s);
  EXPECT_EQ(timers.next(), now + 3s);
  EXPECT_FALSE(timers.take_due(now + 3s - 1ns).has_value());
  EXPECT_EQ(timers.take_due(now + 9s), one);
  EXPECT_EQ(timers.take_due(now + 9s), two);
  EXPECT_FALSE(timers.take_due(now + 9s).has_value());
  timers.arm(one, now);
  timers.disarm(one);
  timers.disarm(two);
  EXPECT_FALSE(timers.next().has_value());
}

}  // namespace
}  // namespace culvert::ipsec
