// Directed scenarios of whole hosts: set-up, crossing requests (RFC 7296 2.8 and 2.25), lost answers, lost peers, NATs.
// Each in both original roles and with either side acting.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sim/counted_traffic.hpp"
#include "tests/sim/world.hpp"

namespace culvert::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint8_t kIkeAuth = 35;
constexpr std::uint8_t kCreateChildSa = 36;
constexpr std::uint8_t kInformational = 37;

/// Who began the IKE SA, and who does what the scenario is about.
struct Roles {
  Side initiator;
  Side actor;
};
void PrintTo(const Roles& roles, std::ostream* out) {
  *out << name_of(roles.initiator) << " began, " << name_of(roles.actor) << " acts";
}

class Scenario : public ::testing::TestWithParam<Roles> {
 protected:
  Scenario() : options(two_hosts()) {
    options.log = true;
    for (const Side side : {Side::alice, Side::bob}) {
      options.connections[index_of(side)].start =
          side == GetParam().initiator ? model::StartMode::automatic : model::StartMode::on_demand;
    }
  }

  Side actor() const { return GetParam().actor; }
  Side peer() const { return other(GetParam().actor); }
  Side initiator() const { return GetParam().initiator; }

  void make() { world = std::make_unique<World>(options); }
  void set_up() {
    if (!world) make();
    world->start(other(initiator()));
    world->start(initiator());
    ASSERT_TRUE(world->run_until([&] { return world->settled(); }, seconds(20))) << why();
    spi = world->child(actor()).spi_inbound;
    ike_spi = world->ike_sa(actor()).sa.spi_i;
  }
  void begin_traffic() { first = sim::begin_traffic(*world, Traffic{milliseconds(5), 100}); }
  void expect_nothing_lost() { sim::expect_nothing_lost(*world, first); }
  void expect_settled(Duration limit = seconds(20)) {
    EXPECT_TRUE(world->run_until([&] { return world->settled(); }, limit)) << why();
    EXPECT_FALSE(world->log().failed()) << why();
  }
  void expect_traffic_flows() {
    const InnerId there = world->send_one(Side::alice);
    const InnerId back = world->send_one(Side::bob);
    ASSERT_TRUE(world->run_for(seconds(2))) << why();
    EXPECT_TRUE(world->ledger().was_delivered(there)) << why();
    EXPECT_TRUE(world->ledger().was_delivered(back)) << why();
  }
  bool child_is_new() const { return world->child(actor()).spi_inbound != spi; }
  bool ike_sa_is_new() const { return world->ike_sa(actor()).sa.spi_i != ike_spi; }

  /// Drops the first `count` IKE messages of this exchange and kind that the side sends.
  void lose(Side from, std::uint8_t exchange, bool response, unsigned count) {
    world->network().set_filter([=, left = count](Side side, const Packet& packet) mutable {
      if (side != from || left == 0) return false;
      const WireView view = wire_view(packet, packet.source.port);
      if (view.kind != WireKind::ike) return false;
      const auto header = ike_header(view.body);
      if (!header || header->exchange != exchange || header->response != response) return false;
      --left;
      return true;
    });
  }
  bool has_pair(Side side) const {
    const auto sas = world->host(side).view().ike_sas;
    return std::ranges::any_of(sas, [](const auto& sa) { return !sa.children.empty(); });
  }
  std::string why() const { return "\n" + world->report(120) + world->amiss().value_or("all is well") + "\n"; }

  WorldOptions options;
  std::unique_ptr<World> world;
  FirstPackets first{};
  model::Spi spi;
  model::IkeSpi ike_spi;
};

// ---------------------------------------------------------------- set-up

TEST_P(Scenario, ATunnelComesUpAndCarriesTraffic) {
  set_up();
  EXPECT_EQ(world->ike_sa(initiator()).sa.role, model::Role::initiator);
  expect_traffic_flows();
}

TEST_P(Scenario, BothBeginAtOnceAndOneTunnelRemains) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::automatic;
  make();
  world->start(actor());
  world->start(peer());
  ASSERT_TRUE(world->run_for(seconds(5))) << why();
  expect_settled();
  expect_traffic_flows();
}

