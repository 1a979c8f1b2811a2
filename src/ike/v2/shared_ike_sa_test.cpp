// Several connections with one peer in one IKE SA (RFC 7296 1.3): who shares, who does not, and what happens when one
// of them goes, fails or is refused.
#include "ike/v2/shared_ike_sa.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/secrets.hpp"
#include "ike/v2/testing/shared_ike_sa.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using std::chrono::seconds;
using ::testing::HasSubstr;

TEST_F(SharedIkeSaTest, TheSecondIsMadeInTheIkeSaOfTheFirst) {
  both_up();
  for (Host* host : {&pair.a, &pair.b}) EXPECT_TRUE(host->failures.empty());
  begin(kSecond);
  pair.settle();
  EXPECT_TRUE(stand({kConnection, kSecond}, 1)) << "it is up already";
}

TEST_F(SharedIkeSaTest, WhatBeginsMeanwhileWaitsForTheFirst) {
  configure_two();
  configure(pair, further_of(true, kThird), further_of(false, kThird));
  for (const auto one : {kConnection, kSecond, kThird}) begin(one);
  pair.settle();
  EXPECT_TRUE(stand({kConnection, kSecond, kThird}, 1));
}

TEST_F(SharedIkeSaTest, AlsoOverAnIkeSaThatThePeerBegan) {
  configure_two();
  begin(kConnection);
  pair.settle();
  begin(kSecond, false);
  pair.settle();
  EXPECT_TRUE(stand({kConnection, kSecond}, 1));
}

TEST_F(SharedIkeSaTest, WhatIsNotTheSameStandsApart) {
  using Change = void (*)(model::ConnectionConfig&);
  for (const Change change :
       {Change([](auto& c) { c.credential_group = 2; }), Change([](auto& c) { c.credential_group = 0; }),
        Change([](auto& c) { c.share_ike_sa = false; }), Change([](auto& c) { c.ike_lifetime = seconds(77); }),
        Change([](auto& c) { c.life.reauthentication = seconds(77); }),
        Change([](auto& c) { c.local_address = address_of(true); })}) {
    Pair apart;
    configure(apart, first_of(true), first_of(false));
    auto second = further_of(true, kSecond);
    change(second);
    configure(apart, second, further_of(false, kSecond));
    for (const auto one : {kConnection, kSecond})
      apart.command(apart.a, Initiate{.connection = one, .path = path_from(true)});
    apart.settle();
    EXPECT_EQ(apart.a.ike_sas.size(), 2U);
    EXPECT_EQ(apart.b.ike_sas.size(), 2U);
    EXPECT_EQ(apart.b.children.size(), 2U);
  }
}

// As responder: what another secret is for is not had with this one.
TEST_F(SharedIkeSaTest, ThePeerGetsNothingThatItHasNotProvedItselfFor) {
  configure_two();
  auto other = further_of(false, kSecond);
  other.credential_group = 2;
  pair.command(pair.b, ConfigureConnection{other});
  pair.b.secrets[kSecond] = to_bytes(as_bytes("quite another secret"));
  begin(kConnection);
  pair.settle();
  begin(kSecond);
  pair.settle();
  EXPECT_EQ(up_at(pair.b), std::multiset<model::ConnectionId>{kConnection});
  EXPECT_EQ(pair.b.ike_sas.size(), 1U);
  EXPECT_THAT(pair.b.failures.front().detail, HasSubstr("connection 'to-a-too' has them"));
  ASSERT_FALSE(pair.a.failures.empty());
  EXPECT_EQ(pair.a.failures.back().connection, kSecond);
  EXPECT_EQ(pair.a.failures.back().kind, FailureKind::authentication_failed) << "in an IKE SA of its own, at last";
}

