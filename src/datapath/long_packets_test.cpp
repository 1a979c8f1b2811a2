#include "datapath/long_packets.hpp"

#include <gtest/gtest.h>

namespace culvert::datapath {
namespace {

using ipsec::kMaxInnerPacket;
using ipsec::kMaxSuperPacket;
using ipsec::TcpJoining;

TEST(LongPackets, AreShorterForAWhileOnceOneWasRefused) {
  const TcpJoining allowed{.longest = kMaxSuperPacket, .over_push = true};
  LongPackets packets;
  packets.set(allowed);
  EXPECT_FALSE(packets.written(kMaxSuperPacket, false));
  EXPECT_FALSE(packets.written(kMaxInnerPacket, true)) << "its length was not why";
  EXPECT_EQ(packets.written(kMaxInnerPacket + 1, true), (TcpJoining{.longest = kMaxInnerPacket, .over_push = true}));
  for (unsigned i = 1; i < LongPackets::kShortFor; ++i) ASSERT_FALSE(packets.written(1000, i % 2 == 0)) << i;
  EXPECT_EQ(packets.written(1000, false), allowed);
  EXPECT_FALSE(packets.written(1000, false));
}

TEST(LongPackets, WhatTheHostAllowsHoldsAtOnce) {
  LongPackets packets;
  packets.set({.longest = kMaxSuperPacket, .over_push = true});
  ASSERT_TRUE(packets.written(kMaxSuperPacket, true));
  packets.set({});
  for (unsigned i = 0; i < 2 * LongPackets::kShortFor; ++i) ASSERT_FALSE(packets.written(1000, false)) << i;
}

}  // namespace
}  // namespace culvert::datapath
