// Failover in a cluster (RFC 6311) with whole hosts and traffic: a member takes over what the one before had, and does
// not know how far that was. IKE agrees on numbers anew, and ESP skips what may have been used; no packet comes twice,
// none is taken for a replay, and none is lost but by the network.
#include <cstdint>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// The seed, and the side of the cluster: either has begun the IKE SA.
class CounterSync : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  static constexpr std::uint32_t kRequests = 5;
  static constexpr std::uint64_t kPackets = 1000;

  CounterSync() : options_(two_hosts()), cluster_(GetParam() % 2 == 0 ? Side::alice : Side::bob) {
    options_.seed = GetParam();
    options_.log = true;
    for (model::ConnectionConfig& config : options_.connections) config.replay_window = 64;
  }
  void make() {
    world_.emplace(options_);
    world_->monitor().allow_failovers();
    world_->start(Side::bob);
    world_->start(Side::alice);
    ASSERT_TRUE(world_->run_until([&] { return world_->settled(); }, seconds(60))) << why();
    for (const Side side : {Side::alice, Side::bob}) world_->set_traffic(side, Traffic{milliseconds(20), 100});
    ASSERT_TRUE(world_->run_for(seconds(5))) << why();
  }
  void fail_over() {
    world_->host(cluster_).ike_command(ike::TakeOver{world_->ike_sa(cluster_).sa.ike_sa, kRequests, kPackets});
  }
  void conditions(const LinkConditions& wanted) {
    for (const Side side : {Side::alice, Side::bob}) world_->network().conditions(side) = wanted;
  }
  void end_traffic() {
    for (const Side side : {Side::alice, Side::bob}) world_->set_traffic(side, std::nullopt);
    ASSERT_TRUE(world_->run_for(seconds(2))) << why();
  }
  void expect_nothing_lost() {
    end_traffic();
    for (const Side side : {Side::alice, Side::bob}) {
      const Ledger::Totals totals = world_->ledger().totals(side);
      EXPECT_EQ(totals.lost_by_us, 0U) << why();
      EXPECT_EQ(totals.never_sent, 0U) << why();
      EXPECT_GT(totals.delivered, 100U);
    }
  }
  [[nodiscard]] std::uint64_t sequence(Side side) {
    return world_->host(side).data_plane().counters(world_->child(side).id)->outbound_sequence;
  }
  [[nodiscard]] std::string why() const {
    return "\n" + world_->report(120) + world_->amiss().value_or("all is well") + "\n";
  }

  WorldOptions options_;
  Side cluster_;
  std::optional<World> world_;
};

// RFC 6311 5.1, 5.2: both ends' packets go on, with numbers that nobody has used.
TEST_P(CounterSync, TrafficGoesOn) {
  make();
  const std::uint64_t before[] = {sequence(Side::alice), sequence(Side::bob)};
  fail_over();
  ASSERT_TRUE(world_->run_for(seconds(10))) << why();
  EXPECT_TRUE(world_->settled()) << why();
  EXPECT_GT(sequence(cluster_), before[index_of(cluster_)] + kPackets) << why();
  EXPECT_GT(sequence(other(cluster_)), before[index_of(other(cluster_))] + kPackets) << why();
  expect_nothing_lost();
}

// And so do later exchanges, by either end, under the new numbers.
TEST_P(CounterSync, RekeysGoOn) {
  make();
  fail_over();
  ASSERT_TRUE(world_->run_for(seconds(5))) << why();
  for (const Side side : {cluster_, other(cluster_), cluster_}) {
    const auto ike_sa = world_->ike_sa(side).sa.spi_i;
    const auto child = world_->child(side).spi_outbound;
    world_->host(side).rekey(true, true);
    ASSERT_TRUE(world_->run_for(seconds(15))) << why();
    ASSERT_TRUE(world_->settled()) << why();
    EXPECT_NE(world_->ike_sa(side).sa.spi_i, ike_sa);
    EXPECT_NE(world_->child(side).spi_outbound, child);
    fail_over();
    ASSERT_TRUE(world_->run_for(seconds(5))) << why();
  }
  expect_nothing_lost();
}

// RFC 6311 7: one failover after the other while messages of them get lost, come twice and overtake each other. The
// replay window is wider than what is skipped: what was under way is still taken.
TEST_P(CounterSync, UnderLoss) {
  for (model::ConnectionConfig& config : options_.connections) config.replay_window = 8192;
  make();
  SeededRandom random(GetParam());
  conditions({.loss_ppm = 200'000, .duplicate_ppm = 100'000, .jitter = milliseconds(40)});
  for (int times = 0; times < 6; ++times) {
    fail_over();
    ASSERT_TRUE(world_->run_for(milliseconds(100 + random.below(6000)))) << why();
  }
  conditions({});
  ASSERT_TRUE(world_->run_until([&] { return world_->settled(); }, seconds(60))) << why();
  ASSERT_TRUE(world_->run_for(seconds(10))) << why();
  EXPECT_TRUE(world_->settled()) << why();
  end_traffic();
  for (const Side side : {Side::alice, Side::bob}) {
    const Ledger::Totals totals = world_->ledger().totals(side);
    EXPECT_EQ(totals.lost_by_us, 0U) << why();
    EXPECT_GT(totals.lost_by_network, 0U);
  }
}

// RFC 6311 5: a peer that does not know it is asked nothing of the kind; what was not old goes on.
TEST_P(CounterSync, APeerThatDoesNotKnowIt) {
  options_.connections[index_of(other(cluster_))].counter_sync = false;
  make();
  fail_over();
  ASSERT_TRUE(world_->run_for(seconds(10))) << why();
  EXPECT_TRUE(world_->settled()) << why();
  expect_nothing_lost();
}

INSTANTIATE_TEST_SUITE_P(Seeds, CounterSync, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace culvert::sim