TEST_P(Scenario, ARekeyDoesNotSaveTheOneThatLost) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::automatic;
  make();
  world->start(actor());
  world->start(peer());
  ASSERT_TRUE(world->run_for(milliseconds(200))) << why();
  EXPECT_EQ(world->host(actor()).view().ike_sas.size(), 2u) << "both set-ups were answered" << why();
  world->host(actor()).rekey(true, true);
  ASSERT_TRUE(world->run_for(seconds(15))) << why();
  expect_settled();
  expect_traffic_flows();
}

// One of two crossing set-ups is late, and the other one's IKE SA is rekeyed meanwhile, by the end that answered it. It
// is the rival all the same (decision 004): one line stays.
TEST_P(Scenario, ARivalIsKnownAfterItsRekey) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::automatic;
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    options.seed = seed;
    make();
    lose(actor(), kIkeAuth, false, 1);
    world->start(actor());
    world->start(peer());
    ASSERT_TRUE(world->run_until([&] { return has_pair(actor()); }, seconds(1), milliseconds(5))) << why();
    // Traffic shows that the peer has it, too: no rekey before.
    ASSERT_TRUE(world->run_for(milliseconds(30))) << why();
    world->send_one(peer());
    ASSERT_TRUE(world->run_for(milliseconds(30))) << why();
    world->host(actor()).rekey(true, false);
    ASSERT_TRUE(world->run_for(milliseconds(100))) << why();
    EXPECT_EQ(world->ike_sa(actor()).sa.role, model::Role::initiator) << "of the rekey" << why();
    ASSERT_TRUE(world->run_for(seconds(20))) << why();
    expect_settled();
    expect_traffic_flows();
  }
}

TEST_P(Scenario, TheFirstPacketBringsTheTunnelUpAndIsNotLost) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::on_demand;
  make();
  world->start_both();
  ASSERT_TRUE(world->run_for(seconds(5)));
  EXPECT_EQ(world->monitor().packets(), 0u) << "nobody wants anything yet";
  const InnerId id = world->send_one(actor());
  ASSERT_TRUE(world->run_for(seconds(5))) << why();
  EXPECT_TRUE(world->ledger().was_delivered(id)) << why();
  expect_settled();
}

TEST_P(Scenario, CookiesAreDemandedAndGiven) {  // RFC 7296 2.6
  for (ike::EndpointSettings& settings : options.ike) settings.cookie_threshold = 0;
  set_up();
  EXPECT_GE(world->monitor().requests()[0], 2u) << "IKE_SA_INIT was sent again with the cookie";
  expect_traffic_flows();
}

// RFC 8019 7.1: with loss and duplicates, and while the solution takes its time.
TEST_P(Scenario, PuzzlesAreGivenAndSolved) {
  for (ike::EndpointSettings& settings : options.ike) {
    settings.cookie_threshold = 0;
    settings.puzzle_threshold = 0;
    settings.puzzle_bits = 9;
  }
  for (Duration& delay : options.answer_delays) delay = milliseconds(700);
  for (LinkConditions& link : options.links) {
    link.loss_ppm = 100'000;
    link.duplicate_ppm = 50'000;
  }
  set_up();
  EXPECT_GE(world->monitor().requests()[0], 2u) << "IKE_SA_INIT was sent again with the solution";
  EXPECT_GE(world->monitor().solutions(), 1u) << "and what follows has one too";
  for (const Side side : {Side::alice, Side::bob}) world->network().conditions(side).loss_ppm = 0;
  expect_traffic_flows();
}

TEST_P(Scenario, TheOtherKeyExchangeMethodIsTaken) {  // RFC 7296 1.2: INVALID_KE_PAYLOAD
  const auto both = model::parse_proposal(model::ProtocolId::ike, "aes128gcm16-prfsha256-x25519-ecp256");
  const auto one = model::parse_proposal(model::ProtocolId::ike, "aes128gcm16-prfsha256-ecp256");
  ASSERT_TRUE(both && one);
  options.connections[index_of(initiator())].ike_proposals = {*both};
  options.connections[index_of(other(initiator()))].ike_proposals = {*one};
  set_up();
  EXPECT_EQ(world->ike_sa(actor()).sa.suite.key_exchange, model::KeyExchangeMethod::ecp_256);
  begin_traffic();
  world->host(actor()).rekey(true, false);
  ASSERT_TRUE(world->run_for(seconds(5))) << why();
  expect_settled();
  EXPECT_TRUE(ike_sa_is_new());
  expect_nothing_lost();
}

