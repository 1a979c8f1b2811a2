#include "ipsec/fragment_tracker.hpp"

#include <gtest/gtest.h>

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace std::chrono_literals;
using namespace test_kit;
using Verdict = FragmentTracker::Verdict;

const Flow kFlow{address("10.1.0.1"), address("10.2.0.1")};

/// A tracker with a clock, fed with what a fragment says.
class Tracked {
 public:
  explicit Tracked(const FragmentBounds& bounds = {}) : tracker_(bounds, 42) {}
  Verdict see(std::uint32_t id, std::uint16_t offset, std::uint16_t length, bool more, std::uint16_t port = 80,
              std::uint64_t scope = 0) {
    info = {};
    info.source = kFlow.source;
    info.destination = kFlow.destination;
    info.protocol = 6;
    info.is_fragment = true;
    info.is_later_fragment = offset != 0;
    if (offset == 0) {
      info.ports_visible = true;
      info.source_port = 999;
      info.destination_port = port;
    }
    const FragmentFields fields{.identification = id, .offset = offset, .length = length, .more = more, .protocol = 6};
    return tracker_.see(FragmentKey::of(info, fields, scope), fields, info, now);
  }
  net::PacketInfo info;
  Instant now{};

 private:
  FragmentTracker tracker_;
};

// RFC 4301 7.3: a fragment without ports goes by those of the first.
TEST(FragmentTracker, LaterFragmentsTakeOverThePortsOfTheFirst) {
  Tracked tracked;
  EXPECT_EQ(tracked.see(5, 0, 800, true, 443), Verdict::known);
  EXPECT_EQ(tracked.see(5, 800, 800, true), Verdict::known);
  EXPECT_TRUE(tracked.info.ports_visible);
  EXPECT_EQ(tracked.info.source_port, 999);
  EXPECT_EQ(tracked.info.destination_port, 443);
  EXPECT_EQ(tracked.see(6, 800, 800, true), Verdict::early) << "another identification";
  EXPECT_EQ(tracked.see(5, 1600, 800, true, 80, 9), Verdict::early) << "another SA vouches for nothing here";
}

TEST(FragmentTracker, ForgetsAfterItsTime) {
  Tracked tracked;
  EXPECT_EQ(tracked.see(5, 0, 800, true), Verdict::known);
  tracked.now += 29s;
  EXPECT_EQ(tracked.see(5, 800, 800, true), Verdict::known);
  tracked.now += 1s;
  EXPECT_EQ(tracked.see(5, 1600, 800, true), Verdict::early);
}

// RFC 1858, RFC 5722: no fragment may say something else about octets that went before.
TEST(FragmentTracker, AnOverlapEndsThePacket) {
  Tracked tracked;
  EXPECT_EQ(tracked.see(5, 0, 800, true), Verdict::known);
  EXPECT_EQ(tracked.see(5, 792, 800, true), Verdict::overlap);
  EXPECT_EQ(tracked.see(5, 2400, 800, true), Verdict::overlap) << "the packet is lost for good";
  EXPECT_EQ(tracked.see(6, 0, 800, true), Verdict::known);
  EXPECT_EQ(tracked.see(6, 8, 8, true), Verdict::overlap) << "within the TCP header";
}

TEST(FragmentTracker, ADuplicateDoesNoHarm) {
  Tracked tracked;
  EXPECT_EQ(tracked.see(5, 0, 800, true), Verdict::known);
  EXPECT_EQ(tracked.see(5, 800, 800, true), Verdict::known);
  EXPECT_EQ(tracked.see(5, 800, 800, true), Verdict::duplicate);
  EXPECT_EQ(tracked.see(5, 0, 800, true), Verdict::duplicate);
  EXPECT_EQ(tracked.see(5, 1600, 8, false), Verdict::known);
  EXPECT_EQ(tracked.see(5, 1608, 8, false), Verdict::overlap) << "two ends";
}

// An allowed first fragment must not open the way for the rest of a forbidden packet.
TEST(FragmentTracker, ASecondFirstFragmentForOtherPortsEndsThePacket) {
  Tracked tracked;
  EXPECT_EQ(tracked.see(5, 0, 800, true, 80), Verdict::known);
  EXPECT_EQ(tracked.see(5, 0, 800, true, 23), Verdict::overlap);
  EXPECT_EQ(tracked.see(5, 800, 800, false), Verdict::overlap);
}

TEST(FragmentTracker, AnIdentificationIsFreeAgainWhenItsPacketIsWhole) {
  Tracked tracked;
  EXPECT_EQ(tracked.see(5, 0, 800, true, 80), Verdict::known);
  EXPECT_EQ(tracked.see(5, 800, 100, false), Verdict::known);
  EXPECT_EQ(tracked.see(5, 0, 800, true, 23), Verdict::known);
  EXPECT_EQ(tracked.see(5, 800, 100, false), Verdict::known);
  EXPECT_EQ(tracked.info.destination_port, 23);
}

TEST(FragmentTracker, StaysInItsBounds) {
  Tracked tracked({.packets = 16});
  for (std::uint32_t id = 0; id < 1000; ++id) EXPECT_EQ(tracked.see(id, 0, 800, true), Verdict::known);
  int remembered = 0;
  for (std::uint32_t id = 0; id < 1000; ++id) remembered += tracked.see(id, 800, 800, true) == Verdict::known ? 1 : 0;
  EXPECT_LE(remembered, 16);
  EXPECT_GE(remembered, 4);
}

TEST(EarlyFragments, WaitInBoundsAndOrder) {
  EarlyFragments early({.early_fragments = 3});
  FragmentKey one;
  FragmentKey two;
  two.words[0] = 1;
  Instant now{};
  const auto push = [&](const FragmentKey& key, std::uint8_t mark) {
    InnerBuffer buffer(Bytes(100, mark));
    return early.push(key, buffer.view(), now);
  };
  EXPECT_TRUE(push(one, 1));
  EXPECT_TRUE(push(two, 2));
  EXPECT_TRUE(push(one, 3));
  EXPECT_FALSE(push(one, 4));
  std::vector<WaitingPacket> taken = early.take(one);
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_EQ(taken[0].view().bytes[0], 1);
  EXPECT_EQ(taken[1].view().bytes[0], 3);
  EXPECT_EQ(early.next_expiry(), now + 1s);
  EXPECT_EQ(early.expire(now + 999ms), 0U);
  EXPECT_EQ(early.expire(now + 1s), 1U);
  EXPECT_TRUE(early.empty());
  EarlyFragments small({.early_bytes = 400});
  InnerBuffer buffer(Bytes(100, 0));
  EXPECT_TRUE(small.push(one, buffer.view(), now));
  EXPECT_FALSE(small.push(one, buffer.view(), now));
}

}  // namespace
}  // namespace culvert::ipsec
