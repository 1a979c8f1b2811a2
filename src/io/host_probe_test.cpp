// What the host is asked for `culvert doctor`: against namespaces in which the answer is known.
#include <chrono>
#include <thread>

#include <sys/syscall.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/clock.hpp"
#include "io/datagram_socket.hpp"
#include "io/kernel_settings.hpp"
#include "io/name_lookup.hpp"
#include "io/packet_facilities.hpp"
#include "io/packet_filters.hpp"
#include "io/port_holders.hpp"
#include "io/process_rights.hpp"
#include "io/routes.hpp"
#include "io/testing/network_namespace.hpp"

namespace culvert::io {
namespace {

using ::testing::HasSubstr;
using testing::NetworkNamespace;
using ::testing::Not;

class HostProbe : public ::testing::Test {
 protected:
  void SetUp() override {
    made_ = NetworkNamespace::create();
    if (!made_) GTEST_SKIP() << testing::kNeedsRoot;
  }
  std::optional<NetworkNamespace> made_;
};

TEST_F(HostProbe, RightsOfRootAndOfNobody) {
  const ProcessRights mine = process_rights();
  EXPECT_TRUE(mine.root && mine.net_admin && mine.net_raw && mine.net_bind_service);
  std::thread([] {
    ASSERT_EQ(::syscall(SYS_setresuid, 65534, 65534, 65534), 0);  // of this thread alone
    const ProcessRights none = process_rights();
    EXPECT_FALSE(none.root || none.net_admin || none.net_raw || none.net_bind_service);
  }).join();
}

TEST_F(HostProbe, NamesWhoHoldsAPort) {
  made_->run([] {
    EXPECT_TRUE(udp_port_holders(500).empty());
    UdpOptions options;
    options.local = {*net::IpAddress::parse("127.0.0.1"), 500};
    const auto v4 = DatagramSocket::open_udp(options);
    ASSERT_TRUE(v4) << v4.error().text;
    options.local = {*net::IpAddress::parse("::1"), 500};
    const auto v6 = DatagramSocket::open_udp(options);
    ASSERT_TRUE(v6) << v6.error().text;
    const auto holders = udp_port_holders(500);
    ASSERT_EQ(holders.size(), 2U);
    EXPECT_EQ(holders[0].local.to_string(), "127.0.0.1:500");
    EXPECT_EQ(holders[1].local.to_string(), "[::1]:500");
    EXPECT_EQ(holders[0].pid, ::getpid());
    EXPECT_EQ(holders[0].name, "io_test");
    EXPECT_TRUE(udp_port_holders(4500).empty());
  });
}

TEST_F(HostProbe, FacilitiesComeAndGoWithTheNamespace) {
  made_->run([] {
    const PacketFacilities full = packet_facilities();
    ASSERT_TRUE(full.tun) << full.tun.error().text;
    EXPECT_GE(*full.tun, TunOffload::checksum);
    EXPECT_TRUE(full.udp_v4.available && full.udp_v4.segmentation && full.udp_v4.receive_offload);
    EXPECT_GE(full.udp_v4.receive_buffer, 64 * 1024 * 1024);
    EXPECT_TRUE(full.udp_v6.available);
    EXPECT_FALSE(full.raw_refusal) << full.raw_refusal->text;
    EXPECT_THAT(testing::shell("ip -br link").output, Not(HasSubstr("cvprobe"))) << "nothing stays behind";
  });
  ASSERT_EQ(made_->command("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1").status, 0);
  made_->run([] { EXPECT_FALSE(udp_facilities(net::Family::v6).available); });
}

TEST_F(HostProbe, SaysWhatIsRefusedWithoutRights) {
  made_->run([] {
    ASSERT_EQ(::syscall(SYS_setresuid, 65534, 65534, 65534), 0);
    const PacketFacilities poor = packet_facilities();
    EXPECT_FALSE(poor.tun);
    ASSERT_TRUE(poor.raw_refusal);
    EXPECT_EQ(poor.raw_refusal->code, IoErrorCode::not_permitted);
    EXPECT_TRUE(poor.udp_v4.available);
    EXPECT_LT(poor.udp_v4.receive_buffer, 64 * 1024 * 1024) << "net.core.rmem_max holds";
    const auto filters = packet_filter_text();
    ASSERT_FALSE(filters);
    EXPECT_EQ(filters.error().code, IoErrorCode::not_permitted);
  });
}

TEST_F(HostProbe, ReadsSettingsAndFilters) {
  ASSERT_EQ(made_->command("sysctl -qw net.ipv4.ip_forward=1").status, 0);
  made_->run([] {
    EXPECT_EQ(kernel_number("net/ipv4/ip_forward"), 1);
    EXPECT_FALSE(kernel_setting("net/ipv4/there_is_no_such"));
    const auto none = packet_filter_text();
    ASSERT_TRUE(none) << none.error().text;
    EXPECT_EQ(*none, "");
  });
  ASSERT_EQ(made_
                ->command("nft 'table inet f { chain i { type filter hook input priority 0; policy drop; "
                          "meta l4proto esp counter accept; udp dport isakmp drop; }; }'")
                .status,
            0);
  made_->run([] {
    const auto some = packet_filter_text();
    ASSERT_TRUE(some);
    EXPECT_THAT(*some, HasSubstr("policy drop"));
    EXPECT_THAT(*some, HasSubstr("udp dport 500 drop"));
    EXPECT_THAT(*some, HasSubstr("l4proto 50 counter"));
  });
}

TEST_F(HostProbe, FindsGuardsThatAKilledRunLeft) {
  made_->run([] {
    const RoutingOptions options;
    const auto none = TunnelRoutes::guarded(options);
    ASSERT_TRUE(none) << none.error().text;
    EXPECT_TRUE(none->empty());
    ASSERT_EQ(testing::shell("ip route add unreachable 10.2.0.0/16 table 4500 proto 197 metric 4096 && "
                             "ip route add unreachable 10.3.0.0/16 table 4500 proto 197 metric 100 && "
                             "ip route add unreachable 10.4.0.0/16 table 4500 proto static metric 4096")
                  .status,
              0);
    const auto some = TunnelRoutes::guarded(options);
    ASSERT_TRUE(some);
    ASSERT_EQ(some->size(), 1U);
    EXPECT_EQ((*some)[0].to_string(), "10.2.0.0/16");
  });
}

TEST(NameLookup, AnswersInOrderAndInTime) {
  EXPECT_TRUE(look_up({}, std::chrono::seconds(1)).empty());
  const auto begin = std::chrono::steady_clock::now();
  const auto answers = look_up({"192.0.2.7", "there-is-no-such-name.invalid", "2001:db8::1"}, std::chrono::seconds(1));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << "it waited for the resolver";
  ASSERT_EQ(answers.size(), 3U);
  ASSERT_EQ(answers[0].addresses.size(), 1U);
  EXPECT_EQ(answers[0].addresses[0].to_string(), "192.0.2.7");
  EXPECT_EQ(answers[0].error, "");
  EXPECT_TRUE(answers[1].addresses.empty());
  EXPECT_NE(answers[1].error, "");
  ASSERT_EQ(answers[2].addresses.size(), 1U);
  EXPECT_EQ(answers[2].addresses[0].to_string(), "2001:db8::1");
}

TEST(NameLookup, AResolverThatIsSilentIsNotWaitedFor) {
  const auto answers = look_up({"there-is-no-such-name.invalid"}, std::chrono::milliseconds(0));
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_TRUE(answers[0].addresses.empty());
  EXPECT_NE(answers[0].error, "");
}

TEST(WallClock, TellsTheTimeOfDay) { EXPECT_GT(wall_clock().seconds, 1'700'000'000); }

}  // namespace
}  // namespace culvert::io
