#include "io/tun.hpp"

#include <array>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include <errno.h>
#include <poll.h>
#include <sys/utsname.h>

#include <gtest/gtest.h>

#include "io/datagram_socket.hpp"
#include "io/testing/network_namespace.hpp"
#include "net/checksum.hpp"

namespace culvert::io {
namespace {

using net::IpAddress;
using testing::shell;

bool wait_readable(int fd) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, 5000) == 1;
}

DatagramSocket udp_at(const char* address) {
  UdpOptions options;
  options.local = {*IpAddress::parse(address), 0};
  auto socket = DatagramSocket::open_udp(options);
  if (!socket) ADD_FAILURE() << socket.error().text;
  return std::move(*socket);
}

/// The next IPv4 packet; the kernel's own IPv6 chatter is passed over.
TunQueue::Read next_ipv4(TunQueue& queue, MutableByteView buffer) {
  while (wait_readable(queue.fd())) {
    auto read = queue.read(buffer);
    if (read.error == 0 && read.packet[0] >> 4 == 4) return read;
  }
  return {};
}

/// An IPv4 UDP packet without a UDP checksum, which IPv4 allows.
Bytes udp_packet(const net::Endpoint& from, const net::Endpoint& to, ByteView payload) {
  ByteWriter out;
  out.u16(0x4500);
  out.u16(static_cast<std::uint16_t>(28 + payload.size()));
  out.u32(0);
  out.u16(0x4011);
  out.u16(0);
  out.bytes(from.address.bytes());
  out.bytes(to.address.bytes());
  out.patch_u16(10, net::ipv4_header_checksum(out.view().subspan(0, 20)));
  out.u16(from.port);
  out.u16(to.port);
  out.u16(static_cast<std::uint16_t>(8 + payload.size()));
  out.u16(0);
  out.bytes(payload);
  return out.take();
}

class TunPackets : public ::testing::TestWithParam<TunOffload> {};

TEST_P(TunPackets, GoBothWays) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    auto tun = Tun::open({.name = "cvt0", .mtu = 1300, .offload = GetParam()});
    ASSERT_TRUE(tun) << tun.error().text;
    EXPECT_LE(tun->offload(), GetParam());
    ASSERT_EQ(shell("ip addr add 10.77.0.1/24 dev cvt0").status, 0);
    EXPECT_NE(shell("ip -o link show cvt0").output.find("mtu 1300"), std::string::npos);

    auto socket = udp_at("10.77.0.1");
    const net::Endpoint far{*IpAddress::parse("10.77.0.2"), 999};
    const Bytes payload(50, 0x5a);
    const std::array<ByteView, 1> parts{payload};
    ASSERT_EQ(socket.send_one({socket.local(), far}, 0, parts), 0);
    Bytes buffer(66000);
    TunQueue& queue = tun->queues()[0];
    const auto read = next_ipv4(queue, buffer);
    ASSERT_EQ(read.packet.size(), 78U);
    EXPECT_TRUE(equal(read.packet.subspan(28), payload));
    EXPECT_EQ(read.header.gso_type, kVirtioGsoNone);

    const Bytes whole = udp_packet(far, socket.local(), payload);
    EXPECT_EQ(queue.write({}, whole), 0);
    const std::array<ByteView, 3> pieces{ByteView(whole).first(28), ByteView(whole).subspan(28, 1),
                                         ByteView(whole).subspan(29)};
    EXPECT_EQ(queue.write({}, pieces), 0);
    ReceiveBuffers buffers(1);
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(wait_readable(socket.fd()));
      const auto outcome = socket.receive(buffers);
      ASSERT_EQ(outcome.messages.size(), 1U);
      EXPECT_EQ(outcome.messages[0].path.remote, far);
      EXPECT_TRUE(equal(outcome.messages[0].bytes, payload));
    }
    EXPECT_NE(queue.write({}, Bytes{0xff, 0xff}), 0) << "what is no packet is refused";
  });
}

constexpr std::array<const char*, 4> kOffloadNames{"none", "checksum", "tcp", "tcp_and_udp"};
INSTANTIATE_TEST_SUITE_P(Offloads, TunPackets,
                         ::testing::Values(TunOffload::none, TunOffload::checksum, TunOffload::tcp,
                                           TunOffload::tcp_and_udp),
                         [](const auto& one) { return kOffloadNames[static_cast<std::size_t>(one.param)]; });

