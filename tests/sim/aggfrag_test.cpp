// AGGFRAG (RFC 9347) in whole hosts: USE_AGGFRAG is agreed on by either initiator and kept through rekeys by either
// end, and what is packed and cut comes out whole, in every way of sending, on networks that lose, repeat and reorder,
// and through a NAT that forgets its mapping.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct Way {
  const char* name;
  Side initiator;
  model::Aggfrag alice;
  model::Aggfrag bob;
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

class SimAggfrag : public ::testing::TestWithParam<Way> {
 protected:
  SimAggfrag() : options(two_hosts()) {
    options.log = true;
    options.seed = 9347;
    for (const Side side : {Side::alice, Side::bob}) {
      model::ConnectionConfig& connection = options.connections[index_of(side)];
      connection.start = side == GetParam().initiator ? model::StartMode::automatic : model::StartMode::manual;
      connection.treatment.aggfrag = side == Side::alice ? GetParam().alice : GetParam().bob;
    }
  }
  void start() {
    world = std::make_unique<World>(options);
    world->start(other(GetParam().initiator));
    world->start(GetParam().initiator);
    ASSERT_TRUE(world->run_until([&] { return world->settled(); }, minutes(2))) << why();
    expect_agreed();
  }
  /// The pairs of both ends are in AGGFRAG mode, those just made included.
  void expect_agreed() {
    for (const Side side : {Side::alice, Side::bob})
      EXPECT_TRUE(world->monitor().all_aggfrag(side)) << name_of(side) << why();
  }
  void begin_traffic(Duration distance = milliseconds(20), std::size_t largest = 1000) {
    for (const Side side : {Side::alice, Side::bob}) {
      first[index_of(side)] = world->ledger().count(side);
      world->set_traffic(side, Traffic{distance, largest});
    }
  }
  Ledger::Totals end_traffic(Side side) {
    for (const Side each : {Side::alice, Side::bob}) world->set_traffic(each, std::nullopt);
    EXPECT_TRUE(world->run_for(seconds(8))) << why();
    return world->ledger().totals(side, first[index_of(side)]);
  }
  void expect_everything() {
    for (const Side side : {Side::alice, Side::bob}) {
      const Ledger::Totals totals = end_traffic(side);
      EXPECT_GT(totals.made, 50U);
      EXPECT_EQ(totals.delivered, totals.made) << "from " << name_of(side) << why();
    }
  }
  void conditions(const LinkConditions& wanted) {
    for (const Side side : {Side::alice, Side::bob}) world->network().conditions(side) = wanted;
  }
  std::string why() const { return "\n" + world->report(120) + world->amiss().value_or("all is well") + "\n"; }

  WorldOptions options;
  std::unique_ptr<World> world;
  std::array<std::size_t, 2> first{};
};

TEST_P(SimAggfrag, EverythingComesOutWhole) {  // RFC 9347 2.2
  start();
  begin_traffic();
  ASSERT_TRUE(world->run_for(seconds(10))) << why();
  expect_everything();
  EXPECT_TRUE(world->settled()) << why();
}

// RFC 9347 2.2.3: copies are one packet, and those that overtake each other within the window wait.
TEST_P(SimAggfrag, AlsoWhenItComesTwiceAndOutOfOrder) {
  start();
  conditions({.duplicate_ppm = 200'000, .late_ppm = 100'000, .late_by = milliseconds(12)});
  begin_traffic();
  ASSERT_TRUE(world->run_for(seconds(20))) << why();
  expect_everything();
}

TEST_P(SimAggfrag, RekeysByEitherEndKeepIt) {  // RFC 9347 5.1
  start();
  begin_traffic();
  for (const Side side : {Side::alice, Side::bob}) {
    for (const bool ike : {false, true}) {
      const auto spi = world->child(side).spi_inbound;
      const auto ike_spi = world->ike_sa(side).sa.spi_i;
      world->host(side).rekey(ike, !ike);
      ASSERT_TRUE(world->run_for(seconds(12))) << why();
      ASSERT_TRUE(world->settled()) << why();
      EXPECT_NE(ike ? world->ike_sa(side).sa.spi_i == ike_spi : world->child(side).spi_inbound == spi, true);
      expect_agreed();
    }
  }
  expect_everything();
}

