// Redirection (RFC 5685) between whole hosts, in each of its three places, over networks that lose: the client arrives
// at the other gateway and stays there. Bob is both gateways, the first at home, the second at his other address.
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Redirection : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  Redirection() : options(two_hosts()) {
    options.log = true;
    options.seed = GetParam();
    for (LinkConditions& link : options.links) {
      link.loss_ppm = 100'000;
      link.duplicate_ppm = 50'000;
      link.jitter = milliseconds(30);
    }
    client().life.follow_redirect = true;
    options.peer_kinds[index_of(Side::bob)] = config::PeerKind::any;
  }
  model::ConnectionConfig& client() { return options.connections[index_of(Side::alice)]; }
  model::ConnectionConfig& gateway() { return options.connections[index_of(Side::bob)]; }
  void make() {
    world.emplace(options);
    first = world->outer_address(Side::bob);
    second = world->outer_address(Side::bob, 1);
  }
  void start() {
    world->network().set_addresses(Side::bob, {first, second});
    world->start_both();
  }
  std::string second_gateway() {
    make();
    return second.to_string();
  }
  bool at(const net::IpAddress& address) {
    return world->settled() && world->ike_sa(Side::alice).sa.path.remote.address == address &&
           world->ike_sa(Side::bob).sa.path.local.address == address;
  }
  void expect_traffic() {
    for (const Side side : {Side::alice, Side::bob}) world->network().conditions(side).loss_ppm = 0;
    const InnerId there = world->send_one(Side::alice);
    const InnerId back = world->send_one(Side::bob);
    ASSERT_TRUE(world->run_for(seconds(2))) << why();
    EXPECT_TRUE(world->ledger().was_delivered(there)) << why();
    EXPECT_TRUE(world->ledger().was_delivered(back)) << why();
  }
  std::string why() const { return "\n" + world->report(120) + world->amiss().value_or("all is well") + "\n"; }

  WorldOptions options;
  std::optional<World> world;
  net::IpAddress first;
  net::IpAddress second;
};
INSTANTIATE_TEST_SUITE_P(Seeds, Redirection, ::testing::Range<std::uint64_t>(1, 13));

TEST_P(Redirection, InIkeSaInit) {  // RFC 5685 3
  gateway().life.redirect_to = second_gateway();
  make();
  start();
  ASSERT_TRUE(world->run_until([&] { return at(second); }, minutes(2))) << why();
  ASSERT_TRUE(world->run_for(minutes(1))) << why();
  EXPECT_TRUE(at(second)) << why();
  expect_traffic();
}

// The connection that is known by then sends the peer on, the one that IKE_SA_INIT was answered for does not.
TEST_P(Redirection, AtTheEndOfIkeAuth) {  // RFC 5685 6
  gateway().life.redirect_to = second_gateway();
  model::ConnectionConfig somebody = gateway();
  somebody.name = "a";  // before the other in every order
  somebody.remote_id = model::Identity::parse("somebody.else");
  somebody.life.redirect_to.clear();
  options.further[index_of(Side::bob)] = {somebody};
  make();
  start();
  ASSERT_TRUE(world->run_until([&] { return at(second); }, minutes(3))) << why();
  ASSERT_TRUE(world->run_for(minutes(1))) << why();
  EXPECT_TRUE(at(second)) << why();
  expect_traffic();
}

TEST_P(Redirection, WhileTheIkeSaStands) {  // RFC 5685 5
  make();
  start();
  ASSERT_TRUE(world->run_until([&] { return at(first); }, minutes(2))) << why();
  for (const Side side : {Side::alice, Side::bob}) {
    world->network().conditions(side).loss_ppm = GetParam() % 2 == 0 ? 0 : 100'000;
    world->set_traffic(side, Traffic{milliseconds(5), 100});
  }
  const std::array<std::size_t, 2> begin{world->ledger().count(Side::alice), world->ledger().count(Side::bob)};
  world->host(Side::bob).redirect(second.to_string());
  ASSERT_TRUE(world->run_until([&] { return at(second); }, minutes(2))) << why();
  for (const Side side : {Side::alice, Side::bob}) world->set_traffic(side, std::nullopt);
  ASSERT_TRUE(world->run_for(seconds(10))) << why();
  for (const Side side : {Side::alice, Side::bob}) {
    const Ledger::Totals totals = world->ledger().totals(side, begin[index_of(side)]);
    EXPECT_EQ(totals.delivered + totals.lost_by_network, totals.made) << "make before break" << why();
  }
  expect_traffic();
}

// A gateway that is overloaded sends elsewhere whoever asks it over TCP, too; and there TCP is all that passes.
TEST_P(Redirection, OverTcp) {  // RFC 9329, RFC 5685 3
  gateway().life.redirect_to = second_gateway();
  client().tcp = GetParam() % 2 == 0 ? model::TcpPolicy::always : model::TcpPolicy::fallback;
  make();
  world->network().set_filter([](Side, const Packet&) { return true; });
  start();
  ASSERT_TRUE(world->run_until([&] { return at(second); }, minutes(2))) << why();
  EXPECT_TRUE(world->ike_sa(Side::alice).sa.path.over_tcp());
  expect_traffic();
}

TEST_P(Redirection, WhileItStandsOverTcp) {
  client().tcp = GetParam() % 2 == 0 ? model::TcpPolicy::always : model::TcpPolicy::fallback;
  make();
  world->network().set_filter([](Side, const Packet&) { return true; });
  start();
  ASSERT_TRUE(world->run_until([&] { return at(first); }, minutes(2))) << why();
  world->host(Side::bob).redirect(second.to_string());
  ASSERT_TRUE(world->run_until([&] { return at(second); }, minutes(2))) << why();
  ASSERT_TRUE(world->run_for(seconds(20))) << why();
  EXPECT_TRUE(at(second)) << why();
  EXPECT_EQ(world->streams().open_streams(), 1u) << why();
  expect_traffic();
}

// The other gateway is not there: the client goes where its configuration says, again and again, and does not give up.
TEST_P(Redirection, ToWhereNobodyIs) {
  gateway().life.redirect_to = second_gateway();
  gateway().liveness_interval = client().liveness_interval = seconds(5);
  make();
  world->network().set_addresses(Side::bob, {first});
  world->start_both();
  ASSERT_TRUE(world->run_for(minutes(3))) << why();
  EXPECT_FALSE(at(second));
  world->network().set_addresses(Side::bob, {first, second});
  ASSERT_TRUE(world->run_until([&] { return at(second); }, minutes(10), seconds(1))) << why();
  expect_traffic();
}

}  // namespace
}  // namespace culvert::sim
