#include "datapath/wire_receiver.hpp"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.hpp"
#include "io/event_fd.hpp"

namespace culvert::datapath {
namespace {

// The first of three workers; those who read the others' rings are the test.
struct Rig {
  SocketOptions options{.ike_port = 45'637, .nat_port = 45'638, .raw = false};
  Result<std::vector<OuterSockets>, io::IoError> sockets = OuterSockets::open(options);
  SeededRandom random{1};
  io::TunQueue tun{io::FileDescriptor(), false};
  Shared shared{{}, wakeups(), *io::EventFd::open()};
  Exchange exchange{shared, 0};
  ipsec::Engine engine{{}, random};
  WireReceiver receiver{engine, tun, exchange, shared};
  Result<io::DatagramSocket, io::IoError> peer =
      io::DatagramSocket::open_udp({.local = {*net::IpAddress::parse("127.0.0.1"), 0}});

  static std::vector<io::EventFd> wakeups() {
    std::vector<io::EventFd> all;
    for (int i = 0; i < 3; ++i) all.push_back(*io::EventFd::open());
    return all;
  }
  [[nodiscard]] const OuterSockets::Entry& nat_socket() const {
    for (const OuterSockets::Entry& entry : sockets->front().entries()) {
      if (entry.kind == OuterSockets::Kind::nat && entry.socket.family() == net::Family::v4) return entry;
    }
    ADD_FAILURE() << "no socket";
    return sockets->front().entries().front();
  }
  void send(std::uint32_t spi) const {
    Bytes esp(64);
    store_be32(esp.data(), spi);
    const net::Path path{peer->local(), {peer->local().address, options.nat_port}};
    ASSERT_EQ(peer->send_one(path, 0, std::vector<ByteView>{esp}), 0);
  }
  [[nodiscard]] HandoverRing& ring_to(std::uint32_t worker) const { return *shared.inboxes[worker]->from[0]; }
};

// A flow changes from an SA of one worker to a new one of another. What came before the new SA's first packet is worked
// up before anybody can have that packet.
TEST(WireReceiver, TheFirstPacketOfAnSaWaitsForThoseBeforeIt) {
  Rig rig;
  ASSERT_TRUE(rig.sockets && rig.peer);
  constexpr std::uint32_t kRounds = 20;
  constexpr std::uint32_t kOld = 0x1000;
  constexpr std::uint32_t kNew = 0x2000;
  rig.shared.owners.set(model::Spi{kOld}, 1);
  (void)rig.exchange.seen(kOld);
  std::uint32_t in_order = 0;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    rig.shared.owners.set(model::Spi{kNew + round}, 2);
    rig.send(kOld);
    rig.send(kNew + round);
    rig.send(kNew + round);
    std::jthread first([&] {
      HandoverRing& ring = rig.ring_to(1);
      while (ring.empty()) std::this_thread::yield();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (rig.ring_to(2).empty()) ++in_order;
      EXPECT_EQ(ring.take().wire.size(), 1U);
      ring.release();
    });
    std::size_t batches = 0;
    while (rig.receiver.receive(rig.nat_socket(), {})) ++batches;
    first.join();
    HandoverRing& ring = rig.ring_to(2);
    std::size_t octets = 0;
    for (const ipsec::WireInput& input : ring.take().wire) octets += input.bytes.size();
    EXPECT_EQ(octets, 128U) << "in one train or in two packets";
    ring.release();
  }
  // Nobody is waited for without end, so a machine that does nothing for a while may break a round.
  EXPECT_GT(in_order, kRounds / 2);
}

TEST(WireReceiver, AnSpiIsUnseenUntilItsFirstPacket) {
  Rig rig;
  SpiOwners& owners = rig.shared.owners;
  const model::Spi spi{0x3000};
  EXPECT_EQ(owners.look(spi), 0U) << "nobody's SPI holds nobody up";
  owners.expect(spi);
  EXPECT_EQ(owners.look(spi), SpiOwners::kUnseen);
  EXPECT_EQ(owners.seen(spi), 0U);
  EXPECT_EQ(owners.look(spi), 0U);
  owners.set(spi, kMostWorkers - 1);
  EXPECT_EQ(owners.look(spi), SpiOwners::kUnseen | (kMostWorkers - 1));
  EXPECT_EQ(owners.seen(spi), kMostWorkers - 1);
  EXPECT_EQ(owners.look(spi), kMostWorkers - 1);
}

}  // namespace
}  // namespace culvert::datapath
