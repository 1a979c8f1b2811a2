// Where the peer is looked for: which of several places has its turn, in order or by chance, and a name that leads
// elsewhere by now, with the tunnel up and while it is tried again.
#include <algorithm>
#include <map>

#include "control/testing/control_plane_fixture.hpp"

namespace culvert::control {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

class PeerPlacesTest : public ControlPlaneTest {
 protected:
  static std::string tunnel(const std::string& peer) {
    return "[tunnel.office]\npeer = " + peer +
           "\nsecret = \"a long enough secret\"\nlocal = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\nstart = "
           "\"auto\"\n";
  }
  static net::Path towards(const char* peer) {
    return {*net::Endpoint::parse("192.0.2.1:500"), {*net::IpAddress::parse(peer), 500}};
  }
  /// The tunnel as if there had been none before.
  void apply_anew(const std::string& text) {
    apply("");
    while (request<FindPath>()) {
    }
    apply(text);
  }
  /// The place that has its turn; the attempt comes to nothing, and the next one's time has come.
  std::string try_in_vain(Duration& waited) {
    const auto find = request<FindPath>();
    EXPECT_TRUE(find);
    if (!find) return {};
    control.handle_path(find->connection, find->attempt, err(std::string("of a test")), now);
    EXPECT_TRUE(control.poll_timeout());
    waited = *control.poll_timeout() - now;
    now = *control.poll_timeout();
    run();
    return find->peer;
  }
  /// What IKE takes the peer's address to be.
  std::optional<net::IpAddress> peer_of_ike() const { return ike.seen<ike::ConfigureConnection>().back()->config.peer; }
  void stands(std::uint64_t id, const net::Path& on, bool mobike = true) {
    ike::IkeSaEstablished event;
    event.ike_sa = model::IkeSaId(id);
    event.connection = model::ConnectionId(1);
    event.path = on;
    event.mobike = event.chooses_paths = mobike;
    ike.events.emplace_back(std::move(event));
    ike::ChildSaEstablished pair;
    pair.params.id = model::ChildSaId(id);
    pair.params.connection = model::ConnectionId(1);
    pair.params.ike_sa = model::IkeSaId(id);
    pair.params.path = on;
    ike.events.emplace_back(std::move(pair));
    run();
  }
  void is_lost(std::uint64_t id) {
    ike.events.emplace_back(
        ike::ChildSaRemoved{model::ChildSaId(id), model::ConnectionId(1), ike::CloseReason::peer_dead, {}});
    ike.events.emplace_back(ike::IkeSaClosed{model::IkeSaId(id), model::ConnectionId(1), ike::CloseReason::peer_dead});
    run();
    if (control.poll_timeout()) now = std::max(now, *control.poll_timeout());
    run();
  }
  void fails() {
    ike.events.emplace_back(ike::NegotiationFailed{.connection = model::ConnectionId(1),
                                                   .path = path(),
                                                   .kind = ike::FailureKind::no_answer,
                                                   .detail = "silence"});
    run();
    now = *control.poll_timeout();
    run();
  }
};

constexpr const char* kThree = "[\"192.0.2.2\", \"gw2.example.net\", \"192.0.2.4\"]\npeer_choice = \"random\"";

// After a failure any other has its turn, each as often as the rest, and never the one that has just failed.
TEST_F(PeerPlacesTest, ByChanceIsAnyOther) {
  constexpr int kTries = 3000;
  apply(tunnel(kThree));
  std::map<std::pair<std::string, std::string>, int> turns;
  std::string before;
  for (int i = 0; i < kTries; ++i) {
    Duration waited{};
    const std::string place = try_in_vain(waited);
    ASSERT_FALSE(place.empty());
    if (i == 0) {
      EXPECT_EQ(place, "192.0.2.2") << "the first is the first";
    } else {
      ++turns[{before, place}];
    }
    before = place;
  }
  EXPECT_EQ(turns.size(), 6U) << "each of the three, and from there each of the two others";
  for (const auto& [turn, count] : turns) {
    EXPECT_NE(turn.first, turn.second);
    EXPECT_GT(count, kTries / 6 - kTries / 20) << turn.first << " -> " << turn.second;
    EXPECT_LT(count, kTries / 6 + kTries / 20) << turn.first << " -> " << turn.second;
  }
}

// The random source decides: the same gives the same order, another one another.
TEST_F(PeerPlacesTest, TheRandomSourceDecides) {
  const auto order = [&](std::uint64_t seed) {
    random = SeededRandom(seed);
    apply_anew(tunnel(kThree));
    std::vector<std::string> places;
    for (int i = 0; i < 12; ++i) {
      Duration waited{};
      places.push_back(try_in_vain(waited));
    }
    return places;
  };
  const auto first = order(7);
  EXPECT_EQ(order(7), first);
  EXPECT_NE(order(8), first);
}

// As many attempts as there are places come one behind the other at once; then there is something to wait for, ever
// longer.
TEST_F(PeerPlacesTest, ByChanceTheyTakeTheirTurnsAtOnceToo) {
  apply(tunnel(kThree));
  Duration last{};
  for (int round = 0; round < 4; ++round) {
    Duration waited{};
    for (int i = 0; i < 2; ++i) {
      (void)try_in_vain(waited);
      EXPECT_LT(waited, seconds(1)) << round;
    }
    (void)try_in_vain(waited);
    EXPECT_GT(waited, last) << round;
    EXPECT_GT(waited, milliseconds(700)) << round;
    last = waited;
  }
}

// Of two there is one other.
TEST_F(PeerPlacesTest, OfTwoByChanceEachHasItsTurn) {
  apply(tunnel("[\"192.0.2.2\", \"192.0.2.4\"]\npeer_choice = \"random\""));
  for (int i = 0; i < 10; ++i) {
    Duration waited{};
    EXPECT_EQ(try_in_vain(waited), i % 2 == 0 ? "192.0.2.2" : "192.0.2.4") << i;
  }
}

// Where it was up it is looked for first when it is lost, in either order.
TEST_F(PeerPlacesTest, WhereItWasUpIsFirst) {
  for (const bool random_choice : {false, true}) {
    apply_anew(tunnel(random_choice ? kThree : "[\"192.0.2.2\", \"gw2.example.net\", \"192.0.2.4\"]"));
    const auto id = static_cast<std::uint64_t>(random_choice ? 2 : 1);
    Duration waited{};
    (void)try_in_vain(waited);
    const auto find = request<FindPath>();
    ASSERT_TRUE(find);
    EXPECT_NE(find->peer, "192.0.2.2");
    control.handle_path(find->connection, find->attempt, towards("192.0.2.4"), now);
    ike::IkeSaEstablished event;
    event.ike_sa = model::IkeSaId(id);
    event.connection = find->connection;
    event.path = towards("192.0.2.4");
    ike.events.emplace_back(std::move(event));
    ike::ChildSaEstablished pair;
    pair.params.id = model::ChildSaId(id);
    pair.params.connection = find->connection;
    pair.params.ike_sa = model::IkeSaId(id);
    ike.events.emplace_back(std::move(pair));
    run();
    EXPECT_EQ(state(), TunnelState::up);
    ike.events.emplace_back(
        ike::ChildSaRemoved{model::ChildSaId(id), find->connection, ike::CloseReason::peer_dead, {}});
    ike.events.emplace_back(ike::IkeSaClosed{model::IkeSaId(id), find->connection, ike::CloseReason::peer_dead});
    run();
    now = *control.poll_timeout();
    run();
    const auto again = request<FindPath>();
    ASSERT_TRUE(again);
    EXPECT_EQ(again->peer, find->peer);
  }
}

constexpr const char* kNamed = "\"gw.example.net\"";

// Each attempt looks the name up; what it leads to then is where the attempt goes, and whom IKE takes for the peer.
TEST_F(PeerPlacesTest, EachAttemptLooksTheNameUp) {
  apply(tunnel(kNamed));
  EXPECT_EQ(peer_of_ike(), std::nullopt) << "nobody is known by an address yet";
  for (const char* address : {"192.0.2.2", "192.0.2.2", "198.51.100.9", "192.0.2.2"}) {
    const auto find = request<FindPath>();
    ASSERT_TRUE(find);
    EXPECT_EQ(find->peer, "gw.example.net");
    control.handle_path(find->connection, find->attempt, towards(address), now);
    EXPECT_EQ(ike.seen<ike::Initiate>().back()->path.remote.address, *net::IpAddress::parse(address));
    EXPECT_EQ(peer_of_ike(), net::IpAddress::parse(address));
    fails();
  }
  // What cannot be looked up for a while keeps the address that it had.
  const auto find = request<FindPath>();
  ASSERT_TRUE(find);
  control.handle_path(find->connection, find->attempt, err(std::string("of a test")), now);
  EXPECT_EQ(peer_of_ike(), net::IpAddress::parse("192.0.2.2"));
}

// The tunnel is up and the name leads elsewhere. With MOBIKE a silent peer is asked at both (RFC 4555 3.5); the IKE SA
// that came over stays, and the next one begins where the name leads then.
TEST_F(PeerPlacesTest, AnUpTunnelFollowsTheNameWithMobike) {
  apply(tunnel(kNamed));
  const auto find = request<FindPath>();
  ASSERT_TRUE(find);
  control.handle_path(find->connection, find->attempt, towards("192.0.2.2"), now);
  stands(1, towards("192.0.2.2"));
  ASSERT_EQ(state(), TunnelState::up);
  ike.events.emplace_back(
      ike::PathInDoubt{.ike_sa = model::IkeSaId(1), .peers = {*net::IpAddress::parse("192.0.2.2")}, .silent = true});
  run();
  const auto ways = request<FindPaths>();
  ASSERT_TRUE(ways);
  EXPECT_EQ(ways->names, (std::vector<std::string>{"gw.example.net"}));
  const std::vector found{towards("192.0.2.2"), towards("198.51.100.9")};
  control.handle_paths(ways->ike_sa, found, now);
  ASSERT_EQ(ike.seen<ike::UsePaths>().size(), 1U);
  EXPECT_EQ(ike.seen<ike::UsePaths>()[0]->paths, found);
  ike.events.emplace_back(ike::PathChanged{
      .ike_sa = model::IkeSaId(1), .path = towards("198.51.100.9"), .encapsulation = std::nullopt, .why = "of a test"});
  run();
  ASSERT_FALSE(data_plane.paths.empty());
  EXPECT_EQ(data_plane.paths.back().remote.address, *net::IpAddress::parse("198.51.100.9"));
  EXPECT_EQ(state(), TunnelState::up);
  EXPECT_FALSE(request<FindPath>()) << "nothing begins anew";
  is_lost(1);
  const auto again = request<FindPath>();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->peer, "gw.example.net");
  control.handle_path(again->connection, again->attempt, towards("198.51.100.9"), now);
  EXPECT_EQ(peer_of_ike(), net::IpAddress::parse("198.51.100.9"));
}

