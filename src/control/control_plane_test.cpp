// The control plane between stand-ins for IKE and the data plane: tunnels, their SAs, what users ask for.
#include <algorithm>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "control/testing/control_plane_fixture.hpp"

namespace culvert::control {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(ControlPlaneTest, AnAutomaticTunnelBeginsAtOnceAndItsRulesStandFirst) {
  apply(office("auto"));
  ASSERT_EQ(data_plane.policies.size(), 1u);
  EXPECT_EQ(data_plane.policies[0].action, ipsec::PolicyAction::protect);
  const auto network = control.poll_request();
  ASSERT_TRUE(network && std::holds_alternative<SetNetwork>(*network)) << "routes before the attempt";
  ASSERT_EQ(std::get<SetNetwork>(*network).wish.routes.size(), 1u);
  EXPECT_EQ(std::get<SetNetwork>(*network).wish.routes[0].destination.to_string(), "10.2.0.0/16");
  EXPECT_EQ(state(), TunnelState::connecting);
  bring_up();
  ASSERT_EQ(ike.seen<ike::Initiate>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::Initiate>()[0]->path, path());
  EXPECT_EQ(state(), TunnelState::up);
  EXPECT_EQ(data_plane.installed, (std::vector{model::ChildSaId(1)}));
  const auto view = control.tunnel("office");
  ASSERT_EQ(view->ike_sas.size(), 1u);
  ASSERT_EQ(view->ike_sas[0].children.size(), 1u);
  EXPECT_EQ(view->ike_sas[0].children[0].counters.inbound_packets, 7u);
}

TEST_F(ControlPlaneTest, OfManyIkeSasSomeAreShown) {
  apply(office("auto"));
  bring_up();
  for (std::uint64_t id = 2; id < 6; ++id) {
    established(model::IkeSaId(id), model::Role::responder);
    child(model::ChildSaId(static_cast<std::uint32_t>(id)), model::IkeSaId(id));
  }
  run();
  EXPECT_EQ(control.tunnel("office")->ike_sas.size(), 5u);
  EXPECT_FALSE(control.tunnel("office")->more_ike_sas);
  const auto some = control.tunnel("office", {.behind = model::IkeSaId(2), .most = 2});
  ASSERT_EQ(some->ike_sas.size(), 2u);
  EXPECT_TRUE(some->more_ike_sas);
  EXPECT_EQ(some->ike_sas[0].sa.ike_sa, model::IkeSaId(3));
  ASSERT_EQ(some->ike_sas[1].children.size(), 1u) << "each with its own Child SAs";
  EXPECT_EQ(some->ike_sas[1].children[0].id.value(), 4u);
  const auto last = control.tunnel("office", {.behind = model::IkeSaId(3), .most = 2});
  EXPECT_EQ(last->ike_sas.size(), 2u);
  EXPECT_FALSE(last->more_ike_sas);
  EXPECT_TRUE(control.tunnel("office", {.most = 0})->more_ike_sas);
}

TEST_F(ControlPlaneTest, AFailedAttemptIsExplainedAndTriedAgainLater) {
  apply(office("auto"));
  const auto find = request<FindPath>();
  control.handle_path(find->connection, find->attempt, path(), now);
  ike.events.emplace_back(ike::NegotiationFailed{.connection = model::ConnectionId(1),
                                                 .path = path(),
                                                 .role = model::Role::initiator,
                                                 .kind = ike::FailureKind::authentication_failed,
                                                 .notify = std::nullopt,
                                                 .detail = "the peer sent AUTHENTICATION_FAILED",
                                                 .child_only = false});
  run();
  EXPECT_EQ(state(), TunnelState::retrying);
  const auto view = control.tunnel("office");
  ASSERT_TRUE(view->last_failure);
  EXPECT_EQ(view->last_failure->kind, "authentication_failed");
  EXPECT_NE(view->last_failure->hint.find("secret"), std::string::npos);
  ASSERT_EQ(control.failures().size(), 1u);
  EXPECT_EQ(control.failures()[0].tunnel, "office");
  EXPECT_EQ(control.failures()[0].peer, path().remote.address);
  EXPECT_TRUE(control.failures()[0].we_began);
  EXPECT_EQ(control.failures()[0].hint, view->last_failure->hint);
  ASSERT_TRUE(control.poll_timeout());
  now = *control.poll_timeout();
  run();
  EXPECT_TRUE(request<FindPath>()) << "the second attempt";
}

TEST_F(ControlPlaneTest, AFailedAttemptOfThePeerDoesNotDisturbOurs) {
  apply(office("auto"));
  const auto find = request<FindPath>();
  ike.events.emplace_back(ike::NegotiationFailed{.connection = model::ConnectionId(1),
                                                 .path = path(),
                                                 .role = model::Role::responder,
                                                 .kind = ike::FailureKind::no_proposal_chosen,
                                                 .notify = std::nullopt,
                                                 .detail = "anybody can cause this",
                                                 .child_only = false});
  run();
  control.handle_path(find->connection, find->attempt, path(), now);
  EXPECT_EQ(ike.seen<ike::Initiate>().size(), 1u);
}

TEST_F(ControlPlaneTest, AStrangersFailureIsKeptWithoutATunnel) {
  apply(office("manual"));
  ike.events.emplace_back(ike::NegotiationFailed{.connection = std::nullopt,
                                                 .path = path(),
                                                 .role = model::Role::responder,
                                                 .kind = ike::FailureKind::unknown_peer,
                                                 .notify = std::nullopt,
                                                 .detail = "nobody is configured for it",
                                                 .child_only = false,
                                                 .wish = std::nullopt,
                                                 .refusal = std::nullopt,
                                                 .identity = "mallory.example"});
  run();
  ASSERT_EQ(control.failures().size(), 1u);
  EXPECT_EQ(control.failures()[0].tunnel, "");
  EXPECT_EQ(control.failures()[0].identity, "mallory.example");
  EXPECT_EQ(control.failures()[0].kind, "unknown_peer");
  EXPECT_FALSE(control.failures()[0].we_began);
  EXPECT_FALSE(control.tunnel("office")->last_failure);
}

TEST_F(ControlPlaneTest, ATunnelThatIsLostAgainAndAgainIsTriedEverMoreRarely) {
  apply(office("auto"));
  Duration last{};
  for (unsigned n = 1; n <= 12; ++n) {
    const auto find = request<FindPath>();
    ASSERT_TRUE(find);
    control.handle_path(find->connection, find->attempt, path(), now);
    established(model::IkeSaId(n), model::Role::initiator);
    child(model::ChildSaId(n), model::IkeSaId(n));
    ike.events.emplace_back(
        ike::ChildSaRemoved{model::ChildSaId(n), model::ConnectionId(1), ike::CloseReason::peer_deleted, {}});
    ike.events.emplace_back(
        ike::IkeSaClosed{model::IkeSaId(n), model::ConnectionId(1), ike::CloseReason::peer_deleted});
    run();
    ASSERT_TRUE(control.poll_timeout());
    EXPECT_GE(*control.poll_timeout() - now, last);
    last = *control.poll_timeout() - now;
    now = *control.poll_timeout();
    run();
  }
  EXPECT_EQ(last, seconds(60));
}

TEST_F(ControlPlaneTest, AChangedTimerKeepsTheAddressOfThePeersName) {
  const auto named = [](const std::string& more) {
    return "[tunnel.office]\npeer = \"gw.example.net\"\nsecret = \"a long enough secret\"\nlocal = "
           "[\"10.1.0.0/16\"]\nremote = "
           "[\"10.2.0.0/16\"]\n" +
           more;
  };
  apply(named(""));
  const auto find = request<FindPath>();
  control.handle_path(find->connection, find->attempt, path(), now);
  apply(named("liveness = \"10s\"\n"));
  const auto configured = ike.seen<ike::ConfigureConnection>();
  ASSERT_EQ(configured.size(), 3u) << "new, its peer found, changed: no more than once each";
  EXPECT_EQ(configured.front()->config.credential_group, configured.back()->config.credential_group);
  EXPECT_NE(configured.back()->config.credential_group, 0u);
  EXPECT_EQ(configured.back()->config.liveness_interval, seconds(10));
  EXPECT_EQ(configured.back()->config.peer, path().remote.address);
}

TEST_F(ControlPlaneTest, NoPathIsAFailureLikeAnyOther) {
  apply(office("auto"));
  const auto find = request<FindPath>();
  control.handle_path(find->connection, find->attempt, err(std::string("no route to 192.0.2.2")), now);
  EXPECT_EQ(state(), TunnelState::retrying);
  EXPECT_EQ(control.tunnel("office")->last_failure->kind, "no_path");
}

TEST_F(ControlPlaneTest, OnDemandWaitsForTraffic) {
  apply(office("on-demand"));
  EXPECT_FALSE(request<FindPath>());
  EXPECT_EQ(state(), TunnelState::waiting);
  data_plane.events.emplace_back(ipsec::Acquire{ipsec::PolicyId(1), model::ConnectionId(1), {}, {}, {}});
  control.handle_data_plane(now);
  EXPECT_TRUE(request<FindPath>());
}

TEST_F(ControlPlaneTest, ManualComesUpOnlyWhenToldAndTriesOnce) {
  apply(office("manual"));
  EXPECT_EQ(state(), TunnelState::down);
  data_plane.events.emplace_back(ipsec::Acquire{ipsec::PolicyId(1), model::ConnectionId(1), {}, {}, {}});
  control.handle_data_plane(now);
  EXPECT_FALSE(request<FindPath>()) << "traffic does not bring a manual tunnel up";
  ASSERT_TRUE(control.up("office", now));
  const auto find = request<FindPath>();
  ASSERT_TRUE(find);
  control.handle_path(find->connection, find->attempt, err(std::string("no route")), now);
  EXPECT_EQ(state(), TunnelState::down);
  EXPECT_FALSE(control.up("nowhere", now));
}

TEST_F(ControlPlaneTest, ALostTunnelComesBackAlmostAtOnce) {
  apply(office("auto"));
  bring_up();
  ike.events.emplace_back(
      ike::ChildSaRemoved{model::ChildSaId(1), model::ConnectionId(1), ike::CloseReason::peer_deleted, {}});
  ike.events.emplace_back(ike::IkeSaClosed{model::IkeSaId(1), model::ConnectionId(1), ike::CloseReason::peer_deleted});
  run();
  EXPECT_EQ(data_plane.removed, (std::vector{model::ChildSaId(1)}));
  EXPECT_EQ(state(), TunnelState::retrying);
  now += seconds(1);
  run();
  EXPECT_TRUE(request<FindPath>());
  EXPECT_FALSE(data_plane.policies.empty()) << "the rule stands while the tunnel is down";
}

TEST_F(ControlPlaneTest, AnAttemptGoesOnWhenTheIkeSaItReliedOnIsGone) {
  apply(office("auto"));
  bring_up();
  ike.events.emplace_back(
      ike::ChildSaRemoved{model::ChildSaId(1), model::ConnectionId(1), ike::CloseReason::peer_deleted, {}});
  run();
  now += seconds(1);
  run();
  auto find = request<FindPath>();
  ASSERT_TRUE(find) << "a new Child SA on the IKE SA that stands";
  control.handle_path(find->connection, find->attempt, path(), now);
  ike.events.emplace_back(ike::IkeSaClosed{model::IkeSaId(1), model::ConnectionId(1), ike::CloseReason::peer_dead});
  run();
  EXPECT_EQ(state(), TunnelState::retrying);
  now += seconds(1);
  run();
  EXPECT_TRUE(request<FindPath>());
}

// Of two tunnels the second one's peer is found dead, and nothing of its IKE SA is there any more when the next attempt
// begins: which tunnel that is for, and where its peer is, comes from the configuration.
TEST_F(ControlPlaneTest, TheTunnelOfADeadPeerBeginsAnew) {  // RFC 7296 2.4
  const auto second = [](std::string_view peer) {
    return fmt::format(
        "[tunnel.plant]\npeer = \"{}\"\nsecret = \"a long enough secret\"\nlocal = [\"10.1.0.0/16\"]\nremote = "
        "[\"10.3.0.0/16\"]\nstart = \"auto\"\n",
        peer);
  };
  apply(office("auto") + second("192.0.2.3"));
  std::map<model::ConnectionId, net::Path> paths;
  while (const auto find = request<FindPath>()) {
    const net::Path way{path().local, {*net::IpAddress::parse(find->peer), 500}};
    paths[find->connection] = way;
    control.handle_path(find->connection, find->attempt, way, now);
  }
  ASSERT_EQ(paths.size(), 2u);
  const model::ConnectionId plant(2);
  ASSERT_EQ(paths.at(plant).remote.address.to_string(), "192.0.2.3");
  for (const auto& [connection, way] : paths) {
    established(model::IkeSaId(connection.value()), model::Role::initiator, false, connection, way);
    child(model::ChildSaId(connection.value()), model::IkeSaId(connection.value()), connection, way);
  }
  run();
  ike.commands.clear();
  ike.events.emplace_back(ike::ChildSaRemoved{model::ChildSaId(2), plant, ike::CloseReason::peer_dead, {}});
  ike.events.emplace_back(ike::IkeSaClosed{model::IkeSaId(2), plant, ike::CloseReason::peer_dead});
  run();
  now += seconds(2);
  run();
  const auto find = request<FindPath>();
  ASSERT_TRUE(find);
  EXPECT_EQ(find->connection, plant);
  EXPECT_EQ(find->peer, "192.0.2.3");
  control.handle_path(find->connection, find->attempt, paths.at(plant), now);
  const auto begun = ike.seen<ike::Initiate>();
  ASSERT_EQ(begun.size(), 1u);
  EXPECT_EQ(begun[0]->connection, plant);
  EXPECT_EQ(begun[0]->path, paths.at(plant));
  EXPECT_EQ(state(), TunnelState::up) << "the other one stands";
}

TEST_F(ControlPlaneTest, DownStaysDown) {
  apply(office("auto"));
  bring_up();
  ASSERT_TRUE(control.down("office", now));
  EXPECT_EQ(state(), TunnelState::closing);
  EXPECT_EQ(ike.seen<ike::Terminate>().size(), 1u);
  ike.events.emplace_back(
      ike::ChildSaRemoved{model::ChildSaId(1), model::ConnectionId(1), ike::CloseReason::local_request, {}});
  ike.events.emplace_back(ike::IkeSaClosed{model::IkeSaId(1), model::ConnectionId(1), ike::CloseReason::local_request});
  run();
  EXPECT_EQ(state(), TunnelState::down);
  now += seconds(100);
  run();
  EXPECT_FALSE(request<FindPath>());
  EXPECT_FALSE(data_plane.policies.empty()) << "what is down is dropped, never sent in clear";
}

TEST_F(ControlPlaneTest, ARefusedInstallTakesTheSaDownAgain) {
  apply(office("auto"));
  data_plane.refuse = true;
  bring_up();
  EXPECT_NE(state(), TunnelState::up);
  ASSERT_EQ(ike.seen<ike::DeleteChildSa>().size(), 1u);
}

TEST_F(ControlPlaneTest, ARekeyKeepsTheTunnelUp) {
  apply(office("auto"));
  bring_up();
  child(model::ChildSaId(2), model::IkeSaId(1));
  ike.events.emplace_back(ike::ChildSaUseOutbound{model::ChildSaId(2)});
  ike.events.emplace_back(
      ike::ChildSaRemoved{model::ChildSaId(1), model::ConnectionId(1), ike::CloseReason::rekeyed, seconds(5)});
  run();
  EXPECT_EQ(state(), TunnelState::up);
  EXPECT_EQ(data_plane.switched, (std::vector{model::ChildSaId(2)}));
  EXPECT_FALSE(request<FindPath>());
}

TEST_F(ControlPlaneTest, DataPlaneEventsReachIke) {
  apply(office("auto"));
  bring_up();
  data_plane.events.emplace_back(ipsec::SaExpired{model::ChildSaId(1), false});
  data_plane.events.emplace_back(ipsec::SaExpired{model::ChildSaId(1), true});
  data_plane.events.emplace_back(ipsec::InboundActivity{model::ChildSaId(1)});
  data_plane.events.emplace_back(ipsec::NothingComesBack{model::ChildSaId(1)});
  data_plane.events.emplace_back(ipsec::PeerMovedSeen{model::ChildSaId(1), *net::Endpoint::parse("203.0.113.7:4711")});
  data_plane.events.emplace_back(ipsec::UnknownSpi{model::Spi(0x1234), path()});
  control.handle_data_plane(now);
  EXPECT_EQ(ike.seen<ike::RekeyChildSa>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::DeleteChildSa>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::PeerAlive>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::CheckLiveness>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::PeerMoved>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::UnknownEspSpi>().size(), 1u);
}

TEST_F(ControlPlaneTest, AnAnswerToProtocol50GoesToTheIkePort) {  // RFC 7296 1.5
  net::Path bare = path();
  bare.local.port = bare.remote.port = 0;
  data_plane.events.emplace_back(ipsec::UnknownSpi{model::Spi(0x1234), bare});
  control.handle_data_plane(now);
  ASSERT_EQ(ike.seen<ike::UnknownEspSpi>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::UnknownEspSpi>()[0]->path, path());
}

TEST_F(ControlPlaneTest, APeerThatStaysSilentIsTriedAnew) {  // RFC 7296 2.4
  apply(office("auto"));
  bring_up();
  ike.commands.clear();
  const auto silence = [&] {
    data_plane.events.emplace_back(ipsec::NothingComesBack{model::ChildSaId(1)});
    control.handle_data_plane(now);
  };
  silence();
  EXPECT_EQ(ike.seen<ike::CheckLiveness>().size(), 1u);
  EXPECT_TRUE(ike.seen<ike::Initiate>().empty());
  data_plane.events.emplace_back(ipsec::InboundActivity{model::ChildSaId(1)});
  silence();
  EXPECT_TRUE(ike.seen<ike::Initiate>().empty()) << "something came in between";
  silence();
  ASSERT_EQ(ike.seen<ike::Initiate>().size(), 1u);
  EXPECT_TRUE(ike.seen<ike::Initiate>()[0]->despite_doubtful);
  EXPECT_EQ(ike.seen<ike::Initiate>()[0]->path.remote.port, 500);
}

// A peer whose IKE answers and whose ESP goes to where a NAT had us before.
TEST_F(ControlPlaneTest, APairThatStaysSilentIsRenewedOnce) {
  apply(office("auto"));
  bring_up();
  ike.commands.clear();
  const auto silence = [&](std::uint64_t id) {
    data_plane.events.emplace_back(ipsec::NothingComesBack{model::ChildSaId(id)});
    control.handle_data_plane(now);
  };
  for (int i = 0; i < 2; ++i) silence(1);
  EXPECT_TRUE(ike.seen<ike::RekeyChildSa>().empty()) << "a new IKE SA is tried first";
  silence(1);
  ASSERT_EQ(ike.seen<ike::RekeyChildSa>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::RekeyChildSa>()[0]->child, model::ChildSaId(1));
  for (int i = 0; i < 3; ++i) silence(1);
  EXPECT_EQ(ike.seen<ike::RekeyChildSa>().size(), 1u);
  // The new pair is as silent: the traffic goes one way, or nothing helps.
  ike::ChildSaEstablished rekeyed;
  rekeyed.params.id = model::ChildSaId(2);
  rekeyed.params.connection = model::ConnectionId(1);
  rekeyed.params.ike_sa = model::IkeSaId(1);
  rekeyed.params.path = path();
  rekeyed.params.replaces = model::ChildSaId(1);
  ike.events.emplace_back(std::move(rekeyed));
  run();
  for (int i = 0; i < 5; ++i) silence(2);
  EXPECT_EQ(ike.seen<ike::RekeyChildSa>().size(), 1u);
  data_plane.events.emplace_back(ipsec::InboundActivity{model::ChildSaId(2)});
  for (int i = 0; i < 3; ++i) silence(2);
  EXPECT_EQ(ike.seen<ike::RekeyChildSa>().size(), 2u) << "something had come by it";
}

TEST_F(ControlPlaneTest, WhoOnlyWaitsForThePeerDoesNotTryAnew) {
  apply(office("manual"));
  established(model::IkeSaId(1), model::Role::responder);
  child(model::ChildSaId(1), model::IkeSaId(1));
  run();
  ike.commands.clear();
  for (int i = 0; i < 3; ++i) data_plane.events.emplace_back(ipsec::NothingComesBack{model::ChildSaId(1)});
  control.handle_data_plane(now);
  EXPECT_EQ(ike.seen<ike::CheckLiveness>().size(), 3u);
  EXPECT_TRUE(ike.seen<ike::Initiate>().empty());
}

TEST_F(ControlPlaneTest, BehindANatTheMappingIsKeptOpen) {  // RFC 3948 4
  apply(office("auto"));
  request<FindPath>();
  established(model::IkeSaId(1), model::Role::initiator, true);
  run();
  now += seconds(20);
  run();
  EXPECT_TRUE(request<SendKeepalive>());
  EXPECT_FALSE(request<SendKeepalive>()) << "one an interval";
}

TEST_F(ControlPlaneTest, ThePathOfAllChildrenFollowsTheIkeSa) {
  apply(office("auto"));
  bring_up();
  net::Path moved = path();
  moved.remote = *net::Endpoint::parse("203.0.113.7:4711");
  ike.events.emplace_back(ike::PathChanged{model::IkeSaId(1), moved});
  run();
  ASSERT_EQ(data_plane.paths.size(), 1u);
  EXPECT_EQ(data_plane.paths[0], moved);
}

TEST_F(ControlPlaneTest, ApplyTouchesOnlyWhatChanged) {
  apply(office("auto"));
  bring_up();
  ike.commands.clear();
  apply(office("auto"));
  EXPECT_TRUE(ike.commands.empty());
  apply("");
  EXPECT_EQ(ike.seen<ike::RemoveConnection>().size(), 1u);
  EXPECT_FALSE(control.tunnel("office"));
  EXPECT_TRUE(data_plane.policies.empty());
}

}  // namespace
}  // namespace culvert::control
