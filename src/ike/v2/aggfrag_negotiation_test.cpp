// USE_AGGFRAG (RFC 9347 5.1) in every exchange that makes a Child SA.
#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;

class Aggfrag : public ::testing::TestWithParam<bool> {
 protected:
  static std::optional<model::Aggfrag> agreed(Host& host) { return host.child().treatment.aggfrag; }
};

TEST_P(Aggfrag, EachSideSendsAsItIsConfiguredAndAsTheOtherRequires) {
  Pair pair(9);
  auto a = config_of(true);
  auto b = config_of(false);
  a.treatment.aggfrag = model::Aggfrag{.packet_size = 1000};
  b.treatment.aggfrag = model::Aggfrag{.rate = 100'000, .congestion_control = true};
  configure(pair, a, b);
  initiate(pair, GetParam());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  for (int round = 0; round < 2; ++round) {  // the second time after a rekey
    ASSERT_TRUE(agreed(pair.a) && agreed(pair.b));
    EXPECT_EQ(agreed(pair.a)->packet_size, 1000);
    EXPECT_EQ(agreed(pair.a)->rate, 0U);
    EXPECT_TRUE(agreed(pair.a)->congestion_control) << "the other side follows congestion";
    EXPECT_EQ(agreed(pair.b)->packet_size, 0);
    EXPECT_EQ(agreed(pair.b)->rate, 100'000U);
    EXPECT_FALSE(agreed(pair.b)->dont_fragment);
    Host& mine = pair.host(GetParam());
    pair.command(mine, RekeyChildSa{mine.child().id});
    pair.settle();
    ASSERT_TRUE(in_step(pair));
  }
  EXPECT_TRUE(no_leaks(pair));
}

// What it is there to hide would show.
TEST_P(Aggfrag, ThereIsNoChildSaWithoutItWhereItIsConfigured) {
  Pair pair(9);
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).treatment.aggfrag = model::Aggfrag{};
  configure(pair, a, b);
  for (const bool first : {true, false}) {
    initiate(pair, first);
    pair.settle();
    EXPECT_TRUE(pair.a.children.empty() && pair.b.children.empty());
    const Host& configured = pair.host(GetParam());
    ASSERT_FALSE(configured.failures.empty());
    EXPECT_EQ(configured.failures.back().kind, FailureKind::peer_refused);
    EXPECT_NE(configured.failures.back().detail.find("AGGFRAG"), std::string::npos);
  }
  EXPECT_TRUE(no_leaks(pair));
}

INSTANTIATE_TEST_SUITE_P(BothRoles, Aggfrag, ::testing::Bool());

}  // namespace
}  // namespace culvert::ike::v2