// Without MOBIKE the IKE SA ends with the peer's silence, and a new one begins where the name leads.
TEST_F(PeerPlacesTest, AnUpTunnelFollowsTheNameWithoutMobike) {
  apply(tunnel(kNamed));
  auto find = request<FindPath>();
  ASSERT_TRUE(find);
  control.handle_path(find->connection, find->attempt, towards("192.0.2.2"), now);
  stands(1, towards("192.0.2.2"), false);
  is_lost(1);
  find = request<FindPath>();
  ASSERT_TRUE(find);
  EXPECT_EQ(find->peer, "gw.example.net");
  control.handle_path(find->connection, find->attempt, towards("198.51.100.9"), now);
  EXPECT_EQ(ike.seen<ike::Initiate>().back()->path.remote.address, *net::IpAddress::parse("198.51.100.9"));
  EXPECT_EQ(peer_of_ike(), net::IpAddress::parse("198.51.100.9"));
  stands(2, towards("198.51.100.9"), false);
  EXPECT_EQ(state(), TunnelState::up);
}

// And without MOBIKE, before the silence is long enough for the IKE SA to end: what is tried beside it is where the
// name leads now, and not for so long that the next look would be put off.
TEST_F(PeerPlacesTest, WhatIsTriedBesideIsWhereTheNameLeads) {
  apply(tunnel(kNamed));
  const auto find = request<FindPath>();
  ASSERT_TRUE(find);
  control.handle_path(find->connection, find->attempt, towards("192.0.2.2"), now);
  stands(1, towards("192.0.2.2"), false);
  const auto nothing_comes_back = [&] {
    data_plane.events.emplace_back(ipsec::NothingComesBack{model::ChildSaId(1)});
    control.handle_data_plane(now);
  };
  nothing_comes_back();
  EXPECT_FALSE(request<FindPath>()) << "the peer is asked first";
  for (const char* address : {"192.0.2.2", "198.51.100.9"}) {
    nothing_comes_back();
    const auto wish = request<FindPath>();
    ASSERT_TRUE(wish);
    EXPECT_EQ(wish->peer, "gw.example.net");
    EXPECT_FALSE(wish->tcp_port);
    const std::size_t begun = ike.seen<ike::Initiate>().size();
    control.handle_path(wish->connection, wish->attempt, towards(address), now);
    ASSERT_EQ(ike.seen<ike::Initiate>().size(), begun + 1);
    const ike::Initiate& attempt = *ike.seen<ike::Initiate>().back();
    EXPECT_EQ(attempt.path, towards(address));
    EXPECT_TRUE(attempt.despite_doubtful);
    ASSERT_TRUE(attempt.patience);
    EXPECT_LT(*attempt.patience, seconds(10));
    EXPECT_EQ(peer_of_ike(), net::IpAddress::parse(address));
  }
  // A name that cannot be looked up changes nothing.
  nothing_comes_back();
  const auto wish = request<FindPath>();
  ASSERT_TRUE(wish);
  const std::size_t begun = ike.seen<ike::Initiate>().size();
  control.handle_path(wish->connection, wish->attempt, err(std::string("of a test")), now);
  EXPECT_EQ(ike.seen<ike::Initiate>().size(), begun);
  EXPECT_EQ(state(), TunnelState::up);
}

// Two lookups of one attempt, the answer of the first comes late: it is no longer what counts.
TEST_F(PeerPlacesTest, ALateAnswerOfAnEarlierLookupIsNothing) {
  apply(tunnel(kNamed));
  const auto first = request<FindPath>();
  ASSERT_TRUE(first);
  ASSERT_TRUE(control.down("office", now));
  ASSERT_TRUE(control.up("office", now));
  run();
  const auto second = request<FindPath>();
  ASSERT_TRUE(second);
  EXPECT_NE(second->attempt, first->attempt);
  control.handle_path(second->connection, second->attempt, towards("198.51.100.9"), now);
  const std::size_t begun = ike.seen<ike::Initiate>().size();
  control.handle_path(first->connection, first->attempt, towards("192.0.2.2"), now);
  EXPECT_EQ(ike.seen<ike::Initiate>().size(), begun);
  EXPECT_EQ(peer_of_ike(), net::IpAddress::parse("198.51.100.9"));
}

}  // namespace
}  // namespace culvert::control