TEST(Tun, HandsOverTrainsOfDatagramsWhole) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    auto tun = Tun::open({.name = "cvt0", .mtu = 1300});
    ASSERT_TRUE(tun) << tun.error().text;
    if (tun->offload() != TunOffload::tcp_and_udp) GTEST_SKIP() << "this kernel has no USO for TUN (Linux 6.2)";
    ASSERT_EQ(shell("ip addr add 10.77.0.1/24 dev cvt0").status, 0);
    auto socket = udp_at("10.77.0.1");
    const Bytes payload(10 * 1000, 0x5a);
    const OutgoingMessage message{{socket.local(), {*IpAddress::parse("10.77.0.2"), 999}}, 0, 1000, payload};
    SendScratch scratch;
    ASSERT_EQ(socket.send(std::span(&message, 1), scratch).datagrams, 10U);
    Bytes buffer(66000);
    const auto read = next_ipv4(tun->queues()[0], buffer);
    EXPECT_EQ(read.packet.size(), 28 + payload.size());
    EXPECT_EQ(read.header.gso_type, kVirtioGsoUdp);
    EXPECT_EQ(read.header.gso_size, 1000);
    EXPECT_NE(read.header.flags & kVirtioNeedsChecksum, 0);
  });
}

TEST(Tun, HoldsABurstOfSmallPackets) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  for (const unsigned queues : {1U, 2U}) {
    ns->run([&] {
      auto tun = Tun::open({.name = "cvt0", .mtu = 1300, .queues = queues});
      ASSERT_TRUE(tun) << tun.error().text;
      ASSERT_EQ(shell("ip addr add 10.77.0.1/24 dev cvt0").status, 0);
      auto socket = udp_at("10.77.0.1");
      const Bytes payload(50, 0x5a);
      const std::array<ByteView, 1> parts{payload};
      constexpr unsigned kBurst = 1900;
      // One flow, so one queue of them has it all.
      for (unsigned i = 0; i < kBurst; ++i)
        ASSERT_EQ(socket.send_one({socket.local(), {*IpAddress::parse("10.77.0.2"), 999}}, 0, parts), 0);
      Bytes buffer(66000);
      unsigned waited = 0;
      for (TunQueue& queue : tun->queues()) {
        while (queue.read(buffer).error == 0) ++waited;
      }
      EXPECT_EQ(waited, kBurst);
      EXPECT_EQ(tun->queue_drops(), 0U);
      for (unsigned i = 0; i < 2 * kBurst; ++i)
        ASSERT_EQ(socket.send_one({socket.local(), {*IpAddress::parse("10.77.0.2"), 999}}, 0, parts), 0);
      waited = 0;
      for (TunQueue& queue : tun->queues()) {
        while (queue.read(buffer).error == 0) ++waited;
      }
      EXPECT_GT(tun->queue_drops(), 0U) << "twice as much is too much";
      EXPECT_EQ(tun->queue_drops() + waited, 2 * kBurst);
    });
  }
}

// What the kernel says by itself on a new link (router solicitations, group reports) is nobody's traffic.
TEST(Tun, HasNoVoiceOfItsOwn) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    ASSERT_EQ(shell("sysctl -qw net.ipv6.conf.all.forwarding=1").status, 0);
    auto tun = Tun::open({.name = "cvt0"});
    ASSERT_TRUE(tun) << tun.error().text;
    EXPECT_EQ(shell("ip -6 maddr show dev cvt0").output.find("ff02::2\n"), std::string::npos) << "the routers' group";
    const std::string link = shell("ip -d link show cvt0").output;
    EXPECT_NE(link.find("addrgenmode none"), std::string::npos) << link;
    EXPECT_EQ(link.find("MULTICAST"), std::string::npos) << link;
    ASSERT_EQ(shell("ip addr add fd77::1/64 dev cvt0 nodad").status, 0);
    EXPECT_EQ(shell("ip -6 addr show dev cvt0 scope link").output, "");
    EXPECT_NE(shell("ip route get fd77::2").output.find("dev cvt0"), std::string::npos);
  });
}

TEST(Tun, ATakenNameIsRefusedByName) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    auto first = Tun::open({.name = "cvt0"});
    ASSERT_TRUE(first) << first.error().text;
    for (const char* name : {"cvt0", "lo"}) {
      const auto second = Tun::open({.name = name});
      ASSERT_FALSE(second);
      EXPECT_EQ(second.error().code, IoErrorCode::name_taken);
      EXPECT_NE(second.error().text.find(name), std::string::npos);
    }
  });
}

TEST(Tun, ABadNameOrMtuIsRefused) {
  EXPECT_FALSE(Tun::open({.name = ""}));
  EXPECT_FALSE(Tun::open({.name = "sixteen-letters!"}));
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    const auto tun = Tun::open({.name = "cvt0", .mtu = 20});
    ASSERT_FALSE(tun);
    EXPECT_NE(tun.error().text.find("MTU"), std::string::npos) << tun.error().text;
    EXPECT_NE(shell("ip link show cvt0").status, 0) << "nothing half made is left";
  });
}

