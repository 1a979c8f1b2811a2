// The control plane between two stand-ins that record what it asks of them and say what the test wants.
#include "control/control_plane.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "config/load.hpp"

namespace culvert::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RecordingIke final : public ike::Endpoint {
 public:
  void handle_datagram(const net::Path&, ByteView, Instant) override { ++datagrams; }
  void handle_timeout(Instant) override {}
  void handle_command(ike::Command command, Instant) override { commands.push_back(std::move(command)); }
  void handle_completion(ike::RequestToken, ike::Completion, Instant) override {}
  std::optional<ike::Event> poll_event() override {
    if (events.empty()) return std::nullopt;
    std::optional<ike::Event> event(std::move(events.front()));
    events.erase(events.begin());
    return event;
  }
  std::optional<ike::Request> poll_request() override { return std::nullopt; }
  std::optional<ike::Transmit> poll_transmit() override { return std::nullopt; }
  std::optional<Instant> poll_timeout() const override { return std::nullopt; }
  ike::EndpointCounters counters() const override { return {}; }

  template <typename T>
  std::vector<const T*> seen() const {
    std::vector<const T*> found;
    for (const ike::Command& command : commands) {
      if (const T* one = std::get_if<T>(&command)) found.push_back(one);
    }
    return found;
  }

  int datagrams = 0;
  std::vector<ike::Command> commands;
  std::vector<ike::Event> events;
};

class RecordingDataPlane final : public ipsec::DataPlane {
 public:
  Result<model::Spi, ipsec::DataPlaneError> allocate_spi(std::optional<std::uint32_t> /*resource*/) override {
    return model::Spi(1000);
  }
  Result<void, ipsec::DataPlaneError> reserve_spi(model::Spi) override { return {}; }
  void release_spi(model::Spi) override {}
  Result<void, ipsec::DataPlaneError> install(model::ChildSaParams params) override {
    if (refuse) return err(ipsec::DataPlaneError::unsupported_suite);
    installed.push_back(params.id);
    return {};
  }
  void use_outbound(model::ChildSaId child) override { switched.push_back(child); }
  void remove(model::ChildSaId child, Duration) override { removed.push_back(child); }
  void update_path(model::ChildSaId, const net::Path& path, model::Encapsulation) override { paths.push_back(path); }
  void grant_sequence(model::ChildSaId, std::uint64_t) override {}
  void set_policies(std::vector<ipsec::Policy> wanted) override { policies = std::move(wanted); }
  std::optional<ipsec::SaCounters> counters(model::ChildSaId) const override {
    return ipsec::SaCounters{.inbound_packets = 7};
  }
  std::vector<std::pair<std::string, std::uint64_t>> drop_counters() const override { return {}; }
  std::optional<ipsec::DataPlaneEvent> poll_event() override {
    if (events.empty()) return std::nullopt;
    auto event = events.front();
    events.erase(events.begin());
    return event;
  }

  bool refuse = false;
  std::vector<model::ChildSaId> installed, switched, removed;
  std::vector<net::Path> paths;
  std::vector<ipsec::Policy> policies;
  std::vector<ipsec::DataPlaneEvent> events;
};

class ControlPlaneTest : public ::testing::Test {
 protected:
  void apply(const std::string& text) {
    auto loaded = config::load_texts({{"test.toml", text}});
    ASSERT_TRUE(loaded) << loaded.error().front().to_string();
    control.apply(*loaded, config::diff(running, *loaded), now);
    running = std::move(*loaded);
  }
  static std::string office(const std::string& start) {
    return "[tunnel.office]\npeer = \"192.0.2.2\"\nsecret = \"a long enough secret\"\nlocal = "
           "[\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\nstart = \"" +
           start + "\"\n";
  }
  template <typename T>
  std::optional<T> request() {
    while (auto one = control.poll_request()) {
      if (T* wanted = std::get_if<T>(&*one)) return std::move(*wanted);
    }
    return std::nullopt;
  }
  net::Path path() const { return {*net::Endpoint::parse("192.0.2.1:500"), *net::Endpoint::parse("192.0.2.2:500")}; }
  TunnelState state() { return control.tunnel("office")->state; }
  // The whole way to a tunnel that is up, as initiator.
  void bring_up() {
    const auto find = request<FindPath>();
    ASSERT_TRUE(find);
    control.handle_path(find->connection, find->attempt, path(), now);
    established(model::IkeSaId(1), model::Role::initiator);
    child(model::ChildSaId(1), model::IkeSaId(1));
    control.handle_timeout(now);
  }
  void established(model::IkeSaId id, model::Role role, bool behind_nat = false) {
    ike::IkeSaEstablished event;
    event.ike_sa = id;
    event.connection = model::ConnectionId(1);
    event.role = role;
    event.path = path();
    event.local_behind_nat = behind_nat;
    ike.events.emplace_back(std::move(event));
  }
  void child(model::ChildSaId id, model::IkeSaId ike_sa) {
    ike::ChildSaEstablished event;
    event.params.id = id;
    event.params.connection = model::ConnectionId(1);
    event.params.ike_sa = ike_sa;
    event.params.path = path();
    ike.events.emplace_back(std::move(event));
  }
  void run() { control.handle_timeout(now); }

  Instant now{seconds(1000)};
  SeededRandom random{1};
  RecordingIke ike;
  RecordingDataPlane data_plane;
  config::Config running;
  ControlPlane control{{}, ike, data_plane, random};
};

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
  ASSERT_EQ(configured.size(), 3u);
  EXPECT_EQ(configured[2]->config.liveness_interval, seconds(10));
  EXPECT_EQ(configured[2]->config.peer, path().remote.address);
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
