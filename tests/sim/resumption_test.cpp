// Session resumption (RFC 5723) in whole hosts with traffic: after crashes of either end, whatever the network does.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Resumption : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  Resumption() : options_(two_hosts()) {
    options_.seed = GetParam();
    options_.log = true;
    for (model::ConnectionConfig& config : options_.connections) config.life.resumption = std::chrono::hours(1);
    for (ike::EndpointSettings& settings : options_.ike) settings.retransmit_tries = 12;
  }
  void lose(std::uint32_t ppm) {
    for (LinkConditions& link : options_.links) {
      link.loss_ppm = ppm;
      link.duplicate_ppm = ppm / 2;
      link.jitter = milliseconds(40);
    }
  }
  void set_loss(std::uint32_t ppm) {
    for (const Side side : {Side::alice, Side::bob}) world_->network().conditions(side).loss_ppm = ppm;
  }
  void make() {
    world_.emplace(options_);
    world_->start(Side::bob);
    world_->start(Side::alice);
    ASSERT_TRUE(world_->run_until([&] { return world_->settled(); }, seconds(120))) << why();
    for (const Side side : {Side::alice, Side::bob}) world_->set_traffic(side, Traffic{milliseconds(100), 100});
  }
  void crash(Side side, Duration away) {
    world_->host(side).crash();
    ASSERT_TRUE(world_->run_for(away)) << why();
    world_->start(side);
  }
  [[nodiscard]] bool settles(Duration within) {
    return world_->run_until([&] { return world_->settled(); }, within);
  }
  [[nodiscard]] bool resumed() const { return world_->ike_sa(Side::alice).sa.resumed; }
  [[nodiscard]] std::string why() const {
    return "\n" + world_->report(120) + world_->amiss().value_or("all is well") + "\n";
  }

  WorldOptions options_;
  std::optional<World> world_;
};

// RFC 5723 4.3: initiator -> IKE_SESSION_RESUME -> responder, IKE_AUTH; no key exchange.
TEST_P(Resumption, TheGatewayCrashesAndComesBack) {
  lose(GetParam() % 2 == 0 ? 0 : 100'000);
  make();
  crash(Side::bob, milliseconds(500));
  ASSERT_TRUE(settles(seconds(120))) << why();
  EXPECT_TRUE(resumed()) << why();
}

TEST_P(Resumption, AgainAndAgain) {
  lose(50'000);
  make();
  SeededRandom random(GetParam());
  for (int i = 0; i < 5; ++i) {
    crash(Side::bob, milliseconds(200 + random.below(20'000)));
    ASSERT_TRUE(settles(minutes(5))) << why();
    ASSERT_TRUE(world_->run_for(seconds(1 + static_cast<std::int64_t>(random.below(900))))) << why();
    ASSERT_TRUE(settles(minutes(2))) << why();
  }
}

// The initiator has its tickets in memory only: it sets up in full, and the gateway takes that.
TEST_P(Resumption, TheInitiatorCrashes) {
  lose(50'000);
  make();
  crash(Side::alice, seconds(1));
  ASSERT_TRUE(settles(minutes(3))) << why();
  EXPECT_FALSE(resumed());
  crash(Side::bob, seconds(1));
  ASSERT_TRUE(settles(minutes(3))) << why();
  EXPECT_TRUE(resumed()) << why();
}

// The network is away for so long that the initiator gives the peer up, while the gateway still has the old IKE SA.
TEST_P(Resumption, TheNetworkIsAway) {
  for (ike::EndpointSettings& settings : options_.ike) settings.retransmit_tries = 6;
  make();
  set_loss(1'000'000);
  ASSERT_TRUE(world_->run_for(seconds(45))) << why();
  set_loss(20'000);
  ASSERT_TRUE(settles(minutes(5))) << why();
}

INSTANTIATE_TEST_SUITE_P(Seeds, Resumption, ::testing::Range<std::uint64_t>(1, 13));

}  // namespace
}  // namespace culvert::sim
