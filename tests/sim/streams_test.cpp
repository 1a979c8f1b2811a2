// IKE and ESP in TCP (RFC 9329) between whole hosts: always, for want of UDP, and back; over networks that lose, and
// that break connections. Each with either host as the one who calls.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/sim/counted_traffic.hpp"
#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kUser = "carol";

class OverStreams : public ::testing::TestWithParam<Side> {
 protected:
  OverStreams() : options(two_hosts()) {
    options.log = true;
    use(model::TcpPolicy::fallback);
    options.connections[index_of(caller())].start = model::StartMode::automatic;
    options.connections[index_of(called())].start = model::StartMode::manual;
  }
  static Side caller() { return GetParam(); }
  static Side called() { return other(GetParam()); }
  void use(model::TcpPolicy policy) { options.connections[index_of(caller())].tcp = policy; }
  void set_links(std::uint32_t loss_ppm) {
    for (LinkConditions& link : options.links) {
      link.loss_ppm = loss_ppm;
      link.duplicate_ppm = 50'000;
      link.jitter = milliseconds(40);
    }
  }
  void start() {
    world = std::make_unique<World>(options);
    world->start(called());
    world->start(caller());
  }
  void block_udp(bool blocked) {
    if (!blocked) return world->network().set_filter(nullptr);
    world->network().set_filter([](Side, const Packet&) { return true; });
  }
  bool over(net::Transport transport) {
    if (!world->settled()) return false;
    return std::ranges::all_of(std::array{Side::alice, Side::bob},
                               [&](Side side) { return world->ike_sa(side).sa.path.remote.transport == transport; });
  }
  [[nodiscard]] bool becomes(net::Transport transport, Duration limit) {
    return world->run_until([&] { return over(transport); }, limit);
  }
  bool carries() {
    const InnerId there = world->send_one(Side::alice);
    const InnerId back = world->send_one(Side::bob);
    return world->run_until([&] { return world->ledger().was_delivered(there) && world->ledger().was_delivered(back); },
                            seconds(3));
  }
  void begin_traffic() { first = sim::begin_traffic(*world, Traffic{milliseconds(20), 100}); }
  void expect_nothing_lost() { sim::expect_nothing_lost(*world, first); }
  std::string why() const { return "\n" + world->report(120) + world->amiss().value_or("all is well") + "\n"; }

  WorldOptions options;
  std::unique_ptr<World> world;
  FirstPackets first{};
};
INSTANTIATE_TEST_SUITE_P(CalledBy, OverStreams, ::testing::Values(Side::alice, Side::bob),
                         [](const auto& by) { return name_of(by.param); });

