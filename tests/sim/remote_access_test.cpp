// A client that is given its address, on a network that loses and reorders: whatever happens, both ends agree on the
// address, and packets flow from it and to it (RFC 7296 2.19).
#include "tests/sim/remote_access.hpp"

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class RemoteAccess : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  RemoteAccess() : options_(two_hosts()) {
    options_.seed = GetParam();
    options_.log = true;
    give_from_pool(options_);
  }
  void make() {
    world_.emplace(options_);
    world_->start_both();
  }
  [[nodiscard]] bool stands() {
    if (!world_->settled()) return false;
    const auto given = world_->host(Side::alice).view().given.addresses;
    const auto leased = world_->ike_sa(Side::bob).leased;
    return given.size() == 1 && given == leased &&
           world_->child(Side::alice).local.front().addresses == net::AddressRange::of(given.front());
  }
  void expect_traffic() {
    const InnerId there = world_->send_one(Side::alice);
    const InnerId back = world_->send_one(Side::bob);
    ASSERT_TRUE(world_->run_for(seconds(2))) << world_->report();
    EXPECT_TRUE(world_->ledger().was_delivered(there)) << world_->report();
    EXPECT_TRUE(world_->ledger().was_delivered(back)) << world_->report();
  }
  WorldOptions options_;
  std::optional<World> world_;
};

TEST_P(RemoteAccess, AnHourOfRekeysUnderLossKeepsTheAddress) {
  for (LinkConditions& link : options_.links) {
    link.loss_ppm = 100'000;
    link.duplicate_ppm = 50'000;
    link.jitter = milliseconds(60);
  }
  for (model::ConnectionConfig& connection : options_.connections) {
    connection.ike_lifetime = minutes(7);
    connection.child_lifetime.time = minutes(2);
  }
  make();
  for (const Side side : {Side::alice, Side::bob}) world_->set_traffic(side, Traffic{});
  ASSERT_TRUE(world_->run_for(hours(1))) << world_->report();
  for (LinkConditions* link : {&world_->network().conditions(Side::alice), &world_->network().conditions(Side::bob)})
    *link = {};
  ASSERT_TRUE(world_->run_until([&] { return stands(); }, minutes(5))) << world_->report();
  for (const Side side : {Side::alice, Side::bob}) world_->set_traffic(side, std::nullopt);
  expect_traffic();
}

// The pool has one address: who comes back takes over the session that is still known.
TEST_P(RemoteAccess, AClientThatCrashedGetsItsAddressAgain) {
  make();
  ASSERT_TRUE(world_->run_until([&] { return stands(); }, minutes(1))) << world_->report();
  for (int round = 0; round < 5; ++round) {
    world_->host(Side::alice).crash();
    ASSERT_TRUE(world_->run_for(milliseconds(100 + 300 * round))) << world_->report();
    world_->start(Side::alice);
    ASSERT_TRUE(world_->run_until([&] { return stands(); }, minutes(2))) << world_->report();
    expect_traffic();
  }
}

TEST_P(RemoteAccess, AGatewayThatCrashedGivesItAgain) {
  make();
  ASSERT_TRUE(world_->run_until([&] { return stands(); }, minutes(1))) << world_->report();
  for (int round = 0; round < 5; ++round) {
    world_->host(Side::bob).crash();
    ASSERT_TRUE(world_->run_for(milliseconds(100 + 300 * round))) << world_->report();
    world_->start(Side::bob);
    ASSERT_TRUE(world_->run_until(
        [&] {
          world_->send_one(Side::alice);  // a host that is silent notices later
          return stands();
        },
        minutes(5), seconds(1)))
        << world_->report();
    expect_traffic();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RemoteAccess, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace culvert::sim
