// Large IKE messages over a path that drops fragments of IP: they come through in fragments of their own, and only so
// (RFC 7383).
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Fragmentation : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  Fragmentation() : options_(two_hosts()) {
    options_.seed = GetParam();
    options_.log = true;
    // As much as chains of certificates are.
    const model::Identity alice{model::IdentificationType::key_id, Bytes(4000, 'a')};
    const model::Identity bob{model::IdentificationType::key_id, Bytes(5000, 'b')};
    options_.connections[0].local_id = options_.connections[1].remote_id = alice;
    options_.connections[1].local_id = options_.connections[0].remote_id = bob;
    for (LinkConditions& link : options_.links) {
      link.mtu = 900;
      link.drops_fragments = true;
    }
  }
  void make() {
    world_.emplace(options_);
    world_->start_both();
  }

  WorldOptions options_;
  std::optional<World> world_;
};

TEST_P(Fragmentation, LargeMessagesComeThrough) {
  make();
  ASSERT_TRUE(world_->run_until([&] { return world_->settled(); }, seconds(15))) << world_->report();
  EXPECT_GT(world_->monitor().fragments(), 20U);
  const InnerId there = world_->send_one(Side::alice);
  ASSERT_TRUE(world_->run_for(seconds(1))) << world_->report();
  EXPECT_TRUE(world_->ledger().was_delivered(there)) << world_->report();
}

TEST_P(Fragmentation, AlsoUnderLossRepetitionAndDisorder) {
  for (LinkConditions& link : options_.links) {
    link.loss_ppm = 150'000;
    link.duplicate_ppm = 100'000;
    link.jitter = milliseconds(100);
    link.late_ppm = 50'000;
    link.late_by = seconds(3);
  }
  for (model::ConnectionConfig& connection : options_.connections) connection.ike_lifetime = minutes(2);
  make();
  for (const Side side : {Side::alice, Side::bob}) world_->set_traffic(side, Traffic{});
  ASSERT_TRUE(world_->run_for(minutes(20))) << world_->report();
  for (const Side side : {Side::alice, Side::bob}) world_->network().conditions(side).loss_ppm = 0;
  ASSERT_TRUE(world_->run_until([&] { return world_->settled(); }, minutes(3))) << world_->report();
}

TEST_P(Fragmentation, WithoutItNothingDoes) {
  options_.connections[GetParam() % 2].ike_fragmentation = model::IkeFragmentation::off;
  make();
  EXPECT_FALSE(world_->run_until([&] { return world_->settled(); }, minutes(3))) << world_->report();
  EXPECT_EQ(world_->monitor().fragments(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Fragmentation, ::testing::Range<std::uint64_t>(1, 13));

}  // namespace
}  // namespace culvert::sim
