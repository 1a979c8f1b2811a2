#include "ipsec/acquire_queue.hpp"

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kRoom = kInnerHeadroom + kInnerTailroom;

AcquireQueue::Rule rule(std::uint32_t policy, std::uint32_t connection = 1) {
  return {model::ConnectionId{connection}, PolicyId{policy}};
}

bool push(AcquireQueue& queue, std::uint32_t policy, std::size_t size, Instant since = {},
          std::uint32_t connection = 1) {
  Bytes bytes(size, static_cast<std::uint8_t>(size));
  return queue.push(rule(policy, connection), {bytes, {.segment_size = 77}}, since);
}

TEST(AcquireQueue, KeepsOrderContentRoomAndFacts) {
  AcquireQueue queue({});
  for (std::size_t size = 1; size <= 5; ++size) EXPECT_TRUE(push(queue, 1, size, Instant{3s}));
  std::vector<WaitingPacket> taken = queue.take_all();
  ASSERT_EQ(taken.size(), 5U);
  EXPECT_TRUE(queue.empty());
  for (std::size_t i = 0; i < 5; ++i) {
    const InnerPacket packet = taken[i].view();
    EXPECT_EQ(to_bytes(packet.bytes), Bytes(i + 1, static_cast<std::uint8_t>(i + 1)));
    EXPECT_EQ(packet.offload.segment_size, 77U);
    EXPECT_EQ(taken[i].since(), Instant{3s});
    // Head- and tailroom may be written (the sanitizers watch).
    packet.bytes.data()[-static_cast<std::ptrdiff_t>(kInnerHeadroom)] = 1;
    packet.bytes.data()[packet.bytes.size() + kInnerTailroom - 1] = 1;
  }
}

TEST(AcquireQueue, EveryBoundHolds) {
  AcquireQueue by_number({.packets = 3});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(push(by_number, 1, 10));
  EXPECT_FALSE(push(by_number, 1, 10));
  EXPECT_TRUE(push(by_number, 2, 10));

  AcquireQueue by_bytes({.bytes = 2 * (100 + kRoom)});
  EXPECT_TRUE(push(by_bytes, 1, 100));
  EXPECT_TRUE(push(by_bytes, 1, 100));
  EXPECT_FALSE(push(by_bytes, 1, 1));
  EXPECT_TRUE(push(by_bytes, 2, 1));

  AcquireQueue in_all({.total_bytes = 3 * (100 + kRoom)});
  for (std::uint32_t rule = 1; rule <= 3; ++rule) EXPECT_TRUE(push(in_all, rule, 100));
  EXPECT_FALSE(push(in_all, 4, 1));
  EXPECT_EQ(in_all.take_all().size(), 3U);
  EXPECT_TRUE(push(in_all, 4, 100));
}

TEST(AcquireQueue, OldPacketsLeaveAndFreeTheirBytes) {
  AcquireQueue queue({.total_bytes = 2 * (100 + kRoom), .age = 10s});
  EXPECT_FALSE(queue.next_expiry().has_value());
  EXPECT_TRUE(push(queue, 1, 100, Instant{1s}));
  EXPECT_TRUE(push(queue, 2, 100, Instant{2s}));
  EXPECT_EQ(queue.next_expiry(), Instant{11s});
  EXPECT_EQ(queue.expire(Instant{10s}), 0U);
  EXPECT_EQ(queue.expire(Instant{11s}), 1U);
  EXPECT_TRUE(push(queue, 1, 100, Instant{11s}));
  EXPECT_EQ(queue.expire(Instant{21s}), 2U);
  EXPECT_TRUE(queue.empty());
}

// Those that are tried again keep their age.
TEST(AcquireQueue, TheOldestOfAllRulesGoesFirst) {
  AcquireQueue queue({.age = 10s});
  EXPECT_TRUE(push(queue, 1, 100, Instant{5s}));
  EXPECT_TRUE(push(queue, 1, 100, Instant{6s}));
  EXPECT_TRUE(push(queue, 2, 100, Instant{3s}));
  EXPECT_EQ(queue.next_expiry(), Instant{13s});
  EXPECT_EQ(queue.expire(Instant{13s}), 1U);
  EXPECT_EQ(queue.next_expiry(), Instant{15s});
  EXPECT_EQ(queue.expire(Instant{15s}), 1U);
  EXPECT_EQ(queue.next_expiry(), Instant{16s});
  EXPECT_EQ(queue.take_all().size(), 1U);
  EXPECT_FALSE(queue.next_expiry().has_value());
  EXPECT_TRUE(push(queue, 1, 100, Instant{7s}));
  EXPECT_EQ(queue.next_expiry(), Instant{17s});
}

