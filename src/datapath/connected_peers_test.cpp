#include "datapath/connected_peers.hpp"

#include <string>
#include <vector>

#include <sys/socket.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "datapath/testing/tunnel_lab.hpp"

namespace culvert::datapath {
namespace {

using net::Family;
using testing::TunnelLab;

constexpr model::EspSuite kGcm{.encryption = model::EncryptionId::aes_gcm_16, .key_bits = 128};

bool has_connected_socket(const testing::Host& host) {
  const auto listed = host.ns.command("ss -Hun state connected 'sport = :4500 and dport = :4500'");
  return !listed.output.empty();
}

class BusyPeer : public testing::TunnelLabTest {
 protected:
  void start() {
    start_both();
    ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  }
  void expect_all_pings_answered(int count) const {
    const auto pinged = lab_->ping(Family::v4, fmt::format("-c {} -i 0.01", count));
    EXPECT_EQ(pinged.status, 0) << pinged.output;
  }
};

TEST_F(BusyPeer, GetsASocketOfItsOwnAndNoPacketIsLost) {
  if (lab_->workers > 1) GTEST_SKIP() << "several workers share what comes from a peer; no socket is connected to it";
  start();
  expect_all_pings_answered(4);
  EXPECT_FALSE(has_connected_socket(lab_->alice)) << "after four packets it is not busy";
  expect_all_pings_answered(50);
  EXPECT_TRUE(has_connected_socket(lab_->alice));
  EXPECT_TRUE(has_connected_socket(lab_->bob));
  expect_all_pings_answered(50);
  EXPECT_EQ(lab_->alice.plane->counters(model::ChildSaId(1))->inbound_packets, 104U);
}

TEST_F(BusyPeer, MayMoveToAnotherAddress) {
  if (lab_->workers > 1) GTEST_SKIP() << "several workers share what comes from a peer; no socket is connected to it";
  start();
  expect_all_pings_answered(50);
  ASSERT_TRUE(has_connected_socket(lab_->alice) && has_connected_socket(lab_->bob));
  (void)lab_->alice.ns.command("ip address add 192.0.2.9/24 dev v0 nodad");
  net::Path path = lab_->path(lab_->alice, lab_->bob, {.suite = kGcm});
  path.local.address = *net::IpAddress::parse("192.0.2.9");
  lab_->alice.plane->update_path(model::ChildSaId(1), path, model::Encapsulation::udp);
  std::swap(path.local, path.remote);
  lab_->bob.plane->update_path(model::ChildSaId(1), path, model::Encapsulation::udp);
  expect_all_pings_answered(50);
  EXPECT_NE(lab_->alice.ns.command("ss -Hun state connected").output.find("192.0.2.9:4500"), std::string::npos);
}

// While the lead of one peer is not clear, all go by the common socket.
TEST(ConnectedPeers, APeerIsBusyOnceItLeadsAllOthersTogether) {
  auto sockets = OuterSockets::open({.ike_port = 45'627, .nat_port = 45'628, .raw = false, .connect_after = 10});
  ASSERT_TRUE(sockets) << sockets.error().text;
  ConnectedPeers peers(sockets->front(), true);
  const net::IpAddress here = *net::IpAddress::parse("127.0.0.1");
  const auto path = [&](std::uint16_t port) { return net::Path{{here, 45'628}, {here, port}}; };
  const auto connect = [&] { return peers.connect([](std::size_t) { FAIL() << "nobody has a place yet"; }); };
  for (std::uint16_t i = 0; i < 200; ++i) EXPECT_EQ(peers.for_esp(path(1000 + i % 8), true), nullptr);
  EXPECT_FALSE(connect());
  for (int i = 0; i < 12; ++i) EXPECT_EQ(peers.for_esp(path(2000), true), nullptr);
  const auto number = connect();
  ASSERT_TRUE(number);
  EXPECT_EQ(peers.for_esp(path(2000), true), &peers.entry(*number).socket);
  EXPECT_EQ(peers.for_esp(path(2000), false), nullptr) << "whether packets may be cut is the socket's";
  EXPECT_EQ(peers.for_esp(path(2001), true), nullptr);
}

TEST(ConnectedPeers, ThePlaceOfAnIdlePeerIsTakenAndThatOfABusyOneIsNot) {
  auto sockets = OuterSockets::open({.ike_port = 45'627, .nat_port = 45'628, .raw = false, .connect_after = 10});
  ASSERT_TRUE(sockets) << sockets.error().text;
  ConnectedPeers peers(sockets->front(), true);
  const net::IpAddress here = *net::IpAddress::parse("127.0.0.1");
  const auto path = [&](std::uint16_t port) { return net::Path{{here, 45'628}, {here, port}}; };
  std::vector<std::size_t> left;
  const auto make_busy = [&](std::uint16_t port) {
    for (int i = 0; i < 20; ++i) (void)peers.for_esp(path(port), true);
    return peers.connect([&](std::size_t number) { left.push_back(number); });
  };
  for (std::uint16_t port = 2000; port < 2000 + ConnectedPeers::kMost; ++port) EXPECT_TRUE(make_busy(port));
  EXPECT_FALSE(make_busy(3000)) << "all places belong to peers that were sent to a moment ago";
  for (int i = 0; i < 20'000; ++i) (void)peers.for_esp(path(2001), true);
  EXPECT_EQ(make_busy(3000), 0U);
  EXPECT_EQ(left, std::vector<std::size_t>{0});
  EXPECT_EQ(peers.for_esp(path(2000), true), nullptr);
  EXPECT_NE(peers.for_esp(path(3000), true), nullptr);
}

TEST(ConnectedPeers, CountWhatTheKernelDroppedInFrontOfThem) {
  auto sockets = OuterSockets::open({.ike_port = 45'627, .nat_port = 45'628, .raw = false, .connect_after = 10});
  ASSERT_TRUE(sockets) << sockets.error().text;
  ConnectedPeers peers(sockets->front(), true);
  const net::IpAddress here = *net::IpAddress::parse("127.0.0.1");
  const auto peer = io::DatagramSocket::open_udp({.local = {here, 0}});
  ASSERT_TRUE(peer) << peer.error().text;
  const net::Path path{{here, 45'628}, peer->local()};
  for (int i = 0; i < 20; ++i) (void)peers.for_esp(path, true);
  const auto number = peers.connect([](std::size_t) {});
  ASSERT_TRUE(number);
  constexpr int kSmall = 4096;
  ASSERT_EQ(::setsockopt(peers.entry(*number).socket.fd(), SOL_SOCKET, SO_RCVBUF, &kSmall, sizeof kSmall), 0);
  EXPECT_EQ(peers.receive_drops(), 0U);
  const Bytes payload(1000);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(peer->send_one({path.remote, path.local}, 0, std::vector<ByteView>{payload}), 0);
  }
  const std::uint64_t dropped = peers.receive_drops();
  EXPECT_GT(dropped, 50U);
  EXPECT_EQ(sockets->front().receive_drops(), 0U) << "they came to the connected one";
  peers.forget(*number);
  EXPECT_EQ(peers.receive_drops(), dropped);
}

TEST(ConnectedPeers, NobodyIsConnectedToBesideOtherWorkers) {
  auto sockets = OuterSockets::open({.ike_port = 45'627, .nat_port = 45'628, .raw = false, .connect_after = 1});
  ASSERT_TRUE(sockets) << sockets.error().text;
  ConnectedPeers peers(sockets->front(), false);
  const net::IpAddress here = *net::IpAddress::parse("127.0.0.1");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(peers.for_esp({{here, 45'628}, {here, 9}}, true), nullptr);
  EXPECT_FALSE(peers.connect([](std::size_t) {}));
}

}  // namespace
}  // namespace culvert::datapath
