// A tunnel with tcp = "fallback", through UDP, TCP and back (RFC 9329 5.1, 6.1).
#include "control/testing/control_plane_fixture.hpp"

namespace culvert::control {
namespace {

using namespace testing;
using std::chrono::seconds;

class TcpTest : public ControlPlaneTest {
 protected:
  static std::string office_by(const std::string& policy) {
    return office("auto") + "tcp = \"" + policy + "\"\ntcp_port = 4443\n";
  }
  net::Path stream() const {
    return {{path().local.address, 40001, net::Transport::tcp}, {path().remote.address, 4443, net::Transport::tcp}};
  }
  void stands(std::uint64_t id, const net::Path& on, std::optional<model::IkeSaId> replaces = {},
              model::Role role = model::Role::initiator) {
    ike::IkeSaEstablished event;
    event.ike_sa = model::IkeSaId(id);
    event.connection = model::ConnectionId(1);
    event.role = role;
    event.path = on;
    event.local_behind_nat = true;
    event.replaces = replaces;
    ike.events.emplace_back(std::move(event));
    if (!replaces) child(model::ChildSaId(id), model::IkeSaId(id));
    run();
  }
  void fails(const net::Path& on, ike::FailureKind kind = ike::FailureKind::no_answer) {
    ike.events.emplace_back(
        ike::NegotiationFailed{.connection = model::ConnectionId(1), .path = on, .kind = kind, .detail = "silence"});
    run();
  }
  void closes(std::uint64_t id) {
    ike.events.emplace_back(ike::IkeSaClosed{model::IkeSaId(id), model::ConnectionId(1)});
    run();
  }
  const ike::Initiate& last_initiate() const { return *ike.seen<ike::Initiate>().back(); }
  // The tunnel is up over TCP, for want of UDP.
  void fall_back() {
    apply(office_by("fallback"));
    auto find = request<FindPath>();
    ASSERT_TRUE(find && !find->tcp_port);
    control.handle_path(find->connection, find->attempt, path(), now);
    ASSERT_TRUE(last_initiate().patience && !last_initiate().path.over_tcp());
    EXPECT_LT(*last_initiate().patience, seconds(5));
    fails(path());
    EXPECT_EQ(state(), TunnelState::connecting) << "TCP has its turn";
    find = request<FindPath>();
    ASSERT_TRUE(find && find->tcp_port == 4443);
    control.handle_path(find->connection, find->attempt, stream(), now);
    EXPECT_EQ(last_initiate().path, stream());
    stands(1, stream());
    EXPECT_EQ(state(), TunnelState::up);
    const auto hold = request<HoldStream>();
    ASSERT_TRUE(hold && hold->held);
    EXPECT_EQ(hold->path, stream());
  }
};

TEST_F(TcpTest, WhereUdpBringsNoAnswerTcpDoes) {
  fall_back();
  EXPECT_FALSE(control.tunnel("office")->last_failure);
  now += seconds(19);
  run();
  EXPECT_FALSE(request<SendKeepalive>()) << "RFC 9329 6.6";
  EXPECT_FALSE(request<FindPath>());
}

TEST_F(TcpTest, ReturnsOnceUdpIsAnswered) {
  fall_back();
  const auto probe = [&] {
    now += seconds(20);
    run();
    const auto find = request<FindPath>();
    ASSERT_TRUE(find && !find->tcp_port);
    control.handle_path(find->connection, find->attempt, path(), now);
    EXPECT_TRUE(last_initiate().beside && last_initiate().patience && !last_initiate().path.over_tcp());
  };
  probe();
  // Still nothing: the tunnel stays what it is, and nothing is said of a failure.
  fails(path());
  EXPECT_EQ(state(), TunnelState::up);
  EXPECT_FALSE(control.tunnel("office")->last_failure);
  EXPECT_TRUE(ike.seen<ike::TerminateIkeSa>().empty());
  // A rekey keeps the right to return, whoever began it.
  stands(2, stream(), model::IkeSaId(1), model::Role::responder);
  closes(1);
  EXPECT_FALSE(request<HoldStream>()) << "the stream is its successor's";
  EXPECT_EQ(control.tunnel("office")->ike_sas.front().transport_since, Instant(now - seconds(20)));
  probe();
  stands(3, path());
  ASSERT_EQ(ike.seen<ike::TerminateIkeSa>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::TerminateIkeSa>()[0]->ike_sa, model::IkeSaId(2));
  closes(2);
  const auto left = request<HoldStream>();
  ASSERT_TRUE(left);
  EXPECT_FALSE(left->held);
  EXPECT_EQ(left->path, stream());
  now += seconds(60);
  run();
  EXPECT_FALSE(request<FindPath>()) << "UDP is where it wants to be";
}

// Whoever has the shared IKE SA when its tunnel goes tries UDP in that one's place.
TEST_F(TcpTest, AnIkeSaThatIsPassedOnTriesUdpAgain) {
  fall_back();
  std::string other = office_by("fallback");
  other.replace(other.find("office"), 6, "branch");
  other.replace(other.find("10.2."), 5, "10.3.");
  other.replace(other.find("\"auto\""), 6, "\"on-demand\"");
  apply(office_by("fallback") + other);
  EXPECT_FALSE(request<FindPath>());
  ike.events.emplace_back(ike::IkeSaPassedOn{model::IkeSaId(1), model::ConnectionId(1), model::ConnectionId(2)});
  run();
  now += seconds(20);
  run();
  const auto find = request<FindPath>();
  ASSERT_TRUE(find && !find->tcp_port);
  EXPECT_EQ(find->connection, model::ConnectionId(2));
}

TEST_F(TcpTest, AStandingTunnelThatGetsNoAnswerTriesTcpBesideIt) {
  apply(office_by("fallback"));
  const auto first = request<FindPath>();
  control.handle_path(first->connection, first->attempt, path(), now);
  stands(1, path());
  ike.events.emplace_back(ike::AnswerOverdue{model::IkeSaId(1)});
  run();
  const auto find = request<FindPath>();
  ASSERT_TRUE(find && find->tcp_port == 4443);
  control.handle_path(find->connection, find->attempt, stream(), now);
  EXPECT_TRUE(last_initiate().despite_doubtful);
  // TCP is of no use either: no failure of the tunnel, which IKE goes on to ask for; and no stream stays behind.
  fails(stream());
  EXPECT_EQ(state(), TunnelState::up);
  const auto left = request<HoldStream>();
  ASSERT_TRUE(left && !left->held);
  // The next time it is.
  ike.events.emplace_back(ike::AnswerOverdue{model::IkeSaId(1)});
  run();
  ASSERT_TRUE(request<FindPath>());
  stands(2, stream());
  ASSERT_EQ(ike.seen<ike::TerminateIkeSa>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::TerminateIkeSa>()[0]->ike_sa, model::IkeSaId(1));
}

TEST_F(TcpTest, WithoutTheSettingNothingGoesOverTcp) {
  apply(office("auto"));
  bring_up();
  ike.events.emplace_back(ike::AnswerOverdue{model::IkeSaId(1)});
  run();
  EXPECT_FALSE(request<FindPath>());
}

TEST_F(TcpTest, AlwaysMeansFromTheBeginning) {
  apply(office_by("always"));
  const auto find = request<FindPath>();
  ASSERT_TRUE(find && find->tcp_port == 4443);
  control.handle_path(find->connection, find->attempt, stream(), now);
  EXPECT_EQ(last_initiate().path, stream());
  stands(1, stream());
  now += seconds(60);
  run();
  EXPECT_FALSE(request<FindPath>()) << "no way back is looked for";
}

TEST_F(TcpTest, WhoWasCalledOverTcpLeavesTheReturnToTheCaller) {
  apply(office_by("fallback"));
  request<FindPath>();
  stands(1, stream(), {}, model::Role::responder);
  EXPECT_TRUE(request<HoldStream>());
  now += seconds(60);
  run();
  EXPECT_FALSE(request<FindPath>());
}

TEST_F(TcpTest, AStreamThatStandsAgainIsToldToIke) {  // RFC 9329 6.1, 6.2
  fall_back();
  control.handle_stream({stream(), StreamNews::Kind::opened_again}, now);
  ASSERT_EQ(ike.seen<ike::StreamReopened>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::StreamReopened>()[0]->path, stream());
}

}  // namespace
}  // namespace culvert::control