TEST(AcquireQueue, WhatWaitsForOneConnectionIsTakenAlone) {
  AcquireQueue queue({.age = 10s});
  EXPECT_TRUE(push(queue, 3, 100, Instant{1s}, 7));
  EXPECT_TRUE(push(queue, 1, 101, Instant{2s}, 7));
  EXPECT_TRUE(push(queue, 2, 102, Instant{3s}, 8));
  EXPECT_TRUE(push(queue, 1, 103, Instant{4s}, 7));
  EXPECT_TRUE(queue.take_of(model::ConnectionId{6}).empty());
  EXPECT_FALSE(queue.has_any_of(model::ConnectionId{9}));
  EXPECT_TRUE(queue.has_any_of(model::ConnectionId{7}));
  std::vector<WaitingPacket> taken = queue.take_of(model::ConnectionId{7});
  ASSERT_EQ(taken.size(), 3U);
  EXPECT_EQ(taken[0].view().bytes.size(), 101U) << "rule by rule";
  EXPECT_EQ(taken[1].view().bytes.size(), 103U);
  EXPECT_EQ(taken[2].view().bytes.size(), 100U);
  EXPECT_FALSE(queue.has_any_of(model::ConnectionId{7}));
  EXPECT_EQ(queue.next_expiry(), Instant{13s}) << "the other's";
  EXPECT_EQ(queue.expire(Instant{13s}), 1U);
  EXPECT_TRUE(queue.empty());
}

TEST(AcquireQueue, ForgetsRulesThatAskNoMore) {
  AcquireQueue queue({.packets = 0, .age = 10s});
  EXPECT_FALSE(push(queue, 7, 100)) << "there is no room";
  EXPECT_EQ(queue.rules(), 0U);
  EXPECT_TRUE(queue.should_ask(rule(1), {}, Instant{1s}));
  EXPECT_TRUE(queue.should_ask(rule(2), {}, Instant{1s}));
  EXPECT_TRUE(queue.should_ask(rule(1), {}, Instant{8s}));
  EXPECT_FALSE(queue.should_ask(rule(1), {}, Instant{8500ms})) << "it has asked not long ago";
  (void)queue.expire(Instant{11s});
  EXPECT_EQ(queue.rules(), 1U);
  (void)queue.expire(Instant{21s});
  EXPECT_EQ(queue.rules(), 0U);
  EXPECT_TRUE(queue.should_ask(rule(1), {}, Instant{22s}));
  EXPECT_EQ(queue.rules(), 1U);
}

// RFC 4301 5.1; at most one question a second and rule.
TEST(AcquireQueue, AsksOnceASecondPerRule) {
  AcquireQueue queue({});
  EXPECT_TRUE(queue.should_ask(rule(1), {}, Instant{1s}));
  EXPECT_FALSE(queue.should_ask(rule(1), {}, Instant{1999ms}));
  EXPECT_TRUE(queue.should_ask(rule(2), {}, Instant{1999ms}));
  EXPECT_TRUE(queue.should_ask(rule(1), {}, Instant{2s}));
}

// RFC 4301 4.4.1.2: one rule may need many SAs; each is asked for, of so many at a time.
TEST(AcquireQueue, AsksForEachSetOfSelectors) {
  AcquireQueue queue({});
  const auto of = [](std::uint8_t host) {
    return SaSelectors{{model::TrafficSelector::of(net::AddressRange::of(net::IpAddress::v4({10, 1, 0, host})))}, {}};
  };
  for (std::size_t i = 0; i < AcquireQueue::kMaxAsked; ++i) {
    EXPECT_TRUE(queue.should_ask(rule(1), of(static_cast<std::uint8_t>(i)), Instant{1s}));
  }
  EXPECT_FALSE(queue.should_ask(rule(1), of(7), Instant{1500ms}));
  EXPECT_FALSE(queue.should_ask(rule(1), {}, Instant{1500ms}));  // no room
  EXPECT_TRUE(queue.should_ask(rule(2), {}, Instant{1500ms}));
  EXPECT_TRUE(queue.should_ask(rule(1), of(7), Instant{2s}));
  EXPECT_TRUE(queue.should_ask(rule(1), {}, Instant{2s}));  // the others are old enough to be forgotten
}

}  // namespace
}  // namespace culvert::ipsec