TEST(Tun, KnowsWhetherTheHostForwardsWhatComesFromIt) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    const auto tun = Tun::open({.name = "cvt0"});
    ASSERT_TRUE(tun) << tun.error().text;
    for (const char* const v4 : {"0", "1"}) {
      for (const char* const v6 : {"1", "0"}) {
        ASSERT_EQ(shell(std::string("sysctl -qw net.ipv4.ip_forward=") + v4).status, 0);
        ASSERT_EQ(shell(std::string("sysctl -qw net.ipv6.conf.cvt0.forwarding=") + v6).status, 0);
        EXPECT_EQ(tun->forwards(net::Family::v4), *v4 == '1');
        EXPECT_EQ(tun->forwards(net::Family::v6), *v6 == '1');
      }
    }
  });
}

// Linux takes TCP over IPv4 beyond 65,535 octets since 6.3.
TEST(Tun, KnowsWhetherTheKernelTakesBigTcp) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    const auto tun = Tun::open({.name = "cvt0"});
    ASSERT_TRUE(tun) << tun.error().text;
    utsname kernel{};
    ASSERT_EQ(::uname(&kernel), 0);
    int major = 0;
    int minor = 0;
    ASSERT_EQ(std::sscanf(kernel.release, "%d.%d", &major, &minor), 2);
    EXPECT_EQ(tun->takes_big_tcp(), major > 6 || (major == 6 && minor >= 3)) << kernel.release;
  });
}

TEST(Tun, SeveralQueuesShareOneInterface) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    auto tun = Tun::open({.name = "cvt%d", .queues = 3});
    ASSERT_TRUE(tun) << tun.error().text;
    EXPECT_EQ(tun->queues().size(), 3U);
    EXPECT_EQ(tun->name(), "cvt0");
  });
}

// A flow that changed its queue when it is answered would overtake itself.
TEST(Tun, AnAnswerLeavesItsFlowInItsQueue) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    constexpr std::size_t kFlows = 32;
    auto tun = Tun::open({.name = "cvt0", .queues = 3});
    ASSERT_TRUE(tun) << tun.error().text;
    ASSERT_EQ(shell("ip addr add 10.77.0.1/24 dev cvt0").status, 0);
    const net::Endpoint far{*IpAddress::parse("10.77.0.2"), 999};
    std::vector<DatagramSocket> sockets;
    for (std::size_t i = 0; i < kFlows; ++i) sockets.push_back(udp_at("10.77.0.1"));
    const Bytes payload(50, 0x5a);
    const std::array<ByteView, 1> parts{payload};
    Bytes buffer(66000);
    const auto queue_of_next = [&]() -> std::size_t {
      std::array<pollfd, 3> waiting{};
      for (std::size_t i = 0; i < waiting.size(); ++i) waiting[i] = {tun->queues()[i].fd(), POLLIN, 0};
      while (::poll(waiting.data(), waiting.size(), 5000) > 0) {
        for (std::size_t i = 0; i < waiting.size(); ++i) {
          if (tun->queues()[i].read(buffer).packet.size() == 28 + payload.size()) return i;
        }
      }
      return waiting.size();
    };
    std::set<std::size_t> used;
    for (DatagramSocket& socket : sockets) {
      ASSERT_EQ(socket.send_one({socket.local(), far}, 0, parts), 0);
      const std::size_t queue = queue_of_next();
      used.insert(queue);
      for (TunQueue& answers : tun->queues()) {
        ASSERT_EQ(answers.write({}, udp_packet(far, socket.local(), payload)), 0);
        ASSERT_EQ(socket.send_one({socket.local(), far}, 0, parts), 0);
        ASSERT_EQ(queue_of_next(), queue);
      }
    }
    EXPECT_EQ(used, (std::set<std::size_t>{0, 1, 2})) << "flows are spread";
  });
}

TEST(Tun, VanishesWithTheObjectAndTellsWhenItIsDeleted) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    {
      auto tun = Tun::open({.name = "cvt0"});
    }
    EXPECT_NE(shell("ip link show cvt0").status, 0);
    auto tun = Tun::open({.name = "cvt0"});
    ASSERT_TRUE(tun);
    ASSERT_EQ(shell("ip link del cvt0").status, 0);
    Bytes buffer(2000);
    const int error = tun->queues()[0].read(buffer).error;
    EXPECT_NE(error, 0);
    EXPECT_NE(error, EAGAIN);
  });
}

}  // namespace
}  // namespace culvert::io