TEST_P(OverStreams, AlwaysAndEveryRekeyOfEitherSideUnderLoss) {
  use(model::TcpPolicy::always);
  set_links(150'000);
  start();
  ASSERT_TRUE(becomes(net::Transport::tcp, minutes(1))) << why();
  begin_traffic();
  for (int round = 0; round < 3; ++round) {
    for (const Side side : {Side::alice, Side::bob}) {
      world->host(side).rekey(false, true);
      ASSERT_TRUE(world->run_for(seconds(4))) << why();
      world->host(side).rekey(true, false);
      ASSERT_TRUE(world->run_for(seconds(4))) << why();
    }
  }
  expect_nothing_lost();
  ASSERT_TRUE(becomes(net::Transport::tcp, minutes(1))) << why();
  EXPECT_EQ(world->streams().open_streams(), 1u) << "all IKE SAs of one line go over one";
  world->host(caller()).down();
  ASSERT_TRUE(world->run_for(seconds(20))) << why();
  EXPECT_EQ(world->streams().open_streams(), 0u);
}

TEST_P(OverStreams, ANewTunnelFallsBack) {  // RFC 9329 5.1
  start();
  block_udp(true);
  const Instant begun = world->queue().now();
  ASSERT_TRUE(becomes(net::Transport::tcp, seconds(30))) << why();
  EXPECT_LT(world->queue().now() - begun, seconds(5));
  EXPECT_TRUE(carries()) << why();
}

TEST_P(OverStreams, AStandingTunnelFallsBackAndReturns) {
  start();
  ASSERT_TRUE(becomes(net::Transport::udp, seconds(10))) << why();
  for (int round = 0; round < 3; ++round) {
    begin_traffic();
    block_udp(true);
    const Instant blocked = world->queue().now();
    ASSERT_TRUE(world->run_until([&] { return carries(); }, seconds(30), milliseconds(100))) << why();
    EXPECT_LT(world->queue().now() - blocked, seconds(5)) << why();
    ASSERT_TRUE(becomes(net::Transport::tcp, minutes(3))) << why();
    begin_traffic();
    block_udp(false);
    const Instant open = world->queue().now();
    ASSERT_TRUE(becomes(net::Transport::udp, minutes(3))) << why();
    EXPECT_LT(world->queue().now() - open, minutes(1));
    // Nothing of what was sent since UDP lives is lost by the change.
    expect_nothing_lost();
  }
  ASSERT_TRUE(world->run_for(seconds(20))) << why();
  EXPECT_EQ(world->streams().open_streams(), 0u);
  EXPECT_TRUE(over(net::Transport::udp)) << why();
}

// RFC 9329 6.1: the SAs outlive the connection.
TEST_P(OverStreams, AMiddleboxResetsTheConnection) {
  use(model::TcpPolicy::always);
  start();
  ASSERT_TRUE(becomes(net::Transport::tcp, seconds(10))) << why();
  const model::Spi spi = world->child(caller()).spi_inbound;
  begin_traffic();
  for (unsigned round = 1; round <= 4; ++round) {
    world->streams().reset_all();
    ASSERT_TRUE(world->run_for(seconds(2))) << why();
    EXPECT_TRUE(carries()) << why();
    EXPECT_EQ(world->streams().connections(), 1 + round);
  }
  expect_nothing_lost();
  EXPECT_EQ(world->child(caller()).spi_inbound, spi) << why();
}

TEST_P(OverStreams, AMiddleboxResetsItInEveryMoment) {
  use(model::TcpPolicy::always);
  set_links(50'000);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    options.seed = seed;
    start();
    SeededRandom random(seed);
    for (int round = 0; round < 25; ++round) {
      ASSERT_TRUE(world->run_for(milliseconds(1 + random.below(700)))) << why();
      const Side side = random.below(2) == 0 ? Side::alice : Side::bob;
      if (round % 3 == 0) world->host(side).rekey(random.below(2) == 0, random.below(2) == 0);
      ASSERT_TRUE(world->run_for(milliseconds(random.below(60)))) << why();
      world->streams().reset_all();
    }
    ASSERT_TRUE(becomes(net::Transport::tcp, minutes(3))) << seed << why();
    // A request that was sent in bad times holds others up until it is repeated.
    ASSERT_TRUE(world->run_for(minutes(1))) << seed << why();
    ASSERT_TRUE(becomes(net::Transport::tcp, minutes(1))) << seed << why();
    begin_traffic();
    ASSERT_TRUE(world->run_for(seconds(5))) << why();
    expect_nothing_lost();
  }
}

TEST_P(OverStreams, NothingOfTcpPassesForAWhile) {
  use(model::TcpPolicy::always);
  start();
  ASSERT_TRUE(becomes(net::Transport::tcp, seconds(10))) << why();
  for (const Duration silence : {Duration(seconds(2)), Duration(seconds(25)), Duration(minutes(4))}) {
    world->streams().set_blocked(true);
    begin_traffic();
    ASSERT_TRUE(world->run_for(silence)) << why();
    world->streams().set_blocked(false);
    ASSERT_TRUE(becomes(net::Transport::tcp, minutes(3))) << why();
    ASSERT_TRUE(world->run_for(minutes(1))) << why();
    EXPECT_TRUE(carries()) << why();
  }
}

TEST_P(OverStreams, EitherHostCrashes) {
  use(model::TcpPolicy::always);
  for (const Side side : {caller(), called()}) {
    start();
    ASSERT_TRUE(becomes(net::Transport::tcp, seconds(10))) << why();
    for (int round = 0; round < 3; ++round) {
      world->host(side).crash();
      ASSERT_TRUE(world->run_for(milliseconds(200 + 1000 * round))) << why();
      world->start(side);
      ASSERT_TRUE(world->run_until(
          [&] {
            for (const Side each : {Side::alice, Side::bob}) world->send_one(each);  // who is silent notices later
            return over(net::Transport::tcp) && carries();
          },
          minutes(5), seconds(1)))
          << why();
    }
  }
}

// Where TCP works and UDP comes and goes, some transport carries the tunnel, and in the end it is UDP.
TEST_P(OverStreams, UdpComesAndGoes) {
  set_links(20'000);
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    options.seed = seed;
    start();
    SeededRandom random(seed);
    for (int round = 0; round < 12; ++round) {
      block_udp(random.below(2) == 0);
      ASSERT_TRUE(world->run_for(milliseconds(random.below(25'000)))) << why();
      if (random.below(3) == 0) world->streams().reset_all();
      if (random.below(4) == 0) world->host(random.below(2) == 0 ? Side::alice : Side::bob).rekey(true, true);
    }
    block_udp(false);
    for (const Side side : {Side::alice, Side::bob}) world->network().conditions(side).loss_ppm = 0;
    ASSERT_TRUE(becomes(net::Transport::udp, minutes(4))) << seed << why();
    ASSERT_TRUE(world->run_for(minutes(2))) << seed << why();
    EXPECT_TRUE(over(net::Transport::udp)) << seed << why();
    EXPECT_EQ(world->streams().open_streams(), 0u) << seed << why();
    EXPECT_TRUE(carries()) << seed << why();
  }
}

TEST_P(OverStreams, FromBehindANatThatForgets) {
  options.nat = caller();
  options.peer_kinds[index_of(called())] = config::PeerKind::any;
  use(model::TcpPolicy::always);
  start();
  ASSERT_TRUE(becomes(net::Transport::tcp, seconds(10))) << why();
  EXPECT_TRUE(carries()) << why();
  world->network().nat(caller())->rebind();
  world->send_one(caller());
  // TCP's own patience has to end first.
  ASSERT_TRUE(world->run_until([&] { return carries(); }, minutes(2), seconds(1))) << why();
  EXPECT_TRUE(over(net::Transport::tcp)) << why();
}

// The address that the client was given goes with it from UDP to TCP and back (RFC 7296 2.19), without a second lease.
TEST_P(OverStreams, AClientKeepsTheAddressThatItWasGiven) {
  model::ConnectionConfig& client = options.connections[index_of(caller())];
  client.local_id = model::Identity::parse("client@example.org");
  client.request_addresses = {net::Family::v4};
  client.local = {model::TrafficSelector::of(net::AddressRange::all(net::Family::v4))};
  model::ConnectionConfig& gateway = options.connections[index_of(called())];
  gateway.remote_id.reset();
  gateway.remote_pattern = model::IdentityPattern::parse("*@example.org");
  gateway.pools = {"staff"};
  const bool alice = caller() == Side::alice;
  const char* own = alice ? "10.1.0.1" : "10.2.0.1";
  client.remote = gateway.local = {*model::TrafficSelector::parse(alice ? "10.2.0.0/16" : "10.1.0.0/16")};
  gateway.remote = {*model::TrafficSelector::parse(own)};
  options.peer_kinds[index_of(called())] = config::PeerKind::any;
  config::PoolConfig pool;
  pool.name = "staff";
  pool.ranges = {*net::AddressRange::parse(own)};  // one: a second lease could not be had
  options.pools[index_of(called())] = {pool};
  start();
  const auto has_it = [&] {
    const auto given = world->host(caller()).view().given.addresses;
    return given.size() == 1 && given == world->ike_sa(called()).leased;
  };
  ASSERT_TRUE(becomes(net::Transport::udp, seconds(10))) << why();
  EXPECT_TRUE(has_it()) << why();
  for (int round = 0; round < 3; ++round) {
    begin_traffic();
    block_udp(true);
    ASSERT_TRUE(becomes(net::Transport::tcp, minutes(3))) << why();
    EXPECT_TRUE(has_it()) << why();
    begin_traffic();
    block_udp(false);
    ASSERT_TRUE(becomes(net::Transport::udp, minutes(3))) << why();
    EXPECT_TRUE(has_it()) << why();
    expect_nothing_lost();
  }
}

TEST_P(OverStreams, WhoProvesItselfByEapFallsBackToo) {  // RFC 7296 2.16
  set_links(30'000);
  options.connections[index_of(caller())].eap =
      model::EapSettings{.client = true, .methods = {model::EapType::mschapv2}, .identity = kUser};
  options.connections[index_of(called())].eap =
      model::EapSettings{.client = false, .methods = {model::EapType::mschapv2}, .identity = {}};
  options.users[kUser] = "a pass phrase";
  start();
  ASSERT_TRUE(becomes(net::Transport::udp, minutes(1))) << why();
  EXPECT_EQ(world->ike_sa(called()).sa.admission.eap_identity(), kUser);
  for (int round = 0; round < 2; ++round) {
    begin_traffic();  // who is silent notices later
    block_udp(true);
    ASSERT_TRUE(becomes(net::Transport::tcp, minutes(3))) << why();
    EXPECT_EQ(world->ike_sa(called()).sa.admission.eap_identity(), kUser);
    EXPECT_TRUE(carries()) << why();
    block_udp(false);
    ASSERT_TRUE(becomes(net::Transport::udp, minutes(3))) << why();
  }
}

}  // namespace
}  // namespace culvert::sim