TEST_P(Scenario, LostAnswersOfTheSetUpAreSentAgain) {
  make();
  lose(other(initiator()), kIkeAuth, true, 3);
  set_up();
  expect_traffic_flows();
}

TEST_P(Scenario, AWrongSecretLeavesNothingBehind) {
  options.secrets[index_of(other(initiator()))] = "another secret";
  make();
  world->start_both();
  ASSERT_TRUE(world->run_for(seconds(10))) << why();
  for (const Side side : {Side::alice, Side::bob}) {
    const SimHost& host = world->host(side);
    EXPECT_NE(host.view().state, control::TunnelState::up);
    EXPECT_EQ(host.data_plane().sa_count(), 0u) << name_of(side);
    EXPECT_EQ(host.data_plane().spis_in_use(), 0u) << name_of(side);
  }
  ASSERT_TRUE(world->host(initiator()).view().last_failure);
  EXPECT_EQ(world->host(initiator()).view().last_failure->kind, "authentication_failed");
}

TEST_P(Scenario, ANatBetweenMovesEverythingToPort4500) {  // RFC 7296 2.23
  options.nat = initiator();
  options.peer_kinds[index_of(other(initiator()))] = config::PeerKind::any;
  set_up();
  EXPECT_EQ(world->ike_sa(initiator()).sa.path.remote.port, kNatPort);
  expect_traffic_flows();
  ASSERT_TRUE(world->run_for(seconds(200))) << why();
  EXPECT_TRUE(world->settled()) << "keepalives keep the mapping" << why();
  const InnerId from_outside = world->send_one(other(initiator()));
  ASSERT_TRUE(world->run_for(seconds(1)));
  EXPECT_TRUE(world->ledger().was_delivered(from_outside)) << why();
}

TEST_P(Scenario, TrafficFollowsANewNatMapping) {  // RFC 7296 2.23
  options.nat = initiator();
  options.peer_kinds[index_of(other(initiator()))] = config::PeerKind::any;
  set_up();
  expect_traffic_flows();
  world->network().nat(initiator())->rebind(*net::IpAddress::parse("203.0.113.77"));
  const InnerId from_inside = world->send_one(initiator());
  ASSERT_TRUE(world->run_for(seconds(1))) << why();
  EXPECT_TRUE(world->ledger().was_delivered(from_inside)) << why();
  expect_traffic_flows();
  EXPECT_FALSE(ike_sa_is_new()) << "the same SAs, on another path";
}

// ---------------------------------------------------------------- rekeying