// What is lost takes with it what was begun in the packet before, and no more: the rest goes on, unchanged.
TEST_P(SimAggfrag, LossCostsWhatWasInIt) {
  start();
  conditions({.loss_ppm = 50'000, .duplicate_ppm = 50'000, .jitter = milliseconds(15)});
  begin_traffic();
  ASSERT_TRUE(world->run_for(minutes(1))) << why();
  world->host(Side::alice).rekey(true, true);
  world->host(Side::bob).rekey(false, true);
  ASSERT_TRUE(world->run_for(minutes(1))) << why();
  for (const Side side : {Side::alice, Side::bob}) {
    const Ledger::Totals totals = end_traffic(side);
    EXPECT_LT(totals.delivered, totals.made);
    EXPECT_GT(totals.delivered * 100, totals.made * 70) << "from " << name_of(side) << why();
  }
  conditions({});
  begin_traffic();
  ASSERT_TRUE(world->run_for(seconds(10))) << why();
  expect_everything();
  ASSERT_TRUE(world->run_until([&] { return world->settled(); }, minutes(1))) << why();
}

TEST_P(SimAggfrag, ANewMappingOfTheNatIsFollowed) {  // RFC 7296 2.23
  const Side inside = GetParam().initiator;
  options.nat = inside;
  options.peer_kinds[index_of(other(inside))] = config::PeerKind::any;
  start();
  for (const char* address : {"203.0.113.1", "203.0.113.77", "203.0.113.1"}) {
    world->network().nat(inside)->rebind(*net::IpAddress::parse(address));
    world->send_one(inside);
    ASSERT_TRUE(world->run_for(seconds(5))) << why();
    begin_traffic();
    ASSERT_TRUE(world->run_for(seconds(5))) << why();
    expect_everything();
    expect_agreed();
  }
}

// An end that is to hide what it sends is not content with a peer that does not know it (RFC 9347 5.1).
TEST_P(SimAggfrag, WithoutItAtOneEndThereIsNoChildSa) {
  for (const Side lacks : {Side::alice, Side::bob}) {
    WorldOptions lacking = options;
    lacking.connections[index_of(lacks)].treatment.aggfrag.reset();
    world = std::make_unique<World>(lacking);
    world->start_both();
    ASSERT_TRUE(world->run_for(minutes(1))) << why();
    // What the other end may have for a moment, as responder, is deleted at once.
    EXPECT_NE(world->host(other(lacks)).view().state, control::TunnelState::up) << why();
    EXPECT_EQ(world->host(other(lacks)).data_plane().sa_count(), 0U) << why();
    const InnerId lost = world->send_one(other(lacks));
    ASSERT_TRUE(world->run_for(seconds(5))) << why();
    EXPECT_FALSE(world->ledger().was_delivered(lost)) << why();
  }
}

const model::Aggfrag kOnDemand{};
const model::Aggfrag kHeld{.packet_size = 1000, .hold = milliseconds(5)};
const model::Aggfrag kConstant{.packet_size = 1200, .rate = 200'000};
const model::Aggfrag kFollowing{.rate = 200'000, .congestion_control = true};
const model::Aggfrag kWhole{.dont_fragment = true};

INSTANTIATE_TEST_SUITE_P(Ways, SimAggfrag,
                         ::testing::Values(Way{"OnDemand", Side::alice, kOnDemand, kOnDemand},
                                           Way{"HeldAndConstant", Side::alice, kHeld, kConstant},
                                           Way{"ConstantAndHeld", Side::bob, kHeld, kConstant},
                                           Way{"BothConstant", Side::bob, kConstant, kConstant},
                                           Way{"CongestionControl", Side::alice, kFollowing, kOnDemand},
                                           Way{"Uncut", Side::bob, kWhole, kOnDemand}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace culvert::sim
