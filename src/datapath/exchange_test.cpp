#include "datapath/exchange.hpp"

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace culvert::datapath {
namespace {

constexpr Duration kPatience = std::chrono::seconds(10);

class Exchanges : public ::testing::Test {
 protected:
  static std::vector<io::EventFd> wakeups() {
    std::vector<io::EventFd> all;
    for (int worker = 0; worker < 2; ++worker) all.push_back(*io::EventFd::open());
    return all;
  }
  static void give(Exchange& from, std::uint32_t to) {
    Bytes packet(100, 7);
    from.hand_over(to, ipsec::InnerPacket{.bytes = packet});
  }
  /// What waits for `worker` is done and counted.
  static bool work(Exchange& worker, std::size_t& done) {
    return worker.take([] {}, [&](const HandoverRing::Batch& batch) { done += batch.inner.size(); });
  }

  Shared shared_{{}, wakeups(), *io::EventFd::open()};
  Exchange first_{shared_, 0};
  Exchange second_{shared_, 1};
};

TEST_F(Exchanges, SettlingEndsUndoneWhereTheOtherDoesNothing) {
  give(first_, 1);
  EXPECT_FALSE(first_.settle(std::chrono::milliseconds(1)));
  std::size_t done = 0;
  EXPECT_TRUE(work(second_, done));
  EXPECT_EQ(done, 1U);
  EXPECT_TRUE(first_.settle(Duration::zero()));
}

// Each waits for what it gave to the other, who is waiting too.
TEST_F(Exchanges, TwoThatSettleAtOnceDoEachOthersWork) {
  constexpr int kRounds = 200;
  std::atomic<int> arrived{0};
  std::array<std::size_t, 2> done{};
  std::atomic<int> unsettled{0};
  const auto run = [&](Exchange& one, std::uint32_t other) {
    std::size_t& mine = done[one.worker()];
    one.while_settling([&] { return work(one, mine); });
    for (int round = 0; round < kRounds && unsettled == 0; ++round) {
      give(one, other);
      ++arrived;
      while (arrived < 2 * (round + 1) && unsettled == 0) std::this_thread::yield();
      if (!one.settle(kPatience)) ++unsettled;
      // As any worker does between its settlings: the other may have begun later.
      while (mine < static_cast<std::size_t>(round) + 1 && unsettled == 0) (void)work(one, mine);
    }
  };
  std::thread beside([&] { run(second_, 0); });
  run(first_, 1);
  beside.join();
  EXPECT_EQ(unsettled, 0);
  EXPECT_EQ(done, (std::array<std::size_t, 2>{kRounds, kRounds}));
}

// A worker carries out its orders before it takes a batch, and some of them settle.
TEST_F(Exchanges, WhatSettlesBeforeABatchMayTakeIt) {
  for (int i = 0; i < 3; ++i) give(first_, 1);
  std::size_t done = 0;
  int settlings = 0;
  second_.while_settling([&] { return work(second_, done); });
  const auto before = [&] {
    if (settlings++ != 0) return;
    give(second_, 0);
    EXPECT_FALSE(second_.settle(std::chrono::milliseconds(1))) << "nobody does the first one's work";
    EXPECT_EQ(done, 3U);
  };
  EXPECT_TRUE(second_.take(before, [&](const HandoverRing::Batch& batch) { done += batch.inner.size(); }));
  EXPECT_EQ(done, 3U) << "none twice";
  EXPECT_TRUE(first_.settle(Duration::zero()));
}

}  // namespace
}  // namespace culvert::datapath
