// Several workers at each end, and a Child SA for each of them beside the one for all (RFC 9611), over networks that
// lose, repeat and reorder. No packet is lost that the network did not lose, whatever becomes of them.
#include <algorithm>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/counted_traffic.hpp"
#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint32_t kWorkers = 4;

struct Case {
  const char* name;
  Side actor;
  std::uint32_t loss_ppm;
  std::uint32_t duplicate_ppm;
  Duration jitter;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class SimResourceSas : public ::testing::TestWithParam<Case> {
 protected:
  SimResourceSas() : options(two_hosts()) {
    options.log = true;
    options.seed = 5;
    for (const Side side : {Side::alice, Side::bob}) {
      options.ike[index_of(side)].resources = kWorkers;
      options.connections[index_of(side)].resource_sas = 2 * kWorkers;
      options.connections[index_of(side)].start = model::StartMode::automatic;
      // A tunnel lost for want of patience would be seen as lost packets.
      options.connections[index_of(side)].liveness_interval = seconds(60);
      options.ike[index_of(side)].retransmit_tries = 12;
      options.ike[index_of(side)].retransmit_factor = 1.3;
      LinkConditions& link = options.links[index_of(side)];
      link.loss_ppm = GetParam().loss_ppm;
      link.duplicate_ppm = GetParam().duplicate_ppm;
      link.jitter = GetParam().jitter;
    }
    // Who begins; both at once is a test of its own.
    options.connections[index_of(peer())].start = model::StartMode::on_demand;
  }

  Side actor() const { return GetParam().actor; }
  Side peer() const { return other(GetParam().actor); }

  void start() {
    world = std::make_unique<World>(options);
    world->start(peer());
    world->start(actor());
    ASSERT_TRUE(world->run_until([&] { return world->settled(); }, seconds(60))) << why();
    begin_traffic();
  }
  void begin_traffic() {
    for (const Side side : {Side::alice, Side::bob}) {
      first[index_of(side)] = world->ledger().count(side);
      world->set_traffic(side, Traffic{milliseconds(10), 100});
    }
  }
  std::vector<control::ChildSaView> children(Side side) const {
    const auto view = world->host(side).view();
    return view.ike_sas.size() == 1 ? view.ike_sas[0].children : std::vector<control::ChildSaView>{};
  }
  std::set<std::uint32_t> served(Side side) const {
    std::set<std::uint32_t> workers;
    for (const control::ChildSaView& child : children(side)) {
      if (child.resource) workers.insert(*child.resource);
    }
    return workers;
  }
  bool all_served() const {
    return world->settled() && served(Side::alice).size() == kWorkers && served(Side::bob).size() == kWorkers;
  }
  void expect_all_served(Duration limit = seconds(60)) {
    EXPECT_TRUE(world->run_until([&] { return all_served(); }, limit)) << why();
    EXPECT_FALSE(world->log().failed()) << why();
  }
  void expect_nothing_lost() { sim::expect_nothing_lost(*world, first, 101); }
  std::set<model::Spi> spis(Side side) const {
    std::set<model::Spi> all;
    for (const control::ChildSaView& child : children(side)) all.insert(child.spi_inbound);
    return all;
  }
  bool all_new(const std::set<model::Spi>& old) const {
    return std::ranges::none_of(spis(actor()), [&](model::Spi spi) { return old.contains(spi); });
  }
  std::string why() const { return "\n" + world->report(150) + world->amiss().value_or("all is well") + "\n"; }

  WorldOptions options;
  std::unique_ptr<World> world;
  FirstPackets first{};
};

TEST_P(SimResourceSas, EachWorkerGetsItsOwnAndNothingIsLost) {
  start();
  expect_all_served();
  const auto requests = world->monitor().requests()[2];
  ASSERT_TRUE(world->run_for(seconds(20))) << why();
  EXPECT_EQ(world->monitor().requests()[2], requests) << "nobody asks for more" << why();
  expect_nothing_lost();
}

TEST_P(SimResourceSas, APeerThatTakesFewIsAskedForNoMore) {  // RFC 9611 5.2
  options.connections[index_of(peer())].resource_sas = 2;
  start();
  ASSERT_TRUE(world->run_until([&] { return children(actor()).size() == 3; }, seconds(30))) << why();
  ASSERT_TRUE(world->run_for(seconds(10))) << why();
  EXPECT_TRUE(world->settled()) << why();
  const auto requests = world->monitor().requests()[2];
  ASSERT_TRUE(world->run_for(seconds(60))) << why();
  EXPECT_EQ(world->monitor().requests()[2], requests) << "TS_MAX_QUEUE is believed" << why();
  EXPECT_EQ(children(actor()).size(), 3u) << why();
  EXPECT_FALSE(world->host(actor()).view().last_failure);
  expect_nothing_lost();
}

TEST_P(SimResourceSas, APeerThatTakesNoneHasTheOneForAll) {
  options.connections[index_of(peer())].resource_sas = 0;
  start();
  ASSERT_TRUE(world->run_for(seconds(20))) << why();
  EXPECT_EQ(children(actor()).size(), 1u) << why();
  EXPECT_EQ(world->monitor().requests()[2], 0u) << "nor is it asked for others";
  expect_nothing_lost();
}

TEST_P(SimResourceSas, AllAreRekeyedAndKeepTheirWorkers) {
  start();
  expect_all_served();
  const auto count = children(actor()).size();
  const auto old = spis(actor());
  world->host(actor()).rekey(false, true);
  EXPECT_TRUE(world->run_until([&] { return all_new(old) && all_served(); }, minutes(3))) << why();
  EXPECT_EQ(children(actor()).size(), count) << why();
  // The new ones carry traffic by themselves, too, when nothing comes over the old ones any more.
  ASSERT_TRUE(world->run_for(seconds(5))) << why();
  EXPECT_EQ(children(actor()).size(), count) << why();
  expect_nothing_lost();
}

TEST_P(SimResourceSas, RekeysOfAllCross) {  // RFC 7296 2.8.1
  start();
  expect_all_served();
  const auto count = children(actor()).size();
  for (int round = 0; round < 3; ++round) {
    const auto old = spis(actor());
    world->host(actor()).rekey(false, true);
    world->host(peer()).rekey(false, true);
    EXPECT_TRUE(world->run_until([&] { return all_new(old) && all_served(); }, minutes(5))) << round << why();
    // By now those that lost are deleted, too.
    ASSERT_TRUE(world->run_for(seconds(10))) << why();
    EXPECT_TRUE(all_served()) << round << why();
    EXPECT_EQ(children(actor()).size(), count) << round << why();
  }
  expect_nothing_lost();
}

TEST_P(SimResourceSas, RekeysOfTheIkeSaTakeAllAlong) {  // RFC 7296 2.18
  start();
  expect_all_served();
  const auto kept = spis(actor());
  world->host(actor()).rekey(true, false);
  world->host(peer()).rekey(true, false);
  ASSERT_TRUE(world->run_for(seconds(30))) << why();
  expect_all_served();
  EXPECT_EQ(spis(actor()), kept) << why();
  expect_nothing_lost();
}

TEST_P(SimResourceSas, BothBeginAtOnceAndOneIkeSaHasThemAll) {  // decision 004
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::automatic;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    options.seed = seed;
    world = std::make_unique<World>(options);
    world->start_both();
    begin_traffic();
    ASSERT_TRUE(world->run_for(seconds(10))) << why();
    expect_all_served(minutes(3));
  }
}

