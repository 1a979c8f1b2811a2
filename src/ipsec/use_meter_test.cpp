#include "ipsec/use_meter.hpp"

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

// RFC 4301 4.4.2.1: a soft bound asks once, a hard one ends the SA, and the packet that would pass it does not go.
TEST(UseMeter, PacketBoundsAreToldOnceEach) {
  const UseBounds bounds{.soft_packets = 3, .hard_packets = 5};
  UseMeter meter(bounds);
  EXPECT_TRUE(meter.admit(2, 100, bounds));
  EXPECT_EQ(meter.news(), ExpiryNews::none);
  EXPECT_TRUE(meter.admit(1, 100, bounds));
  EXPECT_EQ(meter.news(), ExpiryNews::soft);
  meter.told();
  EXPECT_TRUE(meter.admit(1, 100, bounds));
  EXPECT_EQ(meter.news(), ExpiryNews::none);
  EXPECT_FALSE(meter.admit(2, 100, bounds));
  EXPECT_EQ(meter.news(), ExpiryNews::hard);
  EXPECT_TRUE(meter.closed());
  meter.told();
  EXPECT_FALSE(meter.admit(1, 1, bounds));
  EXPECT_EQ(meter.news(), ExpiryNews::none);
  EXPECT_EQ(meter.packets(), 4U);
  EXPECT_EQ(meter.bytes(), 300U);
}

// As many packets as it says, however long, and no bound is reached that `admit` would tell of.
TEST(UseMeter, FarPacketsReachNoBound) {
  for (const UseBounds& bounds : {UseBounds{.soft_packets = 50, .hard_packets = 60}, UseBounds{.soft_bytes = 1000},
                                  UseBounds{.hard_packets = 3}, UseBounds{.hard_bytes = 99}}) {
    UseMeter meter(bounds);
    for (std::uint64_t left = meter.far_packets(100); left != 0; left = meter.far_packets(100)) {
      for (; left != 0; --left) {
        EXPECT_TRUE(meter.far_from_bounds(1, 100));
        meter.count(1, 100);
      }
    }
    EXPECT_EQ(meter.news(), ExpiryNews::none);
    EXPECT_FALSE(meter.far_from_bounds(1, 100));
  }
  EXPECT_GT(UseMeter(UseBounds{}).far_packets(65535), 1'000'000U);
}

TEST(UseMeter, HardBoundReachedExactlyClosesBehindThePacket) {
  const UseBounds bounds{.hard_bytes = 1000};
  UseMeter meter(bounds);
  EXPECT_TRUE(meter.admit(1, 999, bounds));
  EXPECT_FALSE(meter.closed());
  EXPECT_TRUE(meter.admit(1, 1, bounds));
  EXPECT_TRUE(meter.closed());
  EXPECT_EQ(meter.news(), ExpiryNews::hard);
  EXPECT_FALSE(meter.admit(1, 1, bounds));
}

TEST(UseMeter, HardBoundReachedExactlyBehindTheSoftOne) {
  for (const bool by_packets : {true, false}) {
    const UseBounds bounds =
        by_packets ? UseBounds{.soft_packets = 3, .hard_packets = 5} : UseBounds{.soft_bytes = 300, .hard_bytes = 500};
    UseMeter meter(bounds);
    EXPECT_TRUE(meter.admit(3, 300, bounds));
    EXPECT_EQ(meter.news(), ExpiryNews::soft);
    meter.told();
    EXPECT_TRUE(meter.admit(2, 200, bounds));
    EXPECT_EQ(meter.news(), ExpiryNews::hard) << "with the last packet, not with the one that is too much";
    EXPECT_TRUE(meter.closed());
  }
}

TEST(UseMeter, HardBoundBelowTheSoftOneStillEnds) {
  const UseBounds bounds{.soft_packets = 10, .hard_packets = 2};
  UseMeter meter(bounds);
  EXPECT_TRUE(meter.admit(1, 1, bounds));
  EXPECT_TRUE(meter.admit(1, 1, bounds));
  EXPECT_TRUE(meter.closed());
}

TEST(UseMeter, BytesAfterThePacketBoundWasTold) {
  const UseBounds bounds{.soft_packets = 2, .soft_bytes = 1000, .hard_bytes = 2000};
  UseMeter meter(bounds);
  EXPECT_TRUE(meter.admit(2, 10, bounds));
  EXPECT_EQ(meter.news(), ExpiryNews::soft);
  meter.told();
  EXPECT_TRUE(meter.admit(1, 1500, bounds));
  EXPECT_EQ(meter.news(), ExpiryNews::none);
  EXPECT_FALSE(meter.admit(1, 1500, bounds));
  EXPECT_EQ(meter.news(), ExpiryNews::hard);
}

TEST(UseMeter, WithoutBoundsNothingHappens) {
  const UseBounds bounds;
  UseMeter meter(bounds);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(meter.admit(64, 1'000'000'000'000, bounds));
  EXPECT_EQ(meter.news(), ExpiryNews::none);
}

