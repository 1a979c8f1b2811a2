#include "io/path_mtu.hpp"

#include <gtest/gtest.h>

#include "io/testing/network_namespace.hpp"

namespace culvert::io {
namespace {

using net::IpAddress;
using testing::shell;

IpAddress at(const char* text) { return *IpAddress::parse(text); }

/// A namespace with one veth end v0 of 1500 octets (192.0.2.1/24, 192.0.2.9/24, 2001:db8:1::1/64).
class PathMtu : public ::testing::Test {
 protected:
  void SetUp() override {
    ns_ = testing::NetworkNamespace::create();
    if (!ns_) GTEST_SKIP() << testing::kNeedsRoot;
    ns_->run([&] {
      const auto made = shell(
          "set -e; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up;"
          "ip addr add 192.0.2.1/24 dev v0; ip addr add 192.0.2.9/24 dev v0;"
          "ip -6 addr add 2001:db8:1::1/64 dev v0 nodad;"
          "ip route add 198.51.100.0/24 via 192.0.2.254 mtu 1400;"
          "ip -6 route add 2001:db8:2::/64 via 2001:db8:1::fe mtu 1420");
      ASSERT_EQ(made.status, 0) << made.output;
    });
  }

  void inside(const std::function<void()>& body) { ns_->run(body); }

  std::optional<testing::NetworkNamespace> ns_;
  PathMtuProbe probe_{0};
};

TEST_F(PathMtu, EachPeersRouteIsAskedAnew) {
  inside([&] {
    EXPECT_EQ(probe_.ask(at("192.0.2.1"), at("192.0.2.2")), 1500);
    EXPECT_EQ(probe_.ask(at("192.0.2.1"), at("198.51.100.2")), 1400);
    EXPECT_EQ(probe_.ask(at("192.0.2.1"), at("192.0.2.2")), 1500);
    EXPECT_EQ(probe_.ask(at("192.0.2.9"), at("198.51.100.2")), 1400);
    EXPECT_EQ(probe_.ask(at("2001:db8:1::1"), at("2001:db8:1::2")), 1500);
    EXPECT_EQ(probe_.ask(at("2001:db8:1::1"), at("2001:db8:2::2")), 1420);
    ASSERT_EQ(shell("ip route change 198.51.100.0/24 via 192.0.2.254 mtu 1300; ip link set v0 mtu 1480").status, 0);
    EXPECT_EQ(probe_.ask(at("192.0.2.1"), at("198.51.100.2")), 1300);
    EXPECT_EQ(probe_.ask(at("192.0.2.1"), at("192.0.2.2")), 1480);
  });
}

TEST_F(PathMtu, RoutingMayChooseOurAddress) {
  inside([&] {
    // The address that the first question has got is none for the second.
    EXPECT_EQ(probe_.ask(at("0.0.0.0"), at("127.0.0.1")), 0xffff);
    EXPECT_EQ(probe_.ask(at("0.0.0.0"), at("198.51.100.2")), 1400);
    EXPECT_EQ(probe_.ask(at("0.0.0.0"), at("127.0.0.1")), 0xffff);  // another address of ours
    EXPECT_EQ(probe_.ask(at("0.0.0.0"), at("192.0.2.2")), 1500);
  });
}

TEST_F(PathMtu, WithoutARouteNothingIsKnown) {
  inside([&] {
    EXPECT_EQ(probe_.ask(at("192.0.2.1"), at("203.0.113.1")), std::nullopt);
    EXPECT_EQ(probe_.ask(at("192.0.2.77"), at("192.0.2.2")), std::nullopt);
    // Nor does a question in vain spoil the next.
    EXPECT_EQ(probe_.ask(at("192.0.2.1"), at("192.0.2.2")), 1500);
    ASSERT_EQ(shell("ip addr del 192.0.2.9/24 dev v0").status, 0);
    EXPECT_EQ(probe_.ask(at("192.0.2.9"), at("192.0.2.2")), std::nullopt);
    ASSERT_EQ(shell("ip addr add 192.0.2.9/24 dev v0").status, 0);
    EXPECT_EQ(probe_.ask(at("192.0.2.9"), at("192.0.2.2")), 1500);
  });
}

}  // namespace
}  // namespace culvert::io