TEST_P(SimResourceSas, DeletedOnesComeBackAndNothingIsLost) {
  start();
  expect_all_served();
  for (const Side side : {actor(), peer()}) {
    for (const control::ChildSaView& child : children(side)) {
      if (child.resource) world->host(side).ike_command(ike::DeleteChildSa{child.id});
    }
    ASSERT_TRUE(world->run_for(seconds(2))) << why();
  }
  expect_all_served(minutes(3));
  expect_nothing_lost();
}

TEST_P(SimResourceSas, WithoutTheOneForAllItIsMadeAgain) {
  start();
  expect_all_served();
  for (const control::ChildSaView& child : children(actor())) {
    if (!child.resource) world->host(actor()).ike_command(ike::DeleteChildSa{child.id});
  }
  ASSERT_TRUE(world->run_for(seconds(1))) << why();
  // A worker that has lost its own finds nothing to go on over.
  for (const control::ChildSaView& child : children(actor())) {
    if (child.resource == 1u) world->host(actor()).ike_command(ike::DeleteChildSa{child.id});
  }
  ASSERT_TRUE(world->run_for(seconds(5))) << why();
  expect_nothing_lost();
}

TEST_P(SimResourceSas, ACrashedPeerIsBackWithAllOfThem) {
  start();
  expect_all_served();
  world->host(peer()).crash();
  ASSERT_TRUE(world->run_for(seconds(2))) << why();
  world->start(peer());
  world->host(peer()).up();
  expect_all_served(minutes(3));
}

TEST_P(SimResourceSas, AnOrderlyRestartBringsAllOfThemBack) {
  start();
  expect_all_served();
  world->host(actor()).shut_down();
  ASSERT_TRUE(world->run_for(seconds(1))) << why();
  world->start(actor());
  expect_all_served(minutes(3));
}

TEST_P(SimResourceSas, TheyEndAloneWhenThereIsNoTraffic) {
  for (model::ConnectionConfig& connection : options.connections) connection.child_idle = seconds(20);
  start();
  expect_all_served();
  for (const Side side : {Side::alice, Side::bob}) world->set_traffic(side, std::nullopt);
  EXPECT_TRUE(world->run_until([&] { return world->settled() && children(actor()).size() == 1; }, minutes(3))) << why();
  begin_traffic();
  expect_all_served(minutes(3));
  ASSERT_TRUE(world->run_for(seconds(3))) << why();
  expect_nothing_lost();
}

INSTANTIATE_TEST_SUITE_P(Networks, SimResourceSas,
                         ::testing::Values(Case{"AliceQuiet", Side::alice, 0, 0, {}},
                                           Case{"BobQuiet", Side::bob, 0, 0, {}},
                                           Case{"AliceLoss", Side::alice, 100'000, 0, {}},
                                           Case{"BobLoss", Side::bob, 100'000, 0, {}},
                                           Case{"AliceReordering", Side::alice, 100'000, 50'000, milliseconds(60)},
                                           Case{"BobReordering", Side::bob, 50'000, 50'000, milliseconds(60)}),
                         [](const ::testing::TestParamInfo<Case>& test) { return test.param.name; });

}  // namespace
}  // namespace culvert::sim
