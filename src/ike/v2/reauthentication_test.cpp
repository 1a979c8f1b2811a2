// Authentication that runs out (RFC 4478): told, obeyed, and the new IKE SA stands before the old one goes.
#include "ike/v2/reauthentication.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"
#include "ike/v2/testing/remote_access.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class ReauthenticationTest : public ::testing::Test {
 protected:
  void start(Duration a, Duration b) {
    auto config_a = config_of(true);
    auto config_b = config_of(false);
    config_a.life.reauthentication = a;
    config_b.life.reauthentication = b;
    configure(*pair, std::move(config_a), std::move(config_b));
    initiate(*pair);
    pair->settle();
    ASSERT_TRUE(in_step(*pair));
    spi = pair->a.ike_sa().spi_i;
    pair->a.on_event = pair->b.on_event = [this](const Event&) {
      gap = gap || pair->a.outbound() == nullptr || pair->b.outbound() == nullptr;
    };
  }
  [[nodiscard]] bool is_new() { return in_step(*pair) && pair->a.ike_sa().spi_i != spi; }

  std::unique_ptr<Pair> pair = std::make_unique<Pair>();
  model::IkeSpi spi;
  bool gap = false;  // at some time there was no pair
};

// RFC 4478 2: within the time that the responder says.
TEST_F(ReauthenticationTest, WhatTheResponderSaysIsObeyed) {
  start({}, minutes(10));
  pair->advance(minutes(8));
  EXPECT_FALSE(is_new());
  pair->advance(minutes(2));
  EXPECT_TRUE(is_new());
  EXPECT_FALSE(gap);
  EXPECT_EQ(pair->a.children_made, 2u);
  ASSERT_EQ(pair->a.closed.size(), 1u);
  EXPECT_EQ(pair->a.closed[0].reason, CloseReason::reauthenticated);
  // Before the old pair goes the new one is there: what is under way on it still arrives.
  ASSERT_EQ(pair->a.removed.size(), 1u);
  EXPECT_GT(pair->a.removed[0].linger, Duration::zero());
  EXPECT_TRUE(no_leaks(*pair));
  EXPECT_TRUE(pair->a.failures.empty() && pair->b.failures.empty());
}

TEST_F(ReauthenticationTest, OurOwnPolicyMayWantItEarlier) {  // RFC 4478 5: the earlier of both
  start(minutes(2), minutes(10));
  pair->advance(minutes(2));
  EXPECT_TRUE(is_new());
  EXPECT_FALSE(gap);
}

TEST_F(ReauthenticationTest, OnAndOn) {
  start({}, minutes(5));
  pair->advance(hours(5));
  EXPECT_TRUE(is_new());
  EXPECT_GE(pair->a.children_made, 60u);
  EXPECT_FALSE(gap);
  EXPECT_TRUE(no_leaks(*pair));
}

// RFC 4478 2: whoever does not prove itself anew is sent off soon after.
TEST_F(ReauthenticationTest, WhoDoesNotHearItIsSentOff) {
  start({}, minutes(5));
  // The initiator's requests for a new IKE SA are lost.
  pair->fate = [](const Datagram& one) {
    const bool lost = one.from_a && one.header().exchange == model::ExchangeType::ike_sa_init;
    return lost ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  pair->advance(minutes(5));
  EXPECT_EQ(pair->b.ike_sas.size(), 1u);
  EXPECT_EQ(pair->a.ike_sas.size(), 1u) << "the old one goes on while there is no other";
  pair->advance(seconds(30));
  EXPECT_TRUE(pair->b.ike_sas.empty() && pair->a.ike_sas.empty());
  EXPECT_EQ(pair->b.closed[0].reason, CloseReason::lifetime_expired);
}

TEST_F(ReauthenticationTest, AFailureIsTriedAgain) {
  start(minutes(30), {});
  pair->fate = [this](const Datagram& one) {
    const bool lost =
        one.header().exchange == model::ExchangeType::ike_sa_init && pair->now < Instant(hours(1)) + minutes(32);
    return lost ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  pair->advance(minutes(40));
  EXPECT_TRUE(is_new());
  EXPECT_FALSE(gap);
  EXPECT_TRUE(no_leaks(*pair));
}

// RFC 4478 2: the limit goes on to the IKE SA that a rekey makes.
TEST_F(ReauthenticationTest, ARekeyDoesNotPutItOff) {
  start({}, minutes(10));
  for (const bool by_a : {true, false}) {
    pair->advance(minutes(2));
    Host& who = pair->host(by_a);
    pair->command(who, RekeyIkeSa{who.ike_sa().ike_sa});
    pair->settle();
    ASSERT_TRUE(in_step(*pair));
  }
  spi = pair->a.ike_sa().spi_i;
  pair->advance(minutes(6));
  EXPECT_TRUE(is_new());
  EXPECT_FALSE(gap);
}

TEST_F(ReauthenticationTest, OnCommandAndDuringARekey) {
  start({}, {});
  const model::IkeSaId id = pair->a.ike_sa().ike_sa;
  pair->command(pair->b, RekeyIkeSa{pair->b.ike_sa().ike_sa});
  pair->command(pair->a, Reauthenticate{id});
  pair->advance(seconds(10));
  EXPECT_TRUE(is_new());
  EXPECT_FALSE(gap);
  // As responder there is nothing to do.
  spi = pair->a.ike_sa().spi_i;
  pair->command(pair->b, Reauthenticate{pair->b.ike_sa().ike_sa});
  pair->advance(seconds(10));
  EXPECT_FALSE(is_new());
}

TEST_F(ReauthenticationTest, UnderLoss) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    pair = std::make_unique<Pair>(seed);
    gap = false;
    start({}, minutes(10));
    SeededRandom chance(seed);
    pair->fate = [&](const Datagram&) {
      return chance.below(10) == 0 ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
    pair->advance(minutes(9) + seconds(59));
    pair->fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
    pair->advance(minutes(1));
    EXPECT_TRUE(is_new()) << "seed " << seed;
    EXPECT_FALSE(gap) << "seed " << seed;
    EXPECT_TRUE(no_leaks(*pair)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace culvert::ike::v2