// RFC 4303 3.3.3: the first packet has number 1.
TEST(SequenceCounter, CountsFromOneInRuns) {
  SequenceCounter counter(true);
  EXPECT_EQ(counter.take(1), 1U);
  EXPECT_EQ(counter.take(64), 2U);
  EXPECT_EQ(counter.take(1), 66U);
  EXPECT_EQ(counter.last(), 66U);
}

// RFC 4303 3.3.3: neither 32-bit nor 64-bit numbers cycle.
TEST(SequenceCounter, NeverCycles) {
  SequenceCounter narrow(false, 0xffff'fff0);
  EXPECT_TRUE(narrow.running_out());
  EXPECT_FALSE(narrow.take(16).has_value());
  EXPECT_EQ(narrow.take(15), 0xffff'fff1U);
  EXPECT_FALSE(narrow.take(1).has_value());
  EXPECT_EQ(narrow.last(), 0xffff'ffffU);

  SequenceCounter wide(true, 0xffff'ffff'ffff'fffe);
  EXPECT_EQ(wide.take(1), 0xffff'ffff'ffff'ffffU);
  EXPECT_FALSE(wide.take(1).has_value());
}

TEST(SequenceCounter, AsksForARekeyInTime) {
  SequenceCounter narrow(false, 0xefff'fff0);
  EXPECT_FALSE(narrow.running_out());
  ASSERT_TRUE(narrow.take(64).has_value());
  EXPECT_TRUE(narrow.running_out());
}

TEST(SequenceCounter, StaysWithinItsGrantUntilItIsRaised) {
  SequenceCounter counter(true, 100, 108);
  EXPECT_TRUE(counter.quiet());
  EXPECT_EQ(counter.take(5), 101U);
  EXPECT_FALSE(counter.grant_low());
  EXPECT_EQ(counter.take(1), 106U);
  EXPECT_TRUE(counter.grant_low());
  EXPECT_FALSE(counter.quiet());
  EXPECT_FALSE(counter.take(3).has_value());
  EXPECT_TRUE(counter.has(3)) << "only the grant is used up";
  counter.grant(50);  // never lowers
  EXPECT_EQ(counter.take(2), 107U);
  EXPECT_FALSE(counter.take(1).has_value());
  counter.grant(116);
  EXPECT_TRUE(counter.quiet());
  EXPECT_EQ(counter.take(8), 109U);
  EXPECT_FALSE(counter.take(1).has_value());
}

TEST(SequenceCounter, NoGrantReachesBeyondTheProtocol) {
  SequenceCounter narrow(false, 0xffff'fff0, 0xffff'fff8);
  narrow.grant(~std::uint64_t{0});
  EXPECT_FALSE(narrow.grant_low()) << "no further grant can help";
  EXPECT_EQ(narrow.take(15), 0xffff'fff1U);
  EXPECT_FALSE(narrow.take(1).has_value());
  EXPECT_FALSE(narrow.has(1));
}

TEST(UnwatchedRun, TellsTheMeterAtItsEnd) {
  UseMeter meter(UseBounds{});
  UnwatchedRun run;
  EXPECT_EQ(run.left(), 0U);
  run.allow(UnwatchedRun::kMost);
  for (std::uint64_t i = 1; i <= UnwatchedRun::kMost; ++i) {
    run.take(1, 65535);
    ASSERT_EQ(run.packets(), i);
    ASSERT_EQ(run.bytes(), 65535 * i);
  }
  EXPECT_EQ(run.left(), 0U);
  run.end(meter);
  EXPECT_EQ(meter.packets(), 65535U);
  EXPECT_EQ(meter.bytes(), 65535ULL * 65535);
  EXPECT_EQ(run.packets() + run.bytes(), 0U);
  run.allow(9);
  run.take(4, 1000);
  EXPECT_EQ(run.left(), 5U);
  run.end(meter);
  EXPECT_EQ(meter.packets(), 65539U);
  EXPECT_EQ(run.left(), 0U);
}

TEST(UnwatchedRun, TakesOneByOneAsFarAsItMay) {
  UseMeter meter(UseBounds{});
  UnwatchedRun run;
  EXPECT_FALSE(run.take_one(1));
  EXPECT_FALSE(run.take_one(65535));
  EXPECT_EQ(run.packets() + run.bytes(), 0U);
  run.allow(UnwatchedRun::kMost);
  for (std::uint64_t i = 1; i <= UnwatchedRun::kMost; ++i) {
    ASSERT_TRUE(run.take_one(65535));
    ASSERT_EQ(run.left(), UnwatchedRun::kMost - i);
    ASSERT_EQ(run.packets(), i);
    ASSERT_EQ(run.bytes(), 65535 * i);
  }
  // The octets and what was allowed are at their highest now; refused packets change nothing.
  EXPECT_FALSE(run.take_one(65535));
  EXPECT_FALSE(run.take_one(0));
  EXPECT_EQ(run.bytes(), 65535ULL * 65535);
  EXPECT_EQ(run.packets(), 65535U);
  run.end(meter);
  EXPECT_EQ(meter.packets(), 65535U);
  EXPECT_EQ(meter.bytes(), 65535ULL * 65535);
}

}  // namespace
}  // namespace culvert::ipsec