TEST_P(Scenario, RekeyingTheChildLosesNothing) {
  set_up();
  begin_traffic();
  ASSERT_TRUE(world->run_for(milliseconds(500)));
  world->host(actor()).rekey(false, true);
  ASSERT_TRUE(world->run_for(seconds(3))) << why();
  EXPECT_TRUE(child_is_new()) << why();
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, RekeyingTheChildWithItsOwnKeyExchangeLosesNothing) {
  set_suites(options, "aes256gcm16-prfsha384-x25519", "chacha20poly1305-x25519-esn");
  set_up();
  begin_traffic();
  world->host(actor()).rekey(false, true);
  ASSERT_TRUE(world->run_for(seconds(3))) << why();
  EXPECT_TRUE(child_is_new()) << why();
  EXPECT_EQ(world->child(actor()).suite.key_exchange, model::KeyExchangeMethod::curve25519);
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, RekeyingTheIkeSaKeepsTheChild) {  // RFC 7296 2.18
  set_up();
  begin_traffic();
  world->host(actor()).rekey(true, false);
  ASSERT_TRUE(world->run_for(seconds(3))) << why();
  EXPECT_TRUE(ike_sa_is_new());
  EXPECT_FALSE(child_is_new());
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, ALostAnswerToAChildRekeyLosesNoPacket) {  // RFC 7296 2.8: the initiator may not have the new SA yet
  set_up();
  begin_traffic();
  lose(peer(), kCreateChildSa, true, 3);
  world->host(actor()).rekey(false, true);
  ASSERT_TRUE(world->run_for(seconds(12))) << why();
  EXPECT_TRUE(child_is_new()) << why();
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, ALostDeleteOfTheOldChildLosesNoPacket) {
  set_up();
  begin_traffic();
  lose(actor(), kInformational, false, 3);
  world->host(actor()).rekey(false, true);
  ASSERT_TRUE(world->run_for(seconds(12))) << why();
  EXPECT_TRUE(child_is_new()) << why();
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, ALostAnswerToAnIkeRekeyDoesNoHarm) {
  set_up();
  begin_traffic();
  lose(peer(), kCreateChildSa, true, 3);
  world->host(actor()).rekey(true, false);
  ASSERT_TRUE(world->run_for(seconds(12))) << why();
  EXPECT_TRUE(ike_sa_is_new());
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, APacketBoundRekeysByItselfWithoutLoss) {
  for (model::ConnectionConfig& connection : options.connections) {
    connection.child_lifetime.packets = 400;
    connection.rekey_margin = 0.3;
  }
  set_up();
  begin_traffic();
  ASSERT_TRUE(world->run_for(seconds(10))) << why();
  EXPECT_GE(world->monitor().requests()[2], 3u) << "about 2,000 packets each way";
  expect_nothing_lost();
  expect_settled();
}

// ---------------------------------------------------------------- crossing requests

TEST_P(Scenario, CrossingChildRekeysLeaveOnePairAndLoseNothing) {  // RFC 7296 2.8.1
  set_up();
  begin_traffic();
  world->host(actor()).rekey(false, true);
  world->host(peer()).rekey(false, true);
  ASSERT_TRUE(world->run_for(seconds(3))) << why();
  EXPECT_TRUE(child_is_new()) << why();
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, CrossingChildRekeysWithALostAnswer) {  // RFC 7296 2.8.1, the second figure
  set_up();
  begin_traffic();
  lose(peer(), kCreateChildSa, true, 2);
  world->host(actor()).rekey(false, true);
  world->host(peer()).rekey(false, true);
  ASSERT_TRUE(world->run_for(seconds(12))) << why();
  EXPECT_TRUE(child_is_new()) << why();
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, CrossingChildRekeysWithALostRequest) {
  set_up();
  begin_traffic();
  lose(actor(), kCreateChildSa, false, 2);
  world->host(actor()).rekey(false, true);
  world->host(peer()).rekey(false, true);
  ASSERT_TRUE(world->run_for(seconds(12))) << why();
  EXPECT_TRUE(child_is_new()) << why();
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, CrossingIkeRekeysLeaveOneIkeSa) {  // RFC 7296 2.8.2, 2.25.2
  set_up();
  begin_traffic();
  world->host(actor()).rekey(true, false);
  world->host(peer()).rekey(true, false);
  ASSERT_TRUE(world->run_for(seconds(5))) << why();
  expect_settled(seconds(60));
  EXPECT_TRUE(ike_sa_is_new());
  EXPECT_FALSE(child_is_new());
  expect_nothing_lost();
}

TEST_P(Scenario, CrossingIkeRekeysWithALostAnswer) {  // RFC 7296 2.8.2, 2.25.2
  set_up();
  begin_traffic();
  lose(peer(), kCreateChildSa, true, 2);
  world->host(actor()).rekey(true, false);
  world->host(peer()).rekey(true, false);
  ASSERT_TRUE(world->run_for(seconds(12))) << why();
  expect_settled(seconds(60));
  EXPECT_TRUE(ike_sa_is_new());
  expect_nothing_lost();
}

