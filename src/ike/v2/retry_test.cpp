// What a refused negotiation leaves behind (RFC 7296 2.25).
#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using std::chrono::minutes;
using std::chrono::seconds;

// TEMPORARY_FAILURE closes an IKE SA only if it goes on for minutes, not if there were two collisions long apart.
TEST(Retry, TemporaryFailuresOfDifferentNegotiationsDoNotAddUp) {  // RFC 7296 2.25
  Pair pair;
  bring_up(pair);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(in_step(pair)) << round;
    // b deletes the pair that a rekeys, and its DELETE is lost at first: a hears TEMPORARY_FAILURE.
    bool lost = false;
    pair.fate = [&](const Datagram& d) {
      const bool first_delete = !lost && !d.from_a && !d.header().response;
      lost = lost || first_delete;
      return first_delete ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
    pair.command(pair.b, DeleteChildSa{pair.b.child().id});
    pair.command(pair.a, RekeyChildSa{pair.a.child().id});
    pair.advance(seconds(10));
    ASSERT_TRUE(pair.a.children.empty());
    initiate(pair, false);
    pair.advance(minutes(6));
  }
  EXPECT_TRUE(pair.a.closed.empty());
  EXPECT_TRUE(in_step(pair));
}

TEST(Retry, TheSpiOfAPairThatTheAnswerSpoiltIsGivenBackHoweverItEnds) {
  Pair pair;
  bring_up(pair);
  pair.command(pair.a, DeleteChildSa{pair.a.child().id});
  pair.settle();
  // b answers with tunnel mode, so that a must delete what b believes to have.
  auto config = config_of(true);
  config.mode = model::Mode::transport;
  pair.command(pair.a, ConfigureConnection{config});
  initiate(pair);
  // Another request comes before that DELETE, and the end of the IKE SA before both.
  pair.command(pair.a, RekeyIkeSa{pair.a.ike_sa().ike_sa});
  ASSERT_TRUE(pair.run_until([&] { return !pair.a.failures.empty(); }));
  pair.command(pair.a, Terminate{kConnection});
  pair.advance(minutes(3));
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  EXPECT_TRUE(no_leaks(pair));
}

}  // namespace
}  // namespace culvert::ike::v2
