#include <thread>

#include <gtest/gtest.h>

#include "io/clock.hpp"
#include "io/event_fd.hpp"
#include "io/poller.hpp"

namespace culvert::io {
namespace {

TEST(EventFd, WakesAPollerInAnotherThreadUntilDrained) {
  auto event = EventFd::open();
  auto poller = Poller::open();
  ASSERT_TRUE(event && poller);
  ASSERT_TRUE(poller->add(event->fd(), 7));
  EXPECT_TRUE(poller->wait(Duration::zero()).empty());

  std::thread other([&] { event->signal(); });
  const auto ready = poller->wait(std::chrono::seconds(10));
  other.join();
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_EQ(ready[0].token, 7U);
  EXPECT_FALSE(ready[0].failed);

  event->drain();
  EXPECT_TRUE(poller->wait(Duration::zero()).empty());
}

TEST(EventFd, ManySignalsAreOneWakeUp) {
  auto event = EventFd::open();
  auto poller = Poller::open();
  ASSERT_TRUE(event && poller && poller->add(event->fd(), 1));
  for (int i = 0; i < 100; ++i) event->signal();
  EXPECT_EQ(poller->wait(Duration::zero()).size(), 1U);
  event->drain();
  EXPECT_TRUE(poller->wait(Duration::zero()).empty());
}

TEST(Poller, RemovedDescriptorsAreSilent) {
  auto event = EventFd::open();
  auto poller = Poller::open();
  ASSERT_TRUE(event && poller && poller->add(event->fd(), 1));
  event->signal();
  poller->remove(event->fd());
  EXPECT_TRUE(poller->wait(Duration::zero()).empty());
}

TEST(Poller, WhatRestsIsFoundByTheNextWait) {
  auto event = EventFd::open();
  auto other = EventFd::open();
  auto poller = Poller::open();
  auto outer = Poller::open();
  ASSERT_TRUE(event && other && poller && outer && poller->add(event->fd(), 1) && outer->add(poller->fd(), 2));
  poller->rest(event->fd());
  poller->rest(event->fd());
  poller->rest(other->fd());  // was never added
  event->signal();
  other->signal();
  EXPECT_TRUE(outer->wait(Duration::zero()).empty()) << "nobody looks";
  for (int i = 0; i < 2; ++i) {
    const auto ready = poller->wait(Duration::zero());
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0].token, 1U);
  }
  EXPECT_EQ(outer->wait(Duration::zero()).size(), 1U);
  poller->rest(event->fd());
  poller->remove(event->fd());
  EXPECT_TRUE(poller->wait(Duration::zero()).empty());
}

TEST(Poller, NeverWakesBeforeTheTimeout) {
  auto poller = Poller::open();
  ASSERT_TRUE(poller);
  const Instant before = MonotonicClock::now();
  EXPECT_TRUE(poller->wait(std::chrono::microseconds(1500)).empty());
  EXPECT_GE(MonotonicClock::now() - before, std::chrono::microseconds(1500));
}

TEST(Poller, ABadDescriptorIsAnErrorWithWords) {
  auto poller = Poller::open();
  ASSERT_TRUE(poller);
  const auto added = poller->add(-1, 0);
  ASSERT_FALSE(added);
  EXPECT_FALSE(added.error().text.empty());
}

}  // namespace
}  // namespace culvert::io