TEST_P(Scenario, AnIkeRekeyCrossesAChildRekey) {  // RFC 7296 2.25.2: TEMPORARY_FAILURE, tried again later
  set_up();
  begin_traffic();
  world->host(actor()).rekey(true, false);
  world->host(peer()).rekey(false, true);
  ASSERT_TRUE(world->run_for(seconds(60))) << why();
  EXPECT_TRUE(ike_sa_is_new() || child_is_new()) << why();
  expect_nothing_lost();
  expect_settled();
}

TEST_P(Scenario, ADeleteWaitsForThePeerThatMayLackThePair) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::automatic;
  set_up();
  lose(peer(), kCreateChildSa, true, 1);
  world->host(actor()).rekey(false, true);
  ASSERT_TRUE(world->run_for(milliseconds(50))) << why();
  // The peer has both pairs, the one that acts only the old one.
  const control::TunnelView seen = world->host(peer()).view();
  for (const control::ChildSaView& child : seen.ike_sas.at(0).children) {
    world->host(peer()).ike_command(ike::DeleteChildSa{child.id});
  }
  ASSERT_TRUE(world->run_for(seconds(10))) << why();
  expect_settled();
  expect_traffic_flows();
}

TEST_P(Scenario, AChildRekeyCrossesItsDelete) {  // RFC 7296 2.25.1
  set_up();
  const auto child = world->child(peer()).id;
  world->host(actor()).rekey(false, true);
  world->host(peer()).ike_command(ike::DeleteChildSa{child});
  ASSERT_TRUE(world->run_for(seconds(1))) << why();
  world->host(actor()).up();
  world->host(peer()).up();
  expect_settled();
  expect_traffic_flows();
}

TEST_P(Scenario, DeletesOfTheSameChildCross) {  // RFC 7296 1.4.1, 2.25.1
  set_up();
  const auto ours = world->child(actor()).id;
  const auto theirs = world->child(peer()).id;
  world->host(actor()).ike_command(ike::DeleteChildSa{ours});
  world->host(peer()).ike_command(ike::DeleteChildSa{theirs});
  ASSERT_TRUE(world->run_for(seconds(1))) << why();
  world->host(actor()).up();
  world->host(peer()).up();
  expect_settled();
  expect_traffic_flows();
}

TEST_P(Scenario, BothMakeAChildAtOnceAndOneRemains) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::automatic;
  set_up();
  const auto ours = world->child(actor()).id;
  const auto theirs = world->child(peer()).id;
  world->host(actor()).ike_command(ike::DeleteChildSa{ours});
  world->host(peer()).ike_command(ike::DeleteChildSa{theirs});
  ASSERT_TRUE(world->run_for(seconds(5))) << why();
  expect_settled(seconds(10));
  EXPECT_FALSE(ike_sa_is_new());
  EXPECT_GE(world->monitor().requests()[2], 2u) << "their requests crossed";
  expect_traffic_flows();
}

TEST_P(Scenario, AChildThatThePeerMadeMeanwhileIsNotMadeAgain) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::automatic;
  set_up();
  // The answer to the DELETE is lost for long: the window of the one that acts is busy while the peer makes a new pair.
  lose(peer(), kInformational, true, 6);
  world->host(actor()).ike_command(ike::DeleteChildSa{world->child(actor()).id});
  ASSERT_TRUE(world->run_for(seconds(40))) << why();
  expect_settled(seconds(10));
  EXPECT_FALSE(ike_sa_is_new());
  expect_traffic_flows();
}

TEST_P(Scenario, AnAttemptSurvivesTheIkeSaItReliedOn) {
  for (model::ConnectionConfig& connection : options.connections) {
    connection.start = model::StartMode::automatic;
    connection.liveness_interval = seconds(5);
  }
  set_up();
  world->host(peer()).crash();
  world->host(actor()).ike_command(ike::DeleteChildSa{world->child(actor()).id});
  ASSERT_TRUE(world->run_for(seconds(90))) << why();
  world->start(peer());
  expect_settled(seconds(130));
  expect_traffic_flows();
}

TEST_P(Scenario, AnIkeRekeyCrossesTheDeleteOfTheIkeSa) {  // RFC 7296 2.25.2
  set_up();
  world->host(actor()).rekey(true, false);
  world->host(peer()).down();
  ASSERT_TRUE(world->run_for(seconds(1))) << why();
  world->host(actor()).up();
  world->host(peer()).up();
  expect_settled(seconds(60));
  expect_traffic_flows();
}