// What was proved by the credentials of before is no proof by those of now, at either end.
TEST_F(SharedIkeSaTest, NewCredentialsAreProvedInAnIkeSaOfTheirOwn) {
  for (const bool at_a : {true, false}) {
    Pair renewed;
    for (const auto id : {kConnection, kSecond}) {
      if (id == kConnection)
        configure(renewed, first_of(true), first_of(false));
      else
        configure(renewed, further_of(true, id), further_of(false, id));
    }
    renewed.command(renewed.a, Initiate{.connection = kConnection, .path = path_from(true)});
    renewed.settle();
    ASSERT_EQ(renewed.b.ike_sas.size(), 1U);
    for (const bool rekeyed : {true, false}) {
      if (rekeyed) renewed.command(renewed.a, RekeyIkeSa{renewed.a.ike_sa().ike_sa});
      renewed.settle();
    }
    for (auto config : {first_of(at_a), further_of(at_a, kSecond)}) {
      config.credential_group = 7;
      renewed.command(renewed.host(at_a), ConfigureConnection{config});
    }
    renewed.command(renewed.a, Initiate{.connection = kSecond, .path = path_from(true)});
    renewed.settle();
    EXPECT_EQ(renewed.a.ike_sas.size(), 2U) << at_a;
    EXPECT_EQ(renewed.b.children.size(), 2U) << at_a;
  }
}

// RFC 5723: a tunnel that takes no tickets is not had by the ticket of another.
TEST_F(SharedIkeSaTest, ATunnelWithoutTicketsStandsApartFromOneWith) {
  auto home = first_of(false);
  home.life.resumption = std::chrono::hours(1);
  configure(pair, first_of(true), home);
  configure(pair, further_of(true, kSecond), further_of(false, kSecond));
  begin(kConnection);
  pair.settle();
  begin(kSecond);
  pair.settle();
  EXPECT_TRUE(stand({kConnection, kSecond}, 2));
}

// The ticket goes with the IKE SA, whosever that is when it ends.
TEST_F(SharedIkeSaTest, TheTicketOfAnIkeSaThatWasPassedOnIsNotShown) {
  auto secrets = std::make_shared<EndpointSecrets>();
  secrets->ticket_keys.push_back({.id = {1}, .made = 0, .key = SecretBytes(32)});
  pair.command(pair.b, UseSecrets{.secrets = std::move(secrets), .calendar = 1'000'000});
  for (const bool first : {true, false}) {
    auto one = first_of(first);
    auto two = further_of(first, kSecond);
    for (auto* config : {&one, &two}) {
      config->life.resumption = std::chrono::hours(1);
      pair.command(pair.host(first), ConfigureConnection{*config});
      pair.host(first).secrets[config->id] = to_bytes(as_bytes("a shared secret"));
    }
  }
  for (const auto one : {kConnection, kSecond}) {
    begin(one);
    pair.settle();
  }
  ASSERT_TRUE(stand({kConnection, kSecond}, 1));
  ASSERT_EQ(pair.b.endpoint().counters().tickets, 1U);
  for (const auto one : {kConnection, kSecond}) {
    pair.command(pair.a, Terminate{one});
    pair.settle();
  }
  ASSERT_TRUE(pair.a.ike_sas.empty());
  const auto sent = pair.wire.size();
  begin(kConnection);
  EXPECT_EQ(codec::parse_header(pair.wire.at(sent).message)->exchange, model::ExchangeType::ike_sa_init);
  pair.settle();
}

// A peer that takes it there alone gets an IKE SA for it, and is not asked again and again.
TEST_F(SharedIkeSaTest, WhoIsRefusedThereSetsUpItsOwn) {
  configure(pair, first_of(true), first_of(false));
  auto apart = further_of(false, kSecond);
  apart.share_ike_sa = false;
  configure(pair, further_of(true, kSecond), apart);
  begin(kConnection);
  begin(kSecond);
  pair.settle();
  EXPECT_TRUE(stand({kConnection, kSecond}, 2));
  EXPECT_TRUE(pair.a.failures.empty());
  EXPECT_TRUE(pair.a.logged("'to-b-too' gets an IKE SA of its own"));
  pair.command(pair.a, Terminate{kSecond});
  pair.settle();
  const auto sent = pair.wire.size();
  begin(kSecond);
  EXPECT_EQ(codec::parse_header(pair.wire.at(sent).message)->exchange, model::ExchangeType::ike_sa_init);
  pair.settle();
  EXPECT_TRUE(stand({kConnection, kSecond}, 2));
}

TEST_F(SharedIkeSaTest, TheGuestGoesAndTheFirstStays) {
  both_up();
  pair.command(pair.a, Terminate{kSecond});
  pair.settle();
  EXPECT_TRUE(stand({kConnection}, 1));
  begin(kSecond);
  pair.settle();
  EXPECT_TRUE(stand({kConnection, kSecond}, 1));
}

