#include "ipsec/path_mtu.hpp"

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

using namespace std::chrono_literals;

// RFC 4301 8.2, 8.2.2, 6.1.1.
TEST(PathMtu, FallsToTheFloorAndRisesWithTime) {
  const Instant now{};
  PathMtu path(1500);
  EXPECT_EQ(path.value(), 1500);
  EXPECT_FALSE(path.lower(1500, 576, now + 10min));
  EXPECT_FALSE(path.lower(9000, 576, now + 10min)) << "an error never widens";
  EXPECT_TRUE(path.lower(1400, 576, now + 10min));
  EXPECT_EQ(path.value(), 1400);
  EXPECT_FALSE(path.lower(1400, 576, now + 20min)) << "the same again does not hold it down";
  EXPECT_TRUE(path.lower(68, 576, now + 11min));
  EXPECT_EQ(path.value(), 576);
  EXPECT_FALSE(path.lower(68, 576, now + 20min));
  EXPECT_FALSE(path.age(now + 11min - 1ns));
  EXPECT_TRUE(path.age(now + 11min));
  EXPECT_EQ(path.value(), 1500);
  EXPECT_FALSE(path.age(now + 1h));
}

TEST(PathMtu, AnUnknownPathIsLearntAndForgotten) {
  PathMtu path;
  EXPECT_TRUE(path.lower(1400, 576, Instant{} + 1s));
  EXPECT_EQ(path.value(), 1400);
  EXPECT_TRUE(path.age(Instant{} + 1s));
  EXPECT_EQ(path.value(), 0);
}

TEST(PathMtu, AFirstHopBelowTheFloorStays) {
  PathMtu path(500);
  EXPECT_FALSE(path.lower(400, 576, Instant{} + 1s));
  EXPECT_EQ(path.value(), 500);
}

TEST(QuotedHeader, NeedsSpiAndSequenceNumber) {
  const Bytes esp{0, 0, 0x12, 0x34, 0, 0, 0, 9, 0xff};
  const auto quoted = quoted_header(esp, model::ProtocolId::esp);
  ASSERT_TRUE(quoted.has_value());
  EXPECT_EQ(quoted->spi, 0x1234U);
  EXPECT_EQ(quoted->sequence, 9U);
  EXPECT_FALSE(quoted_header(ByteView(esp).first(7), model::ProtocolId::esp).has_value());
  const Bytes ah{6, 4, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 9};
  const auto quoted_ah = quoted_header(ah, model::ProtocolId::ah);
  ASSERT_TRUE(quoted_ah.has_value());
  EXPECT_EQ(quoted_ah->spi, 0x1234U);
  EXPECT_EQ(quoted_ah->sequence, 9U);
  EXPECT_FALSE(quoted_header(ByteView(ah).first(11), model::ProtocolId::ah).has_value());
}

TEST(QuotedHeader, OnlyRecentNumbersAreBelieved) {
  EXPECT_FALSE(recently_sent(0, 0));
  EXPECT_FALSE(recently_sent(0, 1));
  EXPECT_TRUE(recently_sent(1, 1));
  EXPECT_FALSE(recently_sent(5, 0)) << "0 is never sent";
  EXPECT_FALSE(recently_sent(5, 6)) << "not sent yet";
  EXPECT_TRUE(recently_sent(5, 5));
  EXPECT_TRUE(recently_sent(5, 1));
  EXPECT_FALSE(recently_sent(5'000'000, 5));
  EXPECT_TRUE(recently_sent(0x1'0000'0005, 0xffff'ffff)) << "the low bits have come round";
}

}  // namespace
}  // namespace culvert::ipsec
