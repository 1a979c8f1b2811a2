// Additional key exchanges behind CREATE_CHILD_SA (RFC 9370 2.2.4) with both sides at work at once.
#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "ike/v2/testing/follow_ups.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class FollowUpCollisions : public FollowUps {};
INSTANTIATE_TEST_SUITE_P(By, FollowUpCollisions, ::testing::Values(true, false),
                         [](const auto& by) { return by.param ? "a" : "b"; });

TEST_P(FollowUpCollisions, BothRekeyTheChildSa) {  // RFC 9370 2.2.4: whose exchange has the lowest nonce stops
  std::array<unsigned, 2> won{};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair crossing(seed);
    start(crossing);
    crossing.wire.clear();
    for (const bool first : {GetParam(), !GetParam()})
      crossing.command(crossing.host(first), RekeyChildSa{crossing.host(first).children.begin()->first});
    crossing.settle();
    ASSERT_TRUE(in_step(crossing)) << seed;
    EXPECT_EQ(crossing.a.children_made, 2U) << "one pair, not two of which one is deleted";
    EXPECT_EQ(count(crossing, ExchangeType::create_child_sa, false), 2U);
    EXPECT_EQ(count(crossing, ExchangeType::ike_followup_ke, false), 2U);
    const auto first = std::ranges::find_if(
        crossing.wire, [](const Datagram& one) { return one.header().exchange == ExchangeType::ike_followup_ke; });
    ++won[first->from_a ? 0 : 1];
    EXPECT_TRUE(no_leaks(crossing));
    EXPECT_TRUE(crossing.a.failures.empty() && crossing.b.failures.empty());
    crossing.advance(minutes(2));
    EXPECT_TRUE(in_step(crossing));
    EXPECT_EQ(crossing.a.children_made, 2U) << "the other's is not due any more";
  }
  EXPECT_GT(won[0], 0U);
  EXPECT_GT(won[1], 0U);
}

TEST_P(FollowUpCollisions, BothRekeyTheIkeSa) {  // RFC 9370 2.2.4
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair crossing(seed);
    start(crossing);
    crossing.wire.clear();
    for (const bool first : {GetParam(), !GetParam()})
      crossing.command(crossing.host(first), RekeyIkeSa{crossing.host(first).ike_sa().ike_sa});
    crossing.settle();
    ASSERT_TRUE(in_step(crossing)) << seed;
    EXPECT_EQ(crossing.a.closed.size(), 1U);
    EXPECT_EQ(count(crossing, ExchangeType::ike_followup_ke, false), 1U);
    EXPECT_TRUE(crossing.a.failures.empty() && crossing.b.failures.empty());
    crossing.advance(minutes(10));
    EXPECT_TRUE(in_step(crossing)) << seed;
    EXPECT_EQ(crossing.a.closed.size(), 1U);
  }
}

// RFC 9370 2.2.4: a request that is late meets a series that is under way: TEMPORARY_FAILURE.
TEST_P(FollowUpCollisions, BothRekeyAndOneRequestIsLate) {
  for (const bool whole : {true, false}) {
    lose(one(), ExchangeType::create_child_sa, false);
    // The other's series lasts until the late request has come again.
    other().postpones = [](const Request& request) {
      const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
      return exchange != nullptr && exchange->method == crypto::KeyExchangeId::ml_kem_512;
    };
    const std::size_t made = one().children_made;
    for (Host* who : {&one(), &other()}) whole ? rekey_ike(*who) : rekey_child(*who);
    pair.advance(seconds(2));
    ASSERT_FALSE(other().postponed.empty());
    EXPECT_EQ(one().children_made, made);
    other().postpones = {};
    while (!other().postponed.empty()) pair.answer_postponed(other());
    ASSERT_TRUE(quiet());
    pair.advance(minutes(1));
    EXPECT_EQ(one().children_made, made + (whole ? 0U : 1U));
  }
  EXPECT_EQ(one().closed.size(), 1U);
  expect_all_kept();
}

// One of the two rekeys has additional key exchanges, the other has none: by which side, and who wins.
TEST_P(FollowUpCollisions, BothRekeyAndOneHasNone) {
  for (const bool whole : {true, false}) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      Pair crossing(seed);
      Suites suites;
      // Whoever offers decides here: each takes both.
      suites.ike_a = suites.ike_b = {ike(kIke), ike(kIkePlain)};
      suites.esp_a = suites.esp_b = {esp(kEsp), esp(kEspPlain)};
      start(crossing, suites);
      ASSERT_TRUE(in_step(crossing));
      Host& plain = crossing.host(GetParam());
      Host& hybrid = crossing.host(!GetParam());
      auto config = config_of(GetParam());
      config.ike_proposals = {ike(kIkePlain)};
      config.esp_proposals = {esp(kEspPlain)};
      if (whole) {
        crossing.command(hybrid, RekeyIkeSa{hybrid.ike_sa().ike_sa});
      } else {
        crossing.command(hybrid, RekeyChildSa{hybrid.children.begin()->first});
      }
      // This one offers none in its own request, and takes them in the other's.
      auto both = config_of(GetParam());
      both.ike_proposals = suites.ike_a;
      both.esp_proposals = suites.esp_a;
      crossing.command(plain, ConfigureConnection{config});
      if (whole) {
        crossing.command(plain, RekeyIkeSa{plain.ike_sa().ike_sa});
      } else {
        crossing.command(plain, RekeyChildSa{plain.children.begin()->first});
      }
      crossing.command(plain, ConfigureConnection{both});
      crossing.settle();
      ASSERT_TRUE(crossing.run_until([&] { return in_step(crossing); }, minutes(2))) << seed;
      EXPECT_TRUE(no_leaks(crossing)) << seed;
      EXPECT_TRUE(crossing.a.failures.empty() && crossing.b.failures.empty()) << seed;
      crossing.advance(minutes(2));
      EXPECT_TRUE(in_step(crossing)) << seed;
      EXPECT_TRUE(no_leaks(crossing)) << seed;
    }
  }
}