TEST_F(SharedIkeSaTest, TheFirstGoesAndTheIkeSaIsPassedOn) {
  both_up();
  const auto spi = pair.a.ike_sa().spi_i;
  pair.command(pair.a, RemoveConnection{kConnection});
  pair.settle();
  EXPECT_TRUE(stand({kSecond}, 1));
  EXPECT_EQ(pair.a.ike_sa().spi_i, spi);
  EXPECT_EQ(pair.a.ike_sa().connection, kSecond);
  // It lives on as the other's.
  pair.command(pair.a, RekeyIkeSa{pair.a.ike_sa().ike_sa});
  pair.settle();
  EXPECT_TRUE(stand({kSecond}, 1));
  EXPECT_NE(pair.a.ike_sa().spi_i, spi);
  pair.command(pair.a, Terminate{kSecond});
  pair.settle();
  EXPECT_TRUE(stand({}, 0));
}

// However long the peer takes to answer: no packet of theirs passes any more.
TEST_F(SharedIkeSaTest, WhatGoesEndsAtOnce) {
  for (const auto& [gone, stays] : {std::pair(kConnection, kSecond), std::pair(kSecond, kConnection)}) {
    for (const bool removed : {true, false}) {
      Pair one;
      configure(one, first_of(true), first_of(false));
      configure(one, further_of(true, kSecond), further_of(false, kSecond));
      for (const auto connection : {kConnection, kSecond})
        one.command(one.a, Initiate{.connection = connection, .path = path_from(true)});
      one.settle();
      ASSERT_EQ(one.b.children.size(), 2U);
      // A rekey of it is under way, and may yet come to its end.
      one.command(one.a, RekeyChildSa{child_of(one.a, gone)});
      if (removed) {
        one.command(one.a, RemoveConnection{gone});
      } else {
        one.command(one.a, Terminate{gone});
      }
      EXPECT_EQ(up_at(one.a), std::multiset<model::ConnectionId>{stays}) << removed;
      one.advance(Pair::kLatency);
      one.fate = [](const Datagram&) { return std::vector<Duration>(); };
      one.advance(seconds(1));
      EXPECT_EQ(up_at(one.a), std::multiset<model::ConnectionId>{stays}) << removed;
      one.fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
      one.advance(seconds(10));
      EXPECT_EQ(up_at(one.a), std::multiset<model::ConnectionId>{stays}) << removed;
      EXPECT_EQ(up_at(one.b), std::multiset<model::ConnectionId>{stays}) << removed;
      EXPECT_TRUE(no_leaks(one));
    }
  }
}

TEST_F(SharedIkeSaTest, RekeysKeepEachPairWithItsConnection) {
  both_up();
  for (Host* host : {&pair.a, &pair.b}) {
    pair.command(*host, RekeyChildSa{child_of(*host, kSecond)});
    pair.settle();
    pair.command(*host, RekeyIkeSa{host->ike_sa().ike_sa});
    pair.settle();
    pair.command(*host, RekeyChildSa{child_of(*host, kSecond)});
    pair.settle();
    EXPECT_TRUE(stand({kConnection, kSecond}, 1)) << host->name;
  }
  pair.command(pair.a, Terminate{kSecond});
  pair.settle();
  EXPECT_TRUE(stand({kConnection}, 1));
}

// What is wanted no more when the answer comes goes at once.
TEST_F(SharedIkeSaTest, GoneBeforeItCame) {
  configure_two();
  begin(kConnection);
  pair.settle();
  begin(kSecond);
  pair.command(pair.a, Terminate{kSecond});
  pair.settle();
  EXPECT_TRUE(stand({kConnection}, 1));
  // And while the IKE SA is on its way.
  pair.command(pair.a, Terminate{kConnection});
  pair.settle();
  begin(kConnection);
  begin(kSecond);
  pair.command(pair.a, Terminate{kSecond});
  pair.settle();
  EXPECT_TRUE(stand({kConnection}, 1));
}

