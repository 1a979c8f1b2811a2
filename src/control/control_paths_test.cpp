// The control plane and the ways to peers (RFC 4555, RFC 7296 2.23), between stand-ins for IKE and the data plane.
#include <algorithm>

#include "control/testing/control_plane_fixture.hpp"

namespace culvert::control {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ControlPathsTest : public ControlPlaneTest {};

TEST_F(ControlPathsTest, ANetworkThatChangesIsLookedAtByWhoChoosesThePath) {  // RFC 4555 3.5
  const auto first = *net::IpAddress::parse("192.0.2.1");
  const auto second = *net::IpAddress::parse("198.51.100.1");
  control.handle_network_change({first}, now);
  ASSERT_EQ(ike.seen<ike::OwnAddresses>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::OwnAddresses>()[0]->addresses, (std::vector{first}));
  apply(office("auto"));
  bring_up();
  // Without MOBIKE nothing can move; while our address is there nothing need be done.
  control.handle_network_change({second, first}, now);
  EXPECT_TRUE(ike.seen<ike::ReviewPath>().empty());
  EXPECT_FALSE(request<FindPaths>());
  for (const bool chooses : {false, true}) {
    const model::IkeSaId id(chooses ? 3 : 2);
    ike::IkeSaEstablished event;
    event.ike_sa = id;
    event.connection = model::ConnectionId(1);
    event.path = path();
    event.mobike = true;
    event.chooses_paths = chooses;
    ike.events.emplace_back(std::move(event));
  }
  run();
  control.handle_network_change({first}, now);
  ASSERT_EQ(ike.seen<ike::ReviewPath>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::ReviewPath>()[0]->ike_sa, model::IkeSaId(3));
  // Routes alone changed: no news for peers.
  const std::size_t told = ike.seen<ike::OwnAddresses>().size();
  control.handle_network_change({first}, now);
  EXPECT_EQ(ike.seen<ike::OwnAddresses>().size(), told);
  // Our address is gone: that concerns them all.
  control.handle_network_change({second}, now);
  EXPECT_EQ(ike.seen<ike::ReviewPath>().size(), 4u);
  // The one without MOBIKE, too: a new one takes its place.
  const auto find = request<FindPaths>();
  ASSERT_TRUE(find);
  EXPECT_EQ(find->ike_sa, model::IkeSaId(1));
  const std::size_t before = ike.seen<ike::Initiate>().size();
  control.handle_paths(find->ike_sa, {{{second, 0}, {path().remote.address, 0}}}, now);
  ASSERT_EQ(ike.seen<ike::Initiate>().size(), before + 1);
  EXPECT_EQ(ike.seen<ike::Initiate>().back()->path.local, (net::Endpoint{second, 500}));
  EXPECT_TRUE(ike.seen<ike::Initiate>().back()->despite_doubtful);
}

TEST_F(ControlPathsTest, APathInDoubtIsLookedFor) {
  apply(office("auto"));
  bring_up();
  ike::IkeSaEstablished event;
  event.ike_sa = model::IkeSaId(2);
  event.connection = model::ConnectionId(1);
  event.path = path();
  event.mobike = event.chooses_paths = true;
  ike.events.emplace_back(std::move(event));
  const std::vector peers{*net::IpAddress::parse("192.0.2.2"), *net::IpAddress::parse("203.0.113.2")};
  ike.events.emplace_back(ike::PathInDoubt{.ike_sa = model::IkeSaId(2), .peers = peers, .silent = true});
  run();
  const auto find = request<FindPaths>();
  ASSERT_TRUE(find);
  EXPECT_EQ(find->peers, peers);
  EXPECT_TRUE(find->names.empty()) << "the peer was written as an address";
  control.handle_paths(find->ike_sa, {path()}, now);
  ASSERT_EQ(ike.seen<ike::UsePaths>().size(), 1u);
  EXPECT_EQ(ike.seen<ike::UsePaths>()[0]->paths, (std::vector{path()}));
}

// What the tunnel protects is no way to its peer, with MOBIKE or without; between hosts it is all there is.
TEST_F(ControlPathsTest, WhatIsProtectedIsNoPath) {
  apply(office("auto"));
  bring_up();
  const auto from = [&](const char* local) {
    return net::Path{{*net::IpAddress::parse(local), 0}, {path().remote.address, 0}};
  };
  std::uint64_t id = 2;
  for (const char* in_use : {"192.0.2.1", "10.1.0.7"}) {
    ike::IkeSaEstablished event;
    event.ike_sa = model::IkeSaId(id);
    event.connection = model::ConnectionId(1);
    event.path = path();
    event.path.local.address = *net::IpAddress::parse(in_use);
    event.mobike = event.chooses_paths = true;
    ike.events.emplace_back(std::move(event));
    run();
    const std::vector found{from("10.1.0.1"), from("198.51.100.1"), from("10.1.0.2")};
    control.handle_paths(model::IkeSaId(id), found, now);
    ASSERT_EQ(ike.seen<ike::UsePaths>().size(), id - 1);
    EXPECT_EQ(ike.seen<ike::UsePaths>().back()->paths, id == 2 ? std::vector{from("198.51.100.1")} : found) << in_use;
    ++id;
  }
  const std::size_t before = ike.seen<ike::Initiate>().size();
  control.handle_paths(model::IkeSaId(1), {from("10.1.0.1")}, now);
  EXPECT_EQ(ike.seen<ike::Initiate>().size(), before) << "nothing begins from there";
}

TEST_F(ControlPathsTest, ASilentPeersNameIsLookedUpAgain) {
  apply(
      "[tunnel.office]\npeer = \"gw.example.net\"\nsecret = \"a long enough secret\"\nlocal = [\"10.1.0.0/16\"]\n"
      "remote = [\"10.2.0.0/16\"]\nstart = \"auto\"\n");
  bring_up();
  for (const bool silent : {false, true}) {
    ike.events.emplace_back(ike::PathInDoubt{.ike_sa = model::IkeSaId(1), .peers = {}, .silent = silent});
    run();
    const auto find = request<FindPaths>();
    ASSERT_TRUE(find);
    EXPECT_EQ(find->names, silent ? std::vector<std::string>{"gw.example.net"} : std::vector<std::string>());
  }
}

TEST_F(ControlPathsTest, APathMovesTheChildSasOfItsIkeSaAndNoOthers) {
  apply(office("auto"));
  bring_up();
  established(model::IkeSaId(2), model::Role::responder);
  child(model::ChildSaId(2), model::IkeSaId(2));
  child(model::ChildSaId(3), model::IkeSaId(2));
  // One goes over, as in a rekey of the IKE SA.
  ike.events.emplace_back(ike::ChildSaMoved{.child = model::ChildSaId(3), .ike_sa = model::IkeSaId(1)});
  run();
  net::Path to = path();
  to.remote = *net::Endpoint::parse("198.51.100.9:4500");
  ike.events.emplace_back(ike::PathChanged{.ike_sa = model::IkeSaId(2),
                                           .path = to,
                                           .encapsulation = model::Encapsulation::none,
                                           .local_behind_nat = true,
                                           .remote_behind_nat = false,
                                           .why = "of a test"});
  run();
  ASSERT_EQ(data_plane.paths.size(), 1u);
  EXPECT_EQ(data_plane.paths[0].remote.port, 0) << "protocol 50 has no ports";
  EXPECT_EQ(data_plane.paths[0].remote.address, to.remote.address);
  const auto view = control.tunnel("office");
  EXPECT_EQ(view->ike_sas[1].sa.path, to);
  EXPECT_EQ(view->ike_sas[1].children[0].encapsulation, model::Encapsulation::none);
  // We are behind a NAT now, and keep its mapping open.
  bool alive = false;
  for (int i = 0; i < 40 && !alive; ++i) {
    now += seconds(1);
    run();
    alive = request<SendKeepalive>().has_value();
  }
  EXPECT_TRUE(alive);
  bool logged = false;
  while (const auto notice = control.poll_notice())
    logged |= notice->text.find("198.51.100.9:4500: of a test") != std::string::npos;
  EXPECT_TRUE(logged);
  ike.events.emplace_back(
      ike::PathChanged{.ike_sa = model::IkeSaId(1), .path = path(), .encapsulation = std::nullopt, .why = "of a test"});
  run();
  EXPECT_EQ(data_plane.paths.size(), 3u) << "the first and the one that came over";
}

TEST_F(ControlPathsTest, SeveralPlacesOfThePeerAreTriedInTurn) {
  apply(
      "[tunnel.office]\npeer = [\"192.0.2.2\", \"gw2.example.net\", \"192.0.2.4\"]\nsecret = \"a long enough secret\"\n"
      "local = [\"10.1.0.0/16\"]\nremote = [\"10.2.0.0/16\"]\nstart = \"auto\"\n");
  std::vector<std::string> tried;
  std::vector<Duration> waits;
  Instant before = now;
  for (int i = 0; i < 7; ++i) {
    const auto find = request<FindPath>();
    ASSERT_TRUE(find);
    tried.push_back(find->peer);
    waits.push_back(now - before);
    before = now;
    control.handle_path(find->connection, find->attempt, err(std::string("of a test")), now);
    ASSERT_TRUE(control.poll_timeout());
    now = *control.poll_timeout();
    run();
  }
  const std::vector<std::string> turn{"192.0.2.2", "gw2.example.net", "192.0.2.4"};
  for (std::size_t i = 0; i < tried.size(); ++i) EXPECT_EQ(tried[i], turn[i % 3]) << i;
  // The next one at once, the first again only after a while, and ever later.
  EXPECT_LT(waits[1], seconds(1));
  EXPECT_LT(waits[2], seconds(1));
  EXPECT_GT(waits[3], milliseconds(700));
  EXPECT_LT(waits[4], seconds(1));
  EXPECT_GT(waits[6], waits[3]);
}

}  // namespace
}  // namespace culvert::control
