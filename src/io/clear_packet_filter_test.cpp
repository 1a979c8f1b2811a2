#include "io/clear_packet_filter.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <gtest/gtest.h>

#include "io/file_descriptor.hpp"
#include "io/socket_address.hpp"
#include "io/tcp_socket.hpp"
#include "io/testing/network_namespace.hpp"

namespace culvert::io {
namespace {

using testing::NetworkNamespace;
using testing::shell;

net::AddressRange range(const char* text) { return *net::AddressRange::parse(text); }

ClearPacketRule drop(const char* source, const char* destination) {
  return {.accept = false, .source = range(source), .destination = range(destination)};
}

/// `here` with 192.0.2.1 and 10.1.0.1, `there` with 192.0.2.2 and 10.2.0.1, each with a route to the other.
class ClearPackets : public ::testing::Test {
 protected:
  void SetUp() override {
    here_ = NetworkNamespace::create();
    there_ = NetworkNamespace::create();
    if (!here_ || !there_) GTEST_SKIP() << testing::kNeedsRoot;
    const auto made = here_->command("ip link add v0 type veth peer name v1; ip link set v1 netns " + there_->path());
    ASSERT_EQ(made.status, 0) << made.output;
    set_up(*here_, "v0", "1", "2");
    set_up(*there_, "v1", "2", "1");
  }
  static void set_up(const NetworkNamespace& ns, const std::string& link, const std::string& own,
                     const std::string& other) {
    const auto done = ns.command("set -e; ip link set " + link + " up; ip addr add 192.0.2." + own + "/24 dev " + link +
                                 "; ip addr add 10." + own + ".0.1/16 dev " + link + "; ip addr add fd0" + own +
                                 "::1/64 dev " + link + " nodad; ip route add 10." + other + ".0.0/16 via 192.0.2." +
                                 other + "; ip -6 route add fd0" + other + "::/64 dev " + link);
    ASSERT_EQ(done.status, 0) << done.output;
  }
  /// Whether an answer comes in the end: on a busy machine the first ping may find the link not ready yet.
  bool reaches(const std::string& source, const std::string& destination) const {
    for (int attempt = 0; attempt < 5; ++attempt) {
      if (ping(source, destination)) return true;
    }
    return false;
  }
  bool ping(const std::string& source, const std::string& destination) const {
    return there_->command("ping -c 1 -W 1 -I " + source + " " + destination).status == 0;
  }

