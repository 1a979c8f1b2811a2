#include "base/timer_queue.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

Instant at(int seconds) { return Instant(std::chrono::seconds(seconds)); }

TEST(TimerQueue, TheEarliestComesFirstAndOfEqualOnesTheSmallerKey) {
  TimerQueue<int> queue;
  EXPECT_EQ(queue.next(), std::nullopt);
  EXPECT_EQ(queue.due(at(100)), std::nullopt);
  queue.set(3, at(5));
  queue.set(2, at(7));
  queue.set(1, at(5));
  EXPECT_EQ(queue.next(), at(5));
  EXPECT_EQ(queue.due(at(4)), std::nullopt);
  EXPECT_EQ(queue.due(at(5)), 1);
}

TEST(TimerQueue, AKeyMovesAndGoes) {
  TimerQueue<int> queue;
  queue.set(1, at(5));
  queue.set(2, at(6));
  queue.set(1, at(9));
  EXPECT_EQ(queue.due(at(10)), 2);
  queue.set(2, std::nullopt);
  queue.set(2, std::nullopt);
  EXPECT_EQ(queue.next(), at(9));
  queue.set(1, at(9));
  queue.set(1, std::nullopt);
  EXPECT_EQ(queue.next(), std::nullopt);
}

}  // namespace
}  // namespace culvert
