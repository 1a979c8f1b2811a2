#include "io/routes.hpp"

#include <array>
#include <memory>

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "io/addresses.hpp"
#include "io/file_descriptor.hpp"
#include "io/kernel_ipsec.hpp"
#include "io/network_monitor.hpp"
#include "io/testing/network_namespace.hpp"
#include "io/tun.hpp"

namespace culvert::io {
namespace {

using net::IpAddress;
using net::Prefix;
using testing::shell;

TunnelRoute to(const char* prefix, TunnelRoute::Kind kind = TunnelRoute::Kind::tunnel, const char* source = nullptr) {
  TunnelRoute route{*Prefix::parse(prefix), kind, {}};
  if (source != nullptr) route.preferred_source = IpAddress::parse(source);
  return route;
}

/// All but what the kernel adds by itself, a little later than asked (link-local addresses and the routes of links).
std::string routing_state() {
  return shell(
             "ip rule; ip -6 rule; { ip route show table all; ip -6 route show table all; } | grep -v 'proto kernel';"
             "ip -o addr show scope global | cut -d' ' -f2-7")
      .output;
}

bool goes_into(const std::string& destination, const std::string& device, const std::string& extra = "") {
  return shell("ip route get " + destination + " " + extra).output.find("dev " + device + " ") != std::string::npos;
}

/// A namespace with one veth end v0 (192.0.2.1/24 and 2001:db8:1::1/64, default routes over it) and a TUN.
class Routing : public ::testing::Test {
 protected:
  void SetUp() override {
    ns_ = testing::NetworkNamespace::create();
    if (!ns_) GTEST_SKIP() << testing::kNeedsRoot;
    inside([&] {
      const auto made = shell(
          "set -e; ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up;"
          "ip addr add 192.0.2.1/24 dev v0; ip addr add 10.1.0.1/24 dev v0; ip route add default via 192.0.2.254;"
          "ip -6 addr add 2001:db8:1::1/64 dev v0 nodad; ip -6 addr add fd01::1/64 dev v0 nodad;"
          "ip -6 route add default via 2001:db8:1::fe dev v0");
      ASSERT_EQ(made.status, 0) << made.output;
      before_ = routing_state();
      open_tun();
    });
  }
  void TearDown() override {
    if (ns_) inside([&] { tun_.reset(); });
  }
  void inside(const std::function<void()>& work) const { ns_->run(work); }
  void open_tun() {
    auto tun = Tun::open({.name = "cvt0"});
    ASSERT_TRUE(tun) << tun.error().text;
    tun_ = std::make_unique<Tun>(std::move(*tun));
  }
  TunnelRoutes open_routes() {
    auto routes = TunnelRoutes::open(options_, tun_->index());
    if (!routes) ADD_FAILURE() << routes.error().text;
    return std::move(*routes);
  }

  /// Routes whose destructor never runs, as after SIGKILL; reachable, so that no leak is reported.
  TunnelRoutes& open_and_never_close() {
    static auto* const killed = new std::vector<std::unique_ptr<TunnelRoutes>>;  // NOLINT: see above
    killed->push_back(std::make_unique<TunnelRoutes>(open_routes()));
    return *killed->back();
  }

