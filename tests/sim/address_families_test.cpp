// Clients that ask for addresses of one family or both, of gateways that have one or both (RFC 8983 5): what is given,
// what is said of the other family, and that the client does not ask in vain, whatever the network does and however
// often its NAT forgets it. Either host is the gateway.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using net::Family;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct Families {
  Side client;
  bool asks_v4;
  bool asks_v6;
  bool has_v4;
  bool has_v6;
  [[nodiscard]] bool given_v4() const { return asks_v4 && has_v4; }
  [[nodiscard]] bool given_v6() const { return asks_v6 && has_v6; }
  [[nodiscard]] bool any() const { return given_v4() || given_v6(); }
};
std::string name_of_families(const Families& one) {
  const auto words = [](bool v4, bool v6) { return v4 && v6 ? "Both" : v4 ? "V4" : "V6"; };
  return fmt::format("{}Asks{}OfOneWith{}", name_of(one.client), words(one.asks_v4, one.asks_v6),
                     words(one.has_v4, one.has_v6));
}
void PrintTo(const Families& one, std::ostream* out) { *out << name_of_families(one); }

class SimFamilies : public ::testing::TestWithParam<Families> {
 protected:
  SimFamilies() : options(two_hosts()) {
    options.log = true;
    options.seed = 8983;
    // The simulator's packets are of one family, with alice's or bob's one address in it.
    options.inner = GetParam().given_v4() ? Family::v4 : Family::v6;
    const bool alice = client() == Side::alice;
    model::ConnectionConfig& asks = options.connections[index_of(client())];
    model::ConnectionConfig& gives = options.connections[index_of(gateway())];
    asks.start = model::StartMode::automatic;
    gives.start = model::StartMode::manual;
    asks.local_id = model::Identity::parse("carol@example.org");
    gives.remote_id.reset();
    gives.remote_pattern = model::IdentityPattern::parse("*@example.org");
    gives.pools.clear();
    asks.local.clear();
    gives.remote.clear();
    const auto take = [&](Family family, bool asked, bool had, const char* address) {
      if (asked) asks.request_addresses.push_back(family);
      if (asked) asks.local.push_back(model::TrafficSelector::of(net::AddressRange::all(family)));
      if (!had) return;
      gives.remote.push_back(*model::TrafficSelector::parse(address));
      config::PoolConfig pool;
      pool.name = family == Family::v4 ? "four" : "six";
      pool.ranges = {*net::AddressRange::parse(address)};
      gives.pools.push_back(pool.name);
      options.pools[index_of(gateway())].push_back(pool);
    };
    take(Family::v4, GetParam().asks_v4, GetParam().has_v4, alice ? "10.1.0.1" : "10.2.0.1");
    take(Family::v6, GetParam().asks_v6, GetParam().has_v6, alice ? "2001:db8:1::1" : "2001:db8:2::1");
    options.peer_kinds[index_of(gateway())] = config::PeerKind::any;
  }
  static Side client() { return GetParam().client; }
  static Side gateway() { return other(GetParam().client); }