// The first is taken down before it stands: who waited for it begins by itself.
TEST_F(SharedIkeSaTest, WhoWaitedForOneThatIsTakenDownBegins) {
  for (const int steps : {0, 1, 2, 3}) {
    Pair one(static_cast<std::uint64_t>(steps) + 1);
    configure(one, first_of(true), first_of(false));
    configure(one, further_of(true, kSecond), further_of(false, kSecond));
    one.command(one.a, Initiate{.connection = kConnection, .path = path_from(true)});
    one.command(one.a, Initiate{.connection = kSecond, .path = path_from(true)});
    one.advance(steps * Pair::kLatency);
    one.command(one.a, Terminate{kConnection});
    one.advance(seconds(5));
    EXPECT_EQ(up_at(one.a), std::multiset<model::ConnectionId>{kSecond}) << steps;
    EXPECT_EQ(up_at(one.b), std::multiset<model::ConnectionId>{kSecond}) << steps;
    EXPECT_EQ(one.a.ike_sas.size(), 1U) << steps;
    EXPECT_TRUE(no_leaks(one));
  }
}

// One failure for all of them: the next would meet the same.
TEST_F(SharedIkeSaTest, WhoWaitedHearsWhyTheFirstFailed) {
  configure_two();
  pair.fate = [](const Datagram&) { return std::vector<Duration>(); };
  begin(kConnection);
  begin(kSecond);
  pair.advance(std::chrono::minutes(3));
  ASSERT_EQ(pair.a.failures.size(), 2U);
  EXPECT_EQ(pair.a.failures[0].connection, kConnection);
  EXPECT_EQ(pair.a.failures[1].connection, kSecond);
  EXPECT_EQ(pair.a.failures[1].kind, FailureKind::no_answer);
}

TEST_F(SharedIkeSaTest, WhenThePeerIsDeadBothAreGone) {
  both_up();
  pair.fate = [](const Datagram&) { return std::vector<Duration>(); };
  pair.advance(std::chrono::minutes(5));
  EXPECT_TRUE(stand({}, 0));
  for (const ChildSaRemoved& one : pair.a.removed) EXPECT_EQ(one.reason, CloseReason::peer_dead);
}

// RFC 4478: all of them move to the IKE SA that takes the place of the old one, before that goes.
TEST_F(SharedIkeSaTest, ANewProofTakesTheGuestsAlong) {
  both_up();
  const auto spi = pair.a.ike_sa().spi_i;
  pair.command(pair.a, Reauthenticate{pair.a.ike_sa().ike_sa});
  bool gap = false;
  for (int i = 0; i < 100; ++i) {
    pair.advance(std::chrono::milliseconds(50));
    for (Host* host : {&pair.a, &pair.b})
      gap = gap || !up_at(*host).contains(kSecond) || !up_at(*host).contains(kConnection);
  }
  EXPECT_FALSE(gap);
  EXPECT_TRUE(stand({kConnection, kSecond}, 1));
  EXPECT_NE(pair.a.ike_sa().spi_i, spi);
}

TEST_F(SharedIkeSaTest, AtShutdownNothingBeginsAnew) {
  configure_two();
  begin(kConnection);
  begin(kSecond);
  pair.command(pair.a, Shutdown{});
  const auto sent = pair.wire.size();
  pair.advance(seconds(60));
  for (std::size_t n = sent; n < pair.wire.size(); ++n) EXPECT_FALSE(pair.wire[n].from_a);
}

// Both ends begin at once, each with another: whatever comes of it, each has one pair that is in use.
TEST_F(SharedIkeSaTest, BothBeginAtOnceWithAnother) {
  for (std::uint64_t seed = 1; seed < 40; ++seed) {
    Pair one(seed);
    SeededRandom random(seed);
    configure(one, first_of(true), first_of(false));
    configure(one, further_of(true, kSecond), further_of(false, kSecond));
    one.fate = [&random](const Datagram&) {
      if (random.below(5) == 0) return std::vector<Duration>();
      return std::vector<Duration>{Duration(random.below(200'000'000))};
    };
    for (const auto connection : {kConnection, kSecond}) {
      one.command(one.a, Initiate{.connection = connection, .path = path_from(true)});
      const auto theirs = connection == kConnection ? kSecond : kConnection;
      one.command(one.b, Initiate{.connection = theirs, .path = path_from(false)});
    }
    one.advance(std::chrono::minutes(2));
    const std::multiset<model::ConnectionId> wanted{kConnection, kSecond};
    EXPECT_EQ(up_at(one.a), wanted) << seed;
    EXPECT_EQ(up_at(one.b), wanted) << seed;
    EXPECT_TRUE(no_leaks(one)) << seed;
  }
}

}  // namespace
}  // namespace culvert::ike::v2