TEST_P(Scenario, DeletesOfTheIkeSaCross) {  // RFC 7296 2.25.2
  set_up();
  world->host(actor()).down();
  world->host(peer()).down();
  ASSERT_TRUE(world->run_for(seconds(10))) << why();
  for (const Side side : {Side::alice, Side::bob}) {
    EXPECT_TRUE(world->host(side).view().ike_sas.empty()) << why();
    EXPECT_EQ(world->host(side).data_plane().sa_count(), 0u);
    EXPECT_EQ(world->host(side).data_plane().spis_in_use(), 0u);
  }
}

// ---------------------------------------------------------------- lost peers

TEST_P(Scenario, ACrashedPeerComesBackByItself) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::automatic;
  set_up();
  expect_traffic_flows();
  world->host(actor()).crash();
  ASSERT_TRUE(world->run_for(seconds(3)));
  world->start(actor());
  // Traffic is back within five seconds of the start.
  ASSERT_TRUE(
      world->run_until([&] { return world->host(actor()).view().state == control::TunnelState::up; }, seconds(2)))
      << why();
  expect_traffic_flows();
  expect_settled();
}

TEST_P(Scenario, AnOrderlyRestartLeavesNoOldState) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::automatic;
  set_up();
  world->host(actor()).shut_down();
  ASSERT_TRUE(world->run_for(milliseconds(500)));
  EXPECT_TRUE(world->host(peer()).view().ike_sas.empty()) << "told by DELETE" << why();
  world->start(actor());
  expect_settled(seconds(5));
  expect_traffic_flows();
}

TEST_P(Scenario, ASilentPeerIsFoundDeadAndItsSasGo) {  // RFC 7296 2.4
  for (model::ConnectionConfig& connection : options.connections) connection.liveness_interval = seconds(5);
  set_up();
  world->host(actor()).crash();
  ASSERT_TRUE(world->run_for(seconds(100))) << why();
  EXPECT_TRUE(world->host(peer()).view().ike_sas.empty()) << why();
  EXPECT_EQ(world->host(peer()).data_plane().sa_count(), 0u);
  world->start(actor());
  world->host(actor()).up();
  expect_settled(seconds(90));
  expect_traffic_flows();
}

TEST_P(Scenario, ALongCutIsSurvived) {
  for (model::ConnectionConfig& connection : options.connections) {
    connection.liveness_interval = seconds(5);
    connection.start = model::StartMode::automatic;
  }
  set_up();
  for (const Side side : {Side::alice, Side::bob}) world->network().set_cut(side, true);
  ASSERT_TRUE(world->run_for(seconds(120))) << why();
  for (const Side side : {Side::alice, Side::bob}) world->network().set_cut(side, false);
  expect_settled(seconds(130));
  expect_traffic_flows();
}

TEST_P(Scenario, DownStaysDownAndUpBringsItBack) {
  for (model::ConnectionConfig& connection : options.connections) connection.start = model::StartMode::on_demand;
  make();
  world->start_both();
  world->host(initiator()).up();
  expect_settled();
  world->host(actor()).down();
  ASSERT_TRUE(world->run_for(seconds(2))) << why();
  EXPECT_TRUE(world->host(actor()).view().ike_sas.empty()) << why();
  EXPECT_EQ(world->host(actor()).data_plane().sa_count(), 0u) << why();
  world->host(actor()).up();
  expect_settled();
  expect_traffic_flows();
}

INSTANTIATE_TEST_SUITE_P(BothRoles, Scenario,
                         ::testing::Values(Roles{Side::alice, Side::alice}, Roles{Side::alice, Side::bob},
                                           Roles{Side::bob, Side::alice}, Roles{Side::bob, Side::bob}),
                         [](const ::testing::TestParamInfo<Roles>& test) {
                           return fmt::format("{}Began{}Acts", name_of(test.param.initiator),
                                              name_of(test.param.actor));
                         });

}  // namespace
}  // namespace culvert::sim