  void lose() {
    for (LinkConditions& link : options.links) {
      link.loss_ppm = 150'000;
      link.duplicate_ppm = 100'000;
      link.jitter = milliseconds(60);
    }
  }
  void start() {
    world = std::make_unique<World>(options);
    world->start(gateway());
    world->start(client());
  }
  /// The client has what it asked for as far as there is any of it, and both ends say the same.
  [[nodiscard]] bool stands() const {
    if (!world->settled()) return false;
    const auto given = world->host(client()).view().given.addresses;
    const auto has = [&](Family family) {
      return std::ranges::any_of(given, [&](const net::IpAddress& one) { return one.family() == family; });
    };
    return has(Family::v4) == GetParam().given_v4() && has(Family::v6) == GetParam().given_v6() &&
           given == world->ike_sa(gateway()).leased;
  }
  void expect_outcome() {
    if (GetParam().any()) {
      ASSERT_TRUE(world->run_until([&] { return stands(); }, minutes(3))) << why();
      return;
    }
    // RFC 8983 5: the other family is all that there is, and the client says so.
    const auto told = [&] {
      const auto failure = world->host(client()).view().last_failure;
      return failure && failure->kind == "no_address" &&
             failure->message.find(GetParam().has_v4 ? "IPv4 only" : "IPv6 only") != std::string::npos;
    };
    EXPECT_TRUE(world->run_until(told, minutes(3))) << why();
    EXPECT_NE(world->host(client()).view().state, control::TunnelState::up);
  }
  void expect_traffic() {
    if (!GetParam().any()) return;
    for (const Side side : {Side::alice, Side::bob}) world->network().conditions(side).loss_ppm = 0;
    const InnerId there = world->send_one(client());
    ASSERT_TRUE(world->run_for(seconds(2))) << why();
    const InnerId back = world->send_one(gateway());
    ASSERT_TRUE(world->run_for(seconds(2))) << why();
    EXPECT_TRUE(world->ledger().was_delivered(there)) << why();
    EXPECT_TRUE(world->ledger().was_delivered(back)) << why();
  }
  std::string why() const {
    const auto failure = world->host(client()).view().last_failure;
    return "\n" + world->report(120) + world->amiss().value_or("all is well") + "\n" +
           (failure ? failure->kind + ": " + failure->message : "no failure") + "\n";
  }

  WorldOptions options;
  std::unique_ptr<World> world;
};

TEST_P(SimFamilies, WhatThereIsIsGiven) {
  start();
  expect_outcome();
  expect_traffic();
}

TEST_P(SimFamilies, UnderLossRepetitionAndDisorder) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    options.seed = seed;
    lose();
    start();
    expect_outcome();
    expect_traffic();
  }
}

// Before the message with each number, as long as there is one.
TEST_P(SimFamilies, ThroughANatThatForgets) {
  options.nat = client();
  std::size_t sent = 100;
  for (std::size_t message = 1; message < sent && message < 12 && !HasFailure(); ++message) {
    start();
    sent = 0;
    world->network().set_filter([&](Side, const Packet& packet) {
      if (wire_view(packet, packet.source.port).kind != WireKind::ike || ++sent != message) return false;
      world->network().nat(client())->rebind(*net::IpAddress::parse("203.0.113.77"));
      return false;
    });
    expect_outcome();
    world->network().set_filter({});
    expect_traffic();
  }
}

// RFC 7296 2.19: the addresses are the client's for as long as it has an IKE SA, whoever rekeys it, or proves itself
// anew (RFC 4478).
TEST_P(SimFamilies, TheyStayThroughRekeysAndNewProofs) {
  if (!GetParam().any())
    GTEST_SKIP() << "this row of the table gives the client no address at all, so there is none to keep through rekeys";
  options.connections[index_of(gateway())].life.reauthentication = minutes(5);
  start();
  expect_outcome();
  if (HasFatalFailure()) return;
  const auto given = world->host(client()).view().given.addresses;
  for (const Side side : {Side::alice, Side::bob}) {
    world->host(side).rekey(true, true);
    ASSERT_TRUE(world->run_for(minutes(6))) << why();
    ASSERT_TRUE(world->run_until([&] { return stands(); }, minutes(1))) << why();
    EXPECT_EQ(world->host(client()).view().given.addresses, given);
    expect_traffic();
  }
}

std::vector<Families> every() {
  std::vector<Families> all;
  for (const Side client : {Side::alice, Side::bob}) {
    for (const int asks : {1, 2, 3}) {
      for (const int has : {1, 2, 3})
        all.push_back({client, (asks & 1) != 0, (asks & 2) != 0, (has & 1) != 0, (has & 2) != 0});
    }
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Table, SimFamilies, ::testing::ValuesIn(every()),
                         [](const auto& test) { return name_of_families(test.param); });

}  // namespace
}  // namespace culvert::sim
