#include "io/steering.hpp"

#include <array>
#include <set>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/socket_address.hpp"
#include "io/testing/network_namespace.hpp"

namespace culvert::io {
namespace {

constexpr std::uint32_t kShares = 3;

std::size_t waiting(const DatagramSocket& socket) {
  ReceiveBuffers buffers(16);
  std::size_t count = 0;
  for (;;) {
    const auto outcome = socket.receive(buffers);
    count += outcome.messages.size();
    if (outcome.error != 0) return count;
  }
}

TEST(Steering, SharesAreEvenAndTheSameEachTime) {
  for (const net::Family family : {net::Family::v4, net::Family::v6}) {
    std::array<int, kShares> counts{};
    for (int i = 0; i < 3000; ++i) {
      const auto text = family == net::Family::v4 ? fmt::format("10.1.{}.{}", i / 250, i % 250)
                                                  : fmt::format("2001:db8::{:x}:{:x}", i / 250, i % 250);
      const auto address = *net::IpAddress::parse(text);
      const std::uint32_t share = share_of(address, kShares);
      ASSERT_LT(share, kShares);
      EXPECT_EQ(share, share_of(address, kShares));
      ++counts[share];
    }
    for (const int count : counts) EXPECT_NEAR(count, 1000, 250);
  }
}

// The kernel's program against ours, by the addresses of the loopback network.
TEST(Steering, TheKernelChoosesTheSocketThatShareOfNames) {
  auto first = DatagramSocket::open_udp({.local = {*net::IpAddress::parse("0.0.0.0"), 0}});
  ASSERT_TRUE(first) << first.error().text;
  auto only_sends = first->sender(true);
  ASSERT_TRUE(only_sends) << only_sends.error().text;
  std::vector<DatagramSocket> group;
  group.push_back(std::move(*first));
  for (std::uint32_t i = 1; i < kShares; ++i) {
    auto sibling = group.front().sibling();
    ASSERT_TRUE(sibling) << sibling.error().text;
    EXPECT_EQ(sibling->local(), group.front().local());
    // A further socket to send from, beside the whole group.
    auto sender = group.front().sender(false);
    ASSERT_TRUE(sender) << sender.error().text;
    group.push_back(std::move(*sibling));
  }
  const auto steered = steer_group(group.front(), kShares);
  ASSERT_TRUE(steered) << steered.error().text;

  std::set<std::uint32_t> seen;
  for (int i = 1; i < 40; ++i) {
    const auto source = *net::IpAddress::parse(fmt::format("127.0.{}.{}", i, 2 * i));
    const FileDescriptor peer(::socket(AF_INET, SOCK_DGRAM, 0));
    sockaddr_storage address{};
    socklen_t length = to_sockaddr({source, 0}, address);
    ASSERT_EQ(::bind(peer.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
    length = to_sockaddr({*net::IpAddress::parse("127.0.0.1"), group.front().local().port}, address);
    for (const std::size_t size : {1, 1000}) {
      const Bytes packet(size, 1);
      ASSERT_EQ(::sendto(peer.get(), packet.data(), size, 0, reinterpret_cast<const sockaddr*>(&address), length),
                static_cast<ssize_t>(size));
    }
    const std::uint32_t share = share_of(source, kShares);
    seen.insert(share);
    for (std::uint32_t j = 0; j < kShares; ++j)
      EXPECT_EQ(waiting(group[j]), j == share ? 2U : 0U) << source.to_string();
  }
  EXPECT_EQ(seen.size(), kShares);

  // The port is nobody else's.
  const auto another = DatagramSocket::open_udp({.local = group.front().local()});
  ASSERT_FALSE(another);
  EXPECT_EQ(another.error().code, IoErrorCode::address_in_use);
}

TEST(Steering, ARawSocketKeepsItsShareOnly) {
  auto space = testing::NetworkNamespace::create();
  if (!space) GTEST_SKIP() << testing::kNeedsRoot;
  for (const net::Family family : {net::Family::v4, net::Family::v6}) {
    space->run([&] {
      std::vector<DatagramSocket> group;
      for (std::uint32_t i = 0; i < kShares; ++i) {
        auto socket = DatagramSocket::open_raw({.family = family, .protocol = 50});
        ASSERT_TRUE(socket) << socket.error().text;
        const auto kept = keep_share(*socket, i, kShares);
        ASSERT_TRUE(kept) << kept.error().text;
        group.push_back(std::move(*socket));
      }
      const bool v4 = family == net::Family::v4;
      for (int i = 1; i < 12; ++i) {
        const std::string text = v4 ? fmt::format("127.0.{}.{}", i, 2 * i) : fmt::format("2001:db8::{}:{}", i, 2 * i);
        if (!v4) (void)testing::shell("ip -6 addr add " + text + "/128 dev lo nodad");
        const auto source = *net::IpAddress::parse(text);
        const FileDescriptor peer(::socket(v4 ? AF_INET : AF_INET6, SOCK_RAW, 50));
        sockaddr_storage address{};
        socklen_t length = to_sockaddr({source, 0}, address);
        ASSERT_EQ(::bind(peer.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
        length = to_sockaddr({*net::IpAddress::parse(v4 ? "127.0.0.1" : "::1"), 0}, address);
        const Bytes packet(100, 1);
        ASSERT_EQ(::sendto(peer.get(), packet.data(), 100, 0, reinterpret_cast<const sockaddr*>(&address), length),
                  100);
        const std::uint32_t share = share_of(source, kShares);
        for (std::uint32_t j = 0; j < kShares; ++j) EXPECT_EQ(waiting(group[j]), j == share ? 1U : 0U) << text;
      }
    });
  }
}

}  // namespace
}  // namespace culvert::io