  RoutingOptions options_;
  std::optional<testing::NetworkNamespace> ns_;
  std::unique_ptr<Tun> tun_;
  std::string before_;
};

TEST_F(Routing, RemoteNetworksGoIntoTunAndMarkedPacketsPast) {
  inside([&] {
    {
      auto routes = open_routes();
      const auto applied =
          routes.apply({to("10.2.0.0/16", TunnelRoute::Kind::tunnel, "10.1.0.1"), to("192.0.2.2/32"),
                        to("fd02::/64", TunnelRoute::Kind::tunnel, "fd01::1"),
                        to("10.2.3.0/24", TunnelRoute::Kind::around), to("10.2.4.0/24", TunnelRoute::Kind::block)});
      ASSERT_TRUE(applied) << applied.error().text;
      EXPECT_TRUE(goes_into("10.2.9.9", "cvt0"));
      EXPECT_NE(shell("ip route get 10.2.9.9").output.find("src 10.1.0.1"), std::string::npos);
      EXPECT_TRUE(goes_into("192.0.2.2", "cvt0")) << "a tunnel to the peer's own address";
      EXPECT_TRUE(goes_into("192.0.2.2", "v0", "mark 4500")) << "which our own packets pass by";
      EXPECT_TRUE(goes_into("10.2.9.9", "v0", "mark 4500"));
      EXPECT_TRUE(goes_into("192.0.2.3", "v0"));
      EXPECT_TRUE(goes_into("fd02::9", "cvt0"));
      EXPECT_NE(shell("ip route get fd02::9").output.find("src fd01::1"), std::string::npos);
      EXPECT_TRUE(goes_into("fd02::9", "v0", "mark 4500"));
      EXPECT_TRUE(goes_into("10.2.3.1", "v0")) << "around the tunnel";
      EXPECT_NE(shell("ip route get 10.2.4.1").status, 0) << "blocked";
    }
    EXPECT_EQ(shell("ip route show table 4500; ip -6 route show table 4500").output.find("10.2"), std::string::npos);
    tun_.reset();
    EXPECT_EQ(routing_state(), before_) << "everything was taken back";
  });
}

TEST_F(Routing, ApplyChangesOnlyWhatDiffers) {
  inside([&] {
    auto routes = open_routes();
    ASSERT_TRUE(routes.apply({to("10.2.0.0/16"), to("10.3.0.0/16")}));
    ASSERT_TRUE(routes.apply({to("10.3.0.0/16"), to("10.4.0.0/16", TunnelRoute::Kind::around)}));
    EXPECT_TRUE(goes_into("10.2.0.1", "v0"));
    EXPECT_TRUE(goes_into("10.3.0.1", "cvt0"));
    // The same prefix in another kind, and back with a source.
    ASSERT_TRUE(routes.apply({to("10.3.0.0/16", TunnelRoute::Kind::around)}));
    EXPECT_TRUE(goes_into("10.3.0.1", "v0"));
    ASSERT_TRUE(routes.apply({to("10.3.0.0/16", TunnelRoute::Kind::tunnel, "10.1.0.1")}));
    EXPECT_TRUE(goes_into("10.3.0.1", "cvt0"));
    EXPECT_NE(shell("ip route get 10.3.0.1").output.find("src 10.1.0.1"), std::string::npos);
    ASSERT_TRUE(routes.apply({to("10.3.0.0/16")}));
    EXPECT_TRUE(goes_into("10.3.0.1", "cvt0"));
    EXPECT_EQ(shell("ip route show table 4500 | wc -l").output, "2\n") << "one route and its guard";
  });
}

TEST_F(Routing, ARouteThatTheKernelTookAwayComesBack) {
  inside([&] {
    auto routes = open_routes();
    const std::vector<TunnelRoute> wanted{to("10.2.0.0/16", TunnelRoute::Kind::tunnel, "10.1.0.1"),
                                          to("fd02::/64", TunnelRoute::Kind::tunnel, "fd01::1")};
    ASSERT_TRUE(routes.apply(wanted));
    shell("ip link set cvt0 down; ip link set cvt0 up");
    EXPECT_FALSE(goes_into("10.2.0.1", "cvt0"));
    ASSERT_TRUE(routes.apply(wanted));
    EXPECT_TRUE(goes_into("10.2.0.1", "cvt0"));
    EXPECT_TRUE(goes_into("fd02::1", "cvt0"));
  });
}

TEST_F(Routing, ARouteThatFailsIsBlockedAndHoldsUpNoOther) {
  inside([&] {
    {
      auto routes = open_routes();
      ASSERT_TRUE(routes.apply({to("10.2.0.0/16")}));
      const auto applied = routes.apply(
          {to("10.2.0.0/16"), to("10.3.0.0/16", TunnelRoute::Kind::tunnel, "10.99.99.99"), to("10.4.0.0/16")});
      ASSERT_FALSE(applied);
      EXPECT_NE(applied.error().text.find("10.3.0.0/16"), std::string::npos) << applied.error().text;
      EXPECT_TRUE(goes_into("10.2.0.1", "cvt0"));
      EXPECT_TRUE(goes_into("10.4.0.1", "cvt0"));
      EXPECT_NE(shell("ip route get 10.3.0.1").status, 0) << "must not leave in clear";
      // What failed is tried again, and forgotten when it is no longer wanted.
      shell("ip addr add 10.99.99.99/32 dev v0");
      ASSERT_TRUE(routes.apply({to("10.3.0.0/16", TunnelRoute::Kind::tunnel, "10.99.99.99")}));
      EXPECT_TRUE(goes_into("10.3.0.1", "cvt0"));
      shell("ip addr del 10.99.99.99/32 dev v0");
      ASSERT_FALSE(routes.apply({to("10.5.0.0/16", TunnelRoute::Kind::tunnel, "10.99.99.99")}));
      ASSERT_TRUE(routes.apply({}));
      EXPECT_EQ(shell("ip route show table 4500").output, "");
      ASSERT_FALSE(routes.apply({to("10.5.0.0/16", TunnelRoute::Kind::tunnel, "10.99.99.99")}));
    }
    tun_.reset();
    EXPECT_EQ(routing_state(), before_) << "everything was taken back";
  });
}

TEST_F(Routing, WithIpv6SwitchedOffIpv4IsStillProtected) {
  inside([&] {
    ASSERT_EQ(shell("sysctl -qw net.ipv6.conf.cvt0.disable_ipv6=1").status, 0);
    auto routes = open_routes();
    EXPECT_FALSE(routes.apply({to("10.2.0.0/16"), to("fd02::/64")}));
    EXPECT_TRUE(goes_into("10.2.0.1", "cvt0"));
    EXPECT_NE(shell("ip route get fd02::1").status, 0);
  });
}

TEST_F(Routing, AForeignRuleForTheSameTableStays) {
  inside([&] {
    ASSERT_EQ(shell("ip rule add from 203.0.113.7 priority 4500 table 4500").status, 0);
    const std::string before = routing_state();
    {
      auto routes = open_routes();
      ASSERT_TRUE(routes.apply({to("10.2.0.0/16")}));
    }
    tun_.reset();
    EXPECT_EQ(routing_state(), before);
    ASSERT_TRUE(TunnelRoutes::purge(options_));
    EXPECT_EQ(routing_state(), before);
  });
}

TEST_F(Routing, AKilledProcessLeavesGuardsThatTheNextOneReplaces) {
  inside([&] {
    auto& killed = open_and_never_close();
    ASSERT_TRUE(killed.apply({to("10.2.0.0/16"), to("10.3.0.0/16"), to("fd02::/64")}));
    tun_.reset();
    EXPECT_NE(shell("ip route get 10.2.0.1").status, 0);
    EXPECT_NE(shell("ip route get fd02::1").status, 0);
    EXPECT_TRUE(goes_into("10.2.0.1", "v0", "mark 4500"));

    open_tun();
    {
      auto routes = open_routes();
      EXPECT_NE(shell("ip route get 10.3.0.1").status, 0) << "guarded until the new routes stand";
      ASSERT_TRUE(routes.apply({to("10.2.0.0/16")}));
      EXPECT_TRUE(goes_into("10.2.0.1", "cvt0"));
      EXPECT_TRUE(goes_into("10.3.0.1", "v0")) << "no longer configured";
      EXPECT_EQ(shell("ip rule show table 4500 | wc -l").output, "1\n");
    }
    tun_.reset();
    const auto purged = TunnelRoutes::purge(options_);
    ASSERT_TRUE(purged);
    EXPECT_EQ(routing_state(), before_);
  });
}

TEST_F(Routing, TheRuleOfAKilledProcessStandsAllTheTime) {
  inside([&] {
    auto& killed = open_and_never_close();
    ASSERT_TRUE(killed.apply({to("10.2.0.0/16"), to("fd02::/64")}));
    tun_.reset();
    open_tun();
    auto routes = open_routes();
    // A rule that is removed and added again is news to whoever listens for them.
    const FileDescriptor news(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    sockaddr_nl groups{};
    groups.nl_family = AF_NETLINK;
    groups.nl_groups = (1U << (RTNLGRP_IPV4_RULE - 1)) | (1U << (RTNLGRP_IPV6_RULE - 1));
    ASSERT_EQ(::bind(news.get(), reinterpret_cast<sockaddr*>(&groups), sizeof groups), 0);
    ASSERT_TRUE(routes.apply({to("10.2.0.0/16"), to("fd02::/64")}));
    std::array<char, 512> message;
    EXPECT_LT(::recv(news.get(), message.data(), message.size(), 0), 0);
    EXPECT_EQ(shell("ip rule show table 4500 | wc -l; ip -6 rule show table 4500 | wc -l").output, "1\n1\n");
  });
}

TEST_F(Routing, AnotherMarkReplacesTheRuleOfAKilledProcess) {
  inside([&] {
    ASSERT_TRUE(open_and_never_close().apply({to("10.2.0.0/16")}));
    tun_.reset();
    options_.mark = 77;
    open_tun();
    {
      auto routes = open_routes();
      ASSERT_TRUE(routes.apply({to("10.2.0.0/16")}));
      EXPECT_EQ(shell("ip rule show table 4500 | wc -l").output, "1\n");
      EXPECT_TRUE(goes_into("10.2.0.1", "v0", "mark 77"));
      EXPECT_TRUE(goes_into("10.2.0.1", "cvt0", "mark 4500"));
    }
    tun_.reset();
    EXPECT_EQ(routing_state(), before_);
  });
}

TEST_F(Routing, TheRuleOfAFamilyNoLongerUsedGoes) {
  inside([&] {
    ASSERT_TRUE(open_and_never_close().apply({to("10.2.0.0/16"), to("fd02::/64")}));
    tun_.reset();
    open_tun();
    auto routes = open_routes();
    ASSERT_TRUE(routes.apply({to("10.2.0.0/16")}));
    EXPECT_EQ(shell("ip rule show table 4500 | wc -l; ip -6 rule show table 4500 | wc -l").output, "1\n0\n");
  });
}

TEST_F(Routing, PurgeClearsEverythingOfAKilledProcess) {
  inside([&] {
    auto& killed = open_and_never_close();
    ASSERT_TRUE(killed.apply({to("10.2.0.0/16"), to("fd02::/64")}));
    tun_.reset();
    const auto purged = TunnelRoutes::purge(options_);
    ASSERT_TRUE(purged) << purged.error().text;
    EXPECT_EQ(*purged, 4U) << "two rules, two guards";
    EXPECT_EQ(routing_state(), before_);
  });
}

TEST_F(Routing, TheMainTableNeedsNoRule) {
  options_.table = 254;
  inside([&] {
    {
      auto routes = open_routes();
      ASSERT_TRUE(routes.apply({to("10.2.0.0/16")}));
      EXPECT_TRUE(goes_into("10.2.0.1", "cvt0"));
    }
    tun_.reset();
    EXPECT_EQ(routing_state(), before_);
  });
}

TEST_F(Routing, AddressesAreListedChosenAddedAndTakenBack) {
  inside([&] {
    const auto addresses = local_addresses();
    ASSERT_TRUE(addresses);
    const std::vector<net::AddressRange> inner{*net::AddressRange::parse("10.1.0.0/16")};
    EXPECT_EQ(local_address_within(*addresses, inner), IpAddress::parse("10.1.0.1"));
    EXPECT_FALSE(local_address_within(*addresses, {*net::AddressRange::parse("10.9.0.0/16")}));
    EXPECT_FALSE(local_address_within(*addresses, {*net::AddressRange::parse("127.0.0.0/8")}));
    EXPECT_EQ(local_address_within(*addresses, {*net::AddressRange::parse("fd01::/16")}), IpAddress::parse("fd01::1"));
    {
      auto added = AddedAddresses::open(tun_->index());
      ASSERT_TRUE(added);
      ASSERT_TRUE(added->add(*IpAddress::parse("10.50.0.1"), 32));
      ASSERT_TRUE(added->add(*IpAddress::parse("fd50::1"), 128));
      EXPECT_TRUE(added->add(*IpAddress::parse("fd50::1"), 128)) << "twice is no error";
      EXPECT_NE(shell("ip addr show cvt0").output.find("10.50.0.1/32"), std::string::npos);
      EXPECT_EQ(shell("ip addr show cvt0 | grep fd50::1").output.find("tentative"), std::string::npos);
      added->remove(*IpAddress::parse("10.50.0.1"));
      EXPECT_EQ(shell("ip addr show cvt0").output.find("10.50.0.1"), std::string::npos);
    }
    EXPECT_EQ(shell("ip addr show cvt0").output.find("fd50::1"), std::string::npos);
  });
}

TEST_F(Routing, ThePathToAPeerIsTheMarkedOne) {
  inside([&] {
    auto routes = open_routes();
    ASSERT_TRUE(routes.apply({to("198.51.100.0/24", TunnelRoute::Kind::tunnel, "10.1.0.1")}));
    EXPECT_EQ(*local_address_towards(*IpAddress::parse("198.51.100.2"), 4500), *IpAddress::parse("192.0.2.1"));
    EXPECT_EQ(*local_address_towards(*IpAddress::parse("198.51.100.2"), 0), *IpAddress::parse("10.1.0.1"));
    EXPECT_EQ(*local_address_towards(*IpAddress::parse("2001:db8:1::2"), 4500), *IpAddress::parse("2001:db8:1::1"));
    EXPECT_EQ(*local_address_towards(*IpAddress::parse("198.51.100.2"), 4500, IpAddress::parse("10.1.0.1")),
              *IpAddress::parse("10.1.0.1"));
    const auto foreign = local_address_towards(*IpAddress::parse("198.51.100.2"), 4500, IpAddress::parse("192.0.2.77"));
    ASSERT_FALSE(foreign);
    EXPECT_EQ(foreign.error().code, IoErrorCode::address_unavailable);
    EXPECT_NE(foreign.error().text.find("192.0.2.77"), std::string::npos);
    shell("ip route del default");
    const auto none = local_address_towards(*IpAddress::parse("203.0.113.5"), 4500);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, IoErrorCode::unreachable);
    EXPECT_NE(none.error().text.find("203.0.113.5"), std::string::npos);
  });
}

TEST_F(Routing, TheMonitorSeesForeignChangesOnly) {
  inside([&] {
    auto routes = open_routes();
    auto monitor = NetworkMonitor::open();
    ASSERT_TRUE(monitor);
    ASSERT_TRUE(routes.apply({to("10.2.0.0/16")}));
    EXPECT_FALSE(monitor->take(options_.protocol).ways());
    shell("ip addr add 192.0.2.9/24 dev v0");
    EXPECT_TRUE(monitor->take(options_.protocol).addresses);
    EXPECT_FALSE(monitor->take(options_.protocol).ways());
    shell("ip route add 203.0.113.0/24 via 192.0.2.254");
    EXPECT_TRUE(monitor->take(options_.protocol).routes);
    shell("ip link set v1 down");
    EXPECT_TRUE(monitor->take(options_.protocol).links);
    (void)monitor->take(options_.protocol);
    for (const char* const setting : {"net.ipv4.ip_forward", "net.ipv6.conf.v0.forwarding"}) {
      shell(fmt::format("sysctl -qw {}=1", setting));
      const auto changes = monitor->take(options_.protocol);
      EXPECT_TRUE(changes.forwarding) << setting;
      EXPECT_FALSE(changes.addresses || changes.links) << setting;
    }
  });
}

TEST_F(Routing, TheKernelsOwnIpsecIsNoticed) {
  inside([&] {
    const KernelIpsec idle = kernel_ipsec();
    if (!idle.available) GTEST_SKIP() << "this kernel has no XFRM";
    EXPECT_FALSE(idle.in_use());
    if (shell("ip xfrm policy add src 10.0.0.0/8 dst 10.2.0.0/16 dir out action block").status != 0) {
      GTEST_SKIP() << "this kernel takes no XFRM policies";
    }
    EXPECT_EQ(kernel_ipsec().policies, 1U);
  });
}

}  // namespace
}  // namespace culvert::io
