// Hosts whose addresses change while the tunnel carries traffic (RFC 4555), with either side as initiator and either
// side moving.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Roles {
  Side initiator;
  Side mover;
  net::Family outer = net::Family::v4;
};

class Moves : public ::testing::TestWithParam<Roles> {
 protected:
  Moves() : options(two_hosts()) {
    options.log = true;
    options.outer = GetParam().outer;
    for (const Side side : {Side::alice, Side::bob}) {
      model::ConnectionConfig& connection = options.connections[index_of(side)];
      connection.start = side == GetParam().initiator ? model::StartMode::automatic : model::StartMode::on_demand;
      connection.liveness_interval = seconds(5);
    }
  }
  Side mover() const { return GetParam().mover; }

  void set_up() {
    world = std::make_unique<World>(options);
    world->start(other(GetParam().initiator));
    world->start(GetParam().initiator);
    ASSERT_TRUE(world->run_until([&] { return world->settled(); }, seconds(20))) << why();
    for (const Side side : {Side::alice, Side::bob}) {
      spi[index_of(side)] = world->child(side).spi_inbound;
      ike_spi[index_of(side)] = world->ike_sa(side).sa.spi_i;
    }
  }
  void traffic(bool on) {
    for (const Side side : {Side::alice, Side::bob})
      world->set_traffic(side, on ? std::optional(Traffic{milliseconds(5), 100}) : std::nullopt);
  }
  /// Both ends are where they should be, on the SAs that they had; no packet goes lost from now on.
  void expect_moved(const net::IpAddress& to, Duration limit = seconds(15)) {
    const auto there = [&] {
      return world->ike_sa(mover()).sa.path.local.address == to &&
             world->ike_sa(other(mover())).sa.path.remote.address == to;
    };
    EXPECT_TRUE(world->run_until(there, limit)) << why();
    ASSERT_TRUE(world->run_for(seconds(2))) << why();
    std::array<std::size_t, 2> first{};
    for (const Side side : {Side::alice, Side::bob}) first[index_of(side)] = world->ledger().count(side);
    ASSERT_TRUE(world->run_for(seconds(3))) << why();
    traffic(false);
    ASSERT_TRUE(world->run_for(seconds(8))) << why();
    for (const Side side : {Side::alice, Side::bob}) {
      const Ledger::Totals totals = world->ledger().totals(side, first[index_of(side)]);
      EXPECT_GT(totals.made, 0u);
      EXPECT_EQ(totals.delivered, totals.made) << "from " << name_of(side) << why();
      EXPECT_EQ(world->child(side).spi_inbound, spi[index_of(side)]) << why();
      EXPECT_EQ(world->ike_sa(side).sa.spi_i, ike_spi[index_of(side)]) << why();
    }
    EXPECT_FALSE(world->log().failed()) << why();
    traffic(true);
  }
  std::string why() const { return "\n" + world->report(120) + world->amiss().value_or("all is well") + "\n"; }

  WorldOptions options;
  std::unique_ptr<World> world;
  std::array<model::Spi, 2> spi;
  std::array<model::IkeSpi, 2> ike_spi;
};

TEST_P(Moves, AnotherAddressInPlaceOfTheOldOne) {
  set_up();
  traffic(true);
  ASSERT_TRUE(world->run_for(seconds(2)));
  for (const unsigned place : {1U, 2U, 0U}) {
    const auto to = world->outer_address(mover(), place);
    world->host(mover()).set_addresses({to});
    expect_moved(to);
  }
}

TEST_P(Moves, ABetterAddressIsTakenWithoutLoss) {
  set_up();
  const bool chooses = mover() == GetParam().initiator;
  const auto home = world->outer_address(mover());
  const auto better = world->outer_address(mover(), 1);
  traffic(true);
  ASSERT_TRUE(world->run_for(seconds(2)));
  std::array<std::size_t, 2> first{};
  for (const Side side : {Side::alice, Side::bob}) first[index_of(side)] = world->ledger().count(side);
  // While it leads nowhere, nothing changes.
  world->network().set_dead(better, true);
  world->host(mover()).set_addresses({better, home});
  ASSERT_TRUE(world->run_for(seconds(10))) << why();
  EXPECT_EQ(world->ike_sa(mover()).sa.path.local.address, home);
  world->network().set_dead(better, false);
  world->host(mover()).set_addresses({better, home});
  // The responder of the first IKE SA leaves the choice to the other (RFC 4555 3.5).
  expect_moved(chooses ? better : home);
  for (const Side side : {Side::alice, Side::bob}) {
    const Ledger::Totals totals = world->ledger().totals(side, first[index_of(side)]);
    EXPECT_GE(totals.delivered + 2, totals.made) << "from " << name_of(side) << why();
  }
}

TEST_P(Moves, APathThatDiesIsLeftForAnother) {
  set_up();
  const auto home = world->outer_address(mover());
  const auto second = world->outer_address(mover(), 1);
  world->host(mover()).set_addresses({home, second});
  traffic(true);
  ASSERT_TRUE(world->run_for(seconds(3))) << why();
  world->network().set_dead(home, true);
  expect_moved(second, seconds(30));
}

TEST_P(Moves, UnderLossAndReordering) {
  for (LinkConditions& link : options.links) {
    link.loss_ppm = 200'000;
    link.jitter = milliseconds(60);
    link.duplicate_ppm = 50'000;
  }
  set_up();
  traffic(true);
  for (const unsigned place : {1U, 2U, 1U, 0U}) {
    world->host(mover()).set_addresses({world->outer_address(mover(), place)});
    ASSERT_TRUE(world->run_for(milliseconds(400 * place))) << why();
  }
  const auto home = world->outer_address(mover());
  const auto there = [&] {
    return world->ike_sa(mover()).sa.path.local.address == home &&
           world->ike_sa(other(mover())).sa.path.remote.address == home;
  };
  ASSERT_TRUE(world->run_until(there, seconds(60))) << why();
  for (const Side side : {Side::alice, Side::bob}) {
    world->network().conditions(side) = LinkConditions{};
  }
  expect_moved(home, seconds(60));
}

TEST_P(Moves, WithoutMobikeANewIkeSaTakesTheOldOnesPlace) {
  if (mover() != GetParam().initiator) GTEST_SKIP() << "the other side would have to be told of the new address";
  options.connections[index_of(other(mover()))].mobike = false;
  // The one who moves is unknown by address to the other.
  options.peer_kinds[index_of(other(mover()))] = config::PeerKind::any;
  set_up();
  EXPECT_FALSE(world->ike_sa(mover()).sa.mobike);
  world->host(mover()).set_addresses({world->outer_address(mover(), 1)});
  const auto anew = [&] { return world->settled() && world->child(mover()).spi_inbound != spi[index_of(mover())]; };
  EXPECT_TRUE(world->run_until(anew, seconds(10))) << why();
}

INSTANTIATE_TEST_SUITE_P(BothRoles, Moves,
                         ::testing::Values(Roles{Side::alice, Side::alice}, Roles{Side::alice, Side::bob},
                                           Roles{Side::bob, Side::alice}, Roles{Side::bob, Side::bob},
                                           Roles{Side::alice, Side::alice, net::Family::v6}),
                         [](const auto& test) {
                           return fmt::format("{}Began{}Moves{}", name_of(test.param.initiator),
                                              name_of(test.param.mover),
                                              test.param.outer == net::Family::v6 ? "V6" : "");
                         });

}  // namespace
}  // namespace culvert::sim