// RFC 7296 2.25.2: while the IKE SA is rekeyed no Child SA is; and the other way round.
TEST_P(FollowUpCollisions, AChildSaIsRekeyedWhileThePeerRekeysTheIkeSa) {
  rekey_child(one());
  rekey_ike(other());
  pair.settle();
  pair.advance(seconds(40));
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(one().children_made, 2U);
  EXPECT_EQ(one().closed.size(), 1U);
  expect_all_kept();
}

// What would collide with the peer's series waits for its end.
TEST_P(FollowUpCollisions, OwnRekeysWaitForThePeersSeries) {
  for (const bool whole : {true, false}) {
    other().postpones = [](const Request& request) {
      const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
      return exchange != nullptr && exchange->method == crypto::KeyExchangeId::ml_kem_512;
    };
    whole ? rekey_ike(other()) : rekey_child(other());
    pair.advance(seconds(1));
    ASSERT_FALSE(other().postponed.empty());
    pair.wire.clear();
    rekey_child(one());
    if (whole) rekey_ike(one());
    pair.advance(seconds(1));
    EXPECT_EQ(count(pair, ExchangeType::create_child_sa, false), 0U) << whole;
    other().postpones = {};
    while (!other().postponed.empty()) pair.answer_postponed(other());
    pair.advance(seconds(5));
    ASSERT_TRUE(in_step(pair));
  }
  EXPECT_EQ(one().children_made, 3U)
      << "after the IKE SA; with the peer's rekey of the pair itself there was none left";
  EXPECT_EQ(one().closed.size(), 1U);
  expect_all_kept();
}

// RFC 7296 2.25.2: nor is a Child SA deleted in the middle of it, for the answer would come to the wrong IKE SA.
TEST_P(FollowUpCollisions, OwnDeletesWaitForThePeersSeries) {
  other().postpones = [](const Request& request) {
    const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
    return exchange != nullptr && exchange->method == crypto::KeyExchangeId::ml_kem_512;
  };
  rekey_ike(other());
  pair.advance(seconds(1));
  ASSERT_EQ(other().postponed.size(), 1U);
  pair.command(one(), DeleteChildSa{one().child().id});
  // The answer to a DELETE that did not wait would be lost till the IKE SA has its successor.
  pair.fate = [&](const Datagram& d) {
    return d.header().exchange == ExchangeType::informational && d.header().response && other().closed.empty()
               ? lost()
               : usual();
  };
  other().postpones = {};
  while (!other().postponed.empty()) pair.answer_postponed(other());
  pair.advance(seconds(30));
  EXPECT_TRUE(one().children.empty() && other().children.empty());
  EXPECT_EQ(one().closed.size(), 1U);
  EXPECT_EQ(one().ike_sas.size(), 1U);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(FollowUpCollisions, TheIkeSaIsDeletedMeanwhile) {  // by either side, at each step
  for (const bool by_one : {true, false}) {
    for (const bool whole : {true, false}) {
      for (const std::uint32_t after : {5, 15, 25, 35, 45}) {
        Pair fresh(after);
        start(fresh);
        Host& mine = fresh.host(GetParam());
        if (whole) {
          fresh.command(mine, RekeyIkeSa{mine.ike_sa().ike_sa});
        } else {
          fresh.command(mine, RekeyChildSa{mine.children.begin()->first});
        }
        fresh.advance(milliseconds(after));
        fresh.command(fresh.host(GetParam() == by_one), Terminate{kConnection});
        fresh.advance(seconds(30));
        EXPECT_TRUE(fresh.a.ike_sas.empty() && fresh.b.ike_sas.empty()) << whole << after;
        EXPECT_TRUE(no_leaks(fresh)) << whole << after;
        fresh.advance(minutes(10));
        EXPECT_FALSE(fresh.a.endpoint().poll_timeout() || fresh.b.endpoint().poll_timeout());
      }
    }
  }
}

TEST_P(FollowUpCollisions, TheChildSaIsDeletedMeanwhile) {
  for (const std::uint32_t after : {5, 15, 25, 35, 45}) {
    for (const bool by_one : {true, false}) {
      Pair fresh(after);
      start(fresh);
      Host& mine = fresh.host(GetParam());
      fresh.command(mine, RekeyChildSa{mine.children.begin()->first});
      fresh.advance(milliseconds(after));
      Host& deletes = fresh.host(GetParam() == by_one);
      fresh.command(deletes, DeleteChildSa{deletes.children.begin()->first});
      fresh.advance(seconds(60));
      EXPECT_EQ(fresh.a.children.size(), fresh.b.children.size()) << after << by_one;
      EXPECT_LE(fresh.a.children.size(), 1U) << after << by_one;
      EXPECT_EQ(fresh.a.ike_sas.size(), 1U);
      EXPECT_TRUE(no_leaks(fresh)) << after << by_one;
    }
  }
}

}  // namespace
}  // namespace culvert::ike::v2