  ClearPacketOptions options_{.tun_name = "cvt0"};
  std::optional<NetworkNamespace> here_;
  std::optional<NetworkNamespace> there_;
};

// RFC 4301 5.2: what should have come protected and did not is dropped; all else is not this filter's.
TEST_F(ClearPackets, WhatShouldBeProtectedIsDroppedAndCounted) {
  here_->run([&] {
    ASSERT_TRUE(reaches("10.2.0.1", "10.1.0.1")) << "without the filter";
    {
      ClearPacketFilter filter(options_);
      const auto done = filter.apply({drop("10.2.0.0/16", "10.1.0.0/16"), drop("fd02::/64", "fd01::/64")});
      ASSERT_TRUE(done) << done.error().text;
      EXPECT_EQ(filter.dropped(), 0U);
      EXPECT_FALSE(ping("10.2.0.1", "10.1.0.1"));
      EXPECT_FALSE(ping("fd02::1", "fd01::1"));
      EXPECT_EQ(filter.dropped(), 2U);
      EXPECT_TRUE(reaches("192.0.2.2", "192.0.2.1")) << "not among the rules";
      EXPECT_TRUE(reaches("192.0.2.2", "10.1.0.1")) << "another source";
    }
    EXPECT_TRUE(reaches("10.2.0.1", "10.1.0.1")) << "the filter went with its object";
  });
}

TEST_F(ClearPackets, WhatComesOutOfTunPassesByItsNumber) {
  here_->run([&] {
    ASSERT_TRUE(reaches("10.2.0.1", "10.1.0.1"));
    for (const bool is_tun : {false, true}) {
      // As if "there" were at the far end of the tunnels.
      options_.tun_index = ::if_nametoindex(is_tun ? "v0" : "lo");
      ClearPacketFilter filter(options_);
      const auto done = filter.apply({drop("10.2.0.0/16", "10.1.0.0/16"), drop("fd02::/64", "fd01::/64")});
      ASSERT_TRUE(done) << done.error().text;
      EXPECT_EQ(reaches("10.2.0.1", "10.1.0.1"), is_tun);
      EXPECT_EQ(reaches("fd02::1", "fd01::1"), is_tun);
    }
  });
}

// What no rule can drop is let through by one look at its source: no source that a rule names may be among that.
TEST_F(ClearPackets, NoProtectedSourceIsTakenForAnOutsider) {
  here_->run([&] {
    ASSERT_TRUE(reaches("10.2.0.1", "10.1.0.1") && reaches("192.0.2.2", "192.0.2.1") && reaches("fd02::1", "fd01::1"));
    ClearPacketFilter filter(options_);
    ClearPacketRule passes = drop("10.2.0.0/24", "10.1.0.0/16");
    passes.accept = true;
    passes.protocol = 17;
    ASSERT_TRUE(filter.apply({passes, drop("192.0.2.2/32", "0.0.0.0/0"), drop("10.2.0.1/32", "0.0.0.0/0")}));
    EXPECT_FALSE(ping("192.0.2.2", "192.0.2.1")) << "the last of them";
    EXPECT_FALSE(ping("10.2.0.1", "10.1.0.1")) << "the first";
    EXPECT_TRUE(reaches("fd02::1", "fd01::1")) << "no rule names IPv6";
    ASSERT_TRUE(filter.apply({drop("10.2.0.1/32", "0.0.0.0/0"), drop("192.0.2.2/32", "0.0.0.0/0")}));
    EXPECT_FALSE(ping("192.0.2.2", "192.0.2.1")) << "in the other order";
    EXPECT_FALSE(ping("10.2.0.1", "10.1.0.1"));
    ASSERT_TRUE(filter.apply({drop("fd02::1/128", "::/0")}));
    EXPECT_FALSE(ping("fd02::1", "fd01::1"));
    EXPECT_TRUE(reaches("10.2.0.1", "10.1.0.1")) << "no rule names IPv4";
    ASSERT_TRUE(filter.apply({drop("0.0.0.0/0", "10.1.0.0/16")}));
    EXPECT_FALSE(ping("10.2.0.1", "10.1.0.1")) << "whatever the source";
    EXPECT_TRUE(reaches("192.0.2.2", "192.0.2.1"));
  });
}

// RFC 9329: where the peer's own address is protected, the TCP streams to it are not what should have come protected.
TEST_F(ClearPackets, TcpStreamsOfOurOwnComeBack) {
  constexpr std::uint16_t kPort = 4500;
  const net::IpAddress here = *net::IpAddress::parse("192.0.2.1");
  const net::IpAddress there = *net::IpAddress::parse("192.0.2.2");
  FileDescriptor listener;
  there_->run([&] {
    auto opened = listen_tcp({there, kPort, net::Transport::tcp}, 0);
    ASSERT_TRUE(opened) << opened.error().text;
    listener = std::move(*opened);
  });
  const auto connects = [&](std::uint32_t mark) {
    auto bound = bind_tcp(here, mark);
    EXPECT_TRUE(bound);
    if (!bound || connect_tcp(bound->fd, {there, kPort, net::Transport::tcp}) != EINPROGRESS) return false;
    pollfd wait{.fd = bound->fd.get(), .events = POLLOUT, .revents = 0};
    return ::poll(&wait, 1, 700) == 1 && tcp_error(bound->fd) == 0;
  };
  here_->run([&] {
    ASSERT_TRUE(reaches("192.0.2.2", "192.0.2.1"));
    options_.mark = 4500;
    ClearPacketFilter filter(options_);
    ASSERT_TRUE(filter.apply({drop("192.0.2.2/32", "192.0.2.1/32")}));
    EXPECT_FALSE(connects(options_.mark));
    filter.set_own_streams(true);
    const auto done = filter.apply({drop("192.0.2.2/32", "192.0.2.1/32"), drop("10.2.0.0/16", "10.1.0.0/16")});
    ASSERT_TRUE(done) << done.error().text;
    EXPECT_TRUE(connects(options_.mark));
    EXPECT_FALSE(connects(0)) << "somebody else's";
  });
}

TEST_F(ClearPackets, TheFirstRuleDecidesAndTheListIsReplacedAsAWhole) {
  here_->run([&] {
    ClearPacketFilter filter(options_);
    ClearPacketRule echo = drop("10.2.0.0/16", "10.1.0.0/16");
    echo.accept = true;
    echo.protocol = 1;
    echo.source_ports = echo.destination_ports = {8 << 8, (8 << 8) | 0xff};
    ASSERT_TRUE(filter.apply({echo, drop("10.2.0.0/16", "10.1.0.0/16")}));
    EXPECT_TRUE(reaches("10.2.0.1", "10.1.0.1"));
    ASSERT_TRUE(filter.apply({drop("10.2.0.0/16", "10.1.0.0/16")}));
    EXPECT_FALSE(ping("10.2.0.1", "10.1.0.1"));
    ASSERT_TRUE(filter.apply({}));
    EXPECT_TRUE(reaches("10.2.0.1", "10.1.0.1"));
    EXPECT_EQ(shell("nft list tables").output, "");
  });
}

// RFC 4301 4.4.1.1: a range of types and codes admits these and no others. Ports as in RFC 4301 4.4.1.3: type << 8 |
// code.
TEST_F(ClearPackets, RangesOfIcmpTypesAndCodesAreExact) {
  here_->run([&] {
    ClearPacketFilter filter(options_);
    struct Case {
      ClearPacketRule::Ports range;
      bool admits_echo;  // 8 << 8
    };
    for (const auto& [range, admits_echo] :
         {Case{{0x0303, 0x0800}, true}, Case{{0x0303, 0x0803}, true}, Case{{0x0800, 0x0b00}, true},
          Case{{0x0801, 0x0b00}, false}, Case{{0x0303, 0x0703}, false}, Case{{0x07ff, 0x09ff}, true},
          Case{{0x0700, 0x07ff}, false}, Case{{0x0801, 0x08ff}, false}, Case{{0x0801, 0x0802}, false},
          Case{{0x0001, 0x0900}, true}, Case{{0x0000, 0x0802}, true}, Case{{0x0000, 0x07fe}, false}}) {
      ClearPacketRule some = drop("10.2.0.0/16", "10.1.0.0/16");
      some.accept = true;
      some.protocol = 1;
      some.source_ports = some.destination_ports = range;
      ASSERT_TRUE(filter.apply({some, drop("10.2.0.0/16", "10.1.0.0/16")}));
      EXPECT_EQ(ping("10.2.0.1", "10.1.0.1"), admits_echo) << std::hex << range.first << "-" << range.last;
    }
    ASSERT_TRUE(filter.apply({}));
  });
  // What no ping shows: the values at the edges, each once.
  ClearPacketRule some = drop("10.2.0.0/16", "10.1.0.0/16");
  some.protocol = 1;
  some.source_ports = {0x0303, 0x0602};
  const std::string text = ClearPacketFilter::text(options_, {some});
  for (const char* const match :
       {"icmp type 3 icmp code 3-255 ", "icmp type 4-5 counter", "icmp type 6 icmp code 0-2 "})
    EXPECT_NE(text.find(match), std::string::npos) << match << "\n" << text;
  EXPECT_EQ(text.find("3-6"), std::string::npos);
}

// A killed run leaves its table; the next one without rules clears it.
TEST_F(ClearPackets, LeftoversOfAKilledRunGo) {
  here_->run([&] {
    const auto left = shell("nft -f - <<'END'\n" +
                            ClearPacketFilter::text(options_, {drop("10.2.0.0/16", "10.1.0.0/16")}) + "END\ntrue");
    ASSERT_EQ(left.status, 0) << left.output;
    EXPECT_FALSE(ping("10.2.0.1", "10.1.0.1"));
    ClearPacketFilter filter(options_);
    ASSERT_TRUE(filter.apply({}));
    EXPECT_TRUE(reaches("10.2.0.1", "10.1.0.1"));
  });
}

/// One datagram of `size` octets from `there` to a socket of `here`; true when it arrives whole.
bool arrives(NetworkNamespace& here, NetworkNamespace& there, int family, int type, int protocol, const char* from,
             const char* to, std::uint16_t port, std::size_t size) {
  const auto end = [&](NetworkNamespace& ns, const char* own) {
    int fd = -1;
    ns.run([&] {
      fd = ::socket(family, type | SOCK_CLOEXEC, protocol);
      sockaddr_storage address{};
      const socklen_t length = to_sockaddr({*net::IpAddress::parse(own), port}, address);
      EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), length), 0)
          << own << ": " << std::strerror(errno);
    });
    return FileDescriptor(fd);
  };
  const FileDescriptor receiver = end(here, to);
  const FileDescriptor sender = end(there, from);
  const timeval limit{0, 300'000};
  ::setsockopt(receiver.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const std::vector<char> data(size, 'x');
  sockaddr_storage target{};
  const socklen_t length = to_sockaddr({*net::IpAddress::parse(to), port}, target);
  EXPECT_EQ(::sendto(sender.get(), data.data(), data.size(), 0, reinterpret_cast<const sockaddr*>(&target), length),
            static_cast<ssize_t>(size))
      << std::strerror(errno);
  std::vector<char> got(65536);
  return ::recv(receiver.get(), got.data(), got.size(), 0) >= static_cast<ssize_t>(size);
}

// Transport mode protects what goes between the outer addresses themselves, and a protected packet may be longer than
// the path takes: its later fragments show neither port 4500 nor, in IPv6, protocol 51.
TEST_F(ClearPackets, FragmentsOfWhatCarriesEspAndAhPassAndThoseOfOthersDoNot) {
  here_->run([&] {
    ClearPacketFilter filter(options_);
    ASSERT_TRUE(filter.apply({drop("192.0.2.2", "192.0.2.1"), drop("fd02::1", "fd01::1")}));
    for (const std::size_t size : {100, 3000}) {
      SCOPED_TRACE(size);
      EXPECT_TRUE(arrives(*here_, *there_, AF_INET, SOCK_DGRAM, 0, "192.0.2.2", "192.0.2.1", 4500, size));
      EXPECT_TRUE(arrives(*here_, *there_, AF_INET6, SOCK_DGRAM, 0, "fd02::1", "fd01::1", 4500, size));
      for (const int protocol : {50, 51}) {
        EXPECT_TRUE(arrives(*here_, *there_, AF_INET, SOCK_RAW, protocol, "192.0.2.2", "192.0.2.1", 0, size));
        EXPECT_TRUE(arrives(*here_, *there_, AF_INET6, SOCK_RAW, protocol, "fd02::1", "fd01::1", 0, size));
      }
      EXPECT_FALSE(arrives(*here_, *there_, AF_INET, SOCK_DGRAM, 0, "192.0.2.2", "192.0.2.1", 4501, size));
      EXPECT_FALSE(arrives(*here_, *there_, AF_INET6, SOCK_DGRAM, 0, "fd02::1", "fd01::1", 4501, size));
    }
  });
}

/// `here` with strict reverse path filters and a route for the peer that leads elsewhere for all but our mark, as a
/// tunnel that covers its peer's address has it.
class StrictSources : public ClearPackets {
 protected:
  void SetUp() override {
    ClearPackets::SetUp();
    if (IsSkipped()) return;
    options_.mark = 4500;
    const auto done = here_->command(
        "set -e; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 1 > /proc/sys/net/ipv4/conf/v0/rp_filter; "
        "ip link add cvt0 type veth peer name x0; ip link set cvt0 up; ip link set x0 up; echo 1 > "
        "/proc/sys/net/ipv4/conf/cvt0/rp_filter; "
        "ip route add 192.0.2.2 dev cvt0 table 4500; ip rule add not fwmark 4500 table 4500 priority 4500");
    ASSERT_EQ(done.status, 0) << done.output;
  }
  bool reaches_port(std::uint16_t port) {
    there_->command("ip neigh flush all");  // it asks for this host's address anew
    return arrives(*here_, *there_, AF_INET, SOCK_DGRAM, 0, "192.0.2.2", "192.0.2.1", port, 40);
  }
  std::string mark_counts(const char* interface) {
    return shell(std::string("cat /proc/sys/net/ipv4/conf/") + interface + "/src_valid_mark").output;
  }
};

TEST_F(StrictSources, WhatPassesToThisHostIsNotDroppedForItsSource) {
  here_->run([&] {
    EXPECT_FALSE(reaches_port(4500)) << "without the mark the filter drops it";
    ClearPacketRule accepted = drop("192.0.2.2", "192.0.2.1");
    accepted.accept = true;
    accepted.protocol = 17;
    accepted.destination_ports = {7000, 7000};
    const std::vector<ClearPacketRule> rules = {accepted, drop("192.0.2.2", "192.0.2.1")};
    {
      ClearPacketFilter filter(options_);
      const auto done = filter.apply(rules);
      ASSERT_TRUE(done) << done.error().text;
      EXPECT_EQ(mark_counts("v0"), "1\n");
      EXPECT_EQ(mark_counts("cvt0"), "0\n");
      EXPECT_TRUE(reaches_port(4500));
      EXPECT_TRUE(reaches_port(500));
      EXPECT_TRUE(reaches_port(7000)) << "a bypass";
      EXPECT_FALSE(reaches_port(7001));
      ASSERT_TRUE(filter.apply({drop("10.2.0.0/16", "10.1.0.0/16")}));
      EXPECT_FALSE(reaches_port(7001)) << "what is not this filter's has no mark, and so the strict check";
      EXPECT_EQ(mark_counts("v0"), "1\n");
    }
    EXPECT_EQ(mark_counts("v0"), "0\n");
    EXPECT_EQ(shell("nft list tables").output, "");
    EXPECT_FALSE(reaches_port(4500));
  });
}

TEST_F(StrictSources, AKilledRunsSettingIsTakenBack) {
  here_->run([&] {
    const auto rules = {drop("10.2.0.0/16", "10.1.0.0/16")};
    const auto kill_a_run = [&] {
      const auto left = shell("nft -f - <<'END'\n" + ClearPacketFilter::text(options_, rules, {true, {"v0", "gone"}}) +
                              "END\necho 1 > /proc/sys/net/ipv4/conf/v0/src_valid_mark");
      ASSERT_EQ(left.status, 0) << left.output;
    };
    kill_a_run();
    {
      ClearPacketFilter filter(options_);
      ASSERT_TRUE(filter.apply({}));
      EXPECT_EQ(mark_counts("v0"), "0\n") << "no rules any more";
    }
    kill_a_run();
    {
      ClearPacketFilter filter(options_);
      ASSERT_TRUE(filter.apply(rules));
      EXPECT_EQ(mark_counts("v0"), "1\n");
    }
    EXPECT_EQ(mark_counts("v0"), "0\n");
  });
}

TEST_F(StrictSources, OnlyWhereItIsNeededAndNotOurs) {
  here_->run([&] {
    const auto rules = {drop("10.2.0.0/16", "10.1.0.0/16")};
    ClearPacketFilter filter(options_);
    shell("echo 2 > /proc/sys/net/ipv4/conf/v0/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/cvt0/rp_filter");
    ASSERT_TRUE(filter.apply(rules));
    EXPECT_EQ(mark_counts("v0"), "0\n") << "loose filters let the peer through";
    EXPECT_EQ(shell("nft list table inet culvert").output.find("mark set"), std::string::npos);
    shell("echo 1 > /proc/sys/net/ipv4/conf/v0/rp_filter");
    ASSERT_TRUE(filter.links_changed());
    EXPECT_EQ(mark_counts("v0"), "1\n");
    // What the administrator has switched on stays so.
    ASSERT_TRUE(filter.apply({}));
    EXPECT_EQ(mark_counts("v0"), "0\n");
    shell("echo 1 > /proc/sys/net/ipv4/conf/v0/src_valid_mark");
    ASSERT_TRUE(filter.apply(rules));
    EXPECT_TRUE(reaches_port(4500));
    ASSERT_TRUE(filter.apply({}));
    EXPECT_EQ(mark_counts("v0"), "1\n");
  });
}

// Of very many rules few are made (io/clear_packet_joins.hpp), and they mean the same.
TEST_F(ClearPackets, ManyRulesAreSets) {
  here_->run([&] {
    ASSERT_TRUE(reaches("10.2.0.1", "10.1.0.1"));
    std::vector<ClearPacketRule> rules;
    for (std::uint16_t i = 0; i < 20'000; ++i) {
      ClearPacketRule rule = drop("10.7.0.0/16", "10.1.0.0/16");
      const auto octets =
          std::to_array<std::uint8_t>({10, 7, static_cast<std::uint8_t>(i >> 7), static_cast<std::uint8_t>(2 * i)});
      rule.source.first = rule.source.last = *net::IpAddress::from_bytes(octets);
      rules.push_back(rule);
    }
    // 4,096 a set.
    EXPECT_LT(std::ranges::count(ClearPacketFilter::text(options_, rules, {}), '\n'), 30);
    ClearPacketFilter filter(options_);
    auto done = filter.apply(rules);
    ASSERT_TRUE(done) << done.error().text;
    EXPECT_TRUE(reaches("10.2.0.1", "10.1.0.1"));
    rules.push_back(drop("10.2.0.1/32", "10.1.0.0/16"));
    rules.push_back(drop("fd02::1/128", "fd01::/64"));
    rules.push_back(drop("fd02::9/128", "fd01::/64"));
    done = filter.apply(rules);
    ASSERT_TRUE(done) << done.error().text;
    EXPECT_FALSE(ping("10.2.0.1", "10.1.0.1"));
    EXPECT_FALSE(ping("fd02::1", "fd01::1"));
  });
}

// Everything that a rule can say is text that nftables takes.
TEST_F(ClearPackets, EveryKindOfSelectorIsUnderstood) {
  here_->run([&] {
    ClearPacketFilter filter(options_);
    std::vector<ClearPacketRule> rules;
    for (const auto& [source, destination] :
         {std::pair("0.0.0.0-255.255.255.255", "10.1.0.0/16"), std::pair("10.2.0.5-10.2.0.9", "10.1.0.1-10.1.0.1"),
          std::pair("::/0", "fd01::1-fd01::5")}) {
      ClearPacketRule rule = drop(source, destination);
      rules.push_back(rule);
      rule.protocol = 6;
      rule.source_ports = {80, 90};
      rule.destination_ports = {1024, 65535};
      rules.push_back(rule);
      rule.source_ports = rule.destination_ports = {};
      rule.later_fragments_only = true;
      rules.push_back(rule);
      rule.later_fragments_only = false;
      rule.protocol = rule.source.family() == net::Family::v4 ? 1 : 58;
      rule.source_ports = rule.destination_ports = {(3 << 8) | 4, (3 << 8) | 4};
      rules.push_back(rule);
      rule.source_ports = rule.destination_ports = {3 << 8, (12 << 8) | 0xff};
      rules.push_back(rule);
      rule.source_ports = rule.destination_ports = {(3 << 8) | 7, (12 << 8) | 9};
      rules.push_back(rule);
      rule.protocol = 47;
      rule.source_ports = rule.destination_ports = {};
      rules.push_back(rule);
    }
    const auto done = filter.apply(rules);
    EXPECT_TRUE(done) << done.error().text;
  });
}

}  // namespace
}  // namespace culvert::io
