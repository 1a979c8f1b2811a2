// Paths that take less than TUN lets in: what the interface says, what routers say, what nobody has said.
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "datapath/testing/tunnel_lab.hpp"
#include "io/socket_address.hpp"
#include "ipsec/icmp_error.hpp"
#include "net/header_writer.hpp"
#include "net/packet.hpp"

namespace culvert::datapath {
namespace {

using io::testing::NetworkNamespace;
using model::Encapsulation;
using net::Family;
using testing::Host;
using testing::TunnelLab;

constexpr model::EspSuite kGcm{.encryption = model::EncryptionId::aes_gcm_16, .key_bits = 128};
constexpr model::EspSuite kWide{
    .encryption = model::EncryptionId::aes_cbc, .key_bits = 256, .integrity = model::IntegrityId::hmac_sha2_512_256};
constexpr int kIpAndIcmp = 28;

class NarrowPath : public testing::TunnelLabTest {
 protected:
  static void run(const NetworkNamespace& space, const std::string& text) {
    const auto done = space.command("set -e; " + text);
    ASSERT_EQ(done.status, 0) << done.output;
  }
  /// Puts a router between the two, with links of 1500 octets on alice's side and of `mtu` on bob's.
  void put_router(unsigned mtu) {
    router_ = NetworkNamespace::create();
    ASSERT_TRUE(router_);
    run(lab_->alice.ns, "ip link del v0");
    run(lab_->alice.ns, "ip link add v0 type veth peer name r1 netns " + router_->path());
    run(lab_->bob.ns, "ip link add v0 type veth peer name r2 netns " + router_->path());
    run(lab_->bob.ns, fmt::format("ip link set v0 mtu {}", mtu));
    run(*router_, fmt::format("ip link set r2 mtu {}; echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > "
                              "/proc/sys/net/ipv6/conf/all/forwarding",
                              mtu));
    for (const Host* host : {&lab_->alice, &lab_->bob}) {
      const std::string own4 = host->outer(Family::v4).to_string();
      const std::string own6 = host->outer(Family::v6).to_string();
      const Host& peer = host == &lab_->alice ? lab_->bob : lab_->alice;
      run(*router_, fmt::format("ip link set r{0} up; ip addr add 192.0.2.254/32 dev r{0}; ip -6 addr add "
                                "2001:db8:1::fe/128 dev r{0} nodad; ip route add {1}/32 dev r{0}; "
                                "ip -6 route add {2}/128 dev r{0}",
                                host->number, own4, own6));
      run(host->ns, fmt::format("ip addr add {}/24 dev v0; ip -6 addr add {}/64 dev v0 nodad; ip link set v0 up; ip "
                                "route add {}/32 via 192.0.2.254; ip -6 route add {}/128 via 2001:db8:1::fe",
                                own4, own6, peer.outer(Family::v4).to_string(), peer.outer(Family::v6).to_string()));
    }
  }
  /// What ping says to a packet of 1400 octets that must not be cut.
  [[nodiscard]] io::testing::CommandResult whole_ping(const char* more = "-c 1 -W 5") const {
    return lab_->alice.ns.command(
        fmt::format("ping {} -M do -s {} {}", more, 1400 - kIpAndIcmp, lab_->bob.inner_text(Family::v4)));
  }
  [[nodiscard]] io::testing::CommandResult cut_ping() const {
    return lab_->ping(Family::v4, fmt::format("-c 2 -i 0.05 -M dont -s {}", 1400 - kIpAndIcmp));
  }
  static bool says(const io::testing::CommandResult& result, unsigned mtu) {
    return result.output.find(fmt::format("mtu = {}", mtu)) != std::string::npos ||
           result.output.find(fmt::format("mtu={}", mtu)) != std::string::npos;
  }

  std::optional<NetworkNamespace> router_;
};

/// The longest inner packet that AES-GCM in UDP carries in so many octets: the ESP part is a multiple of 4, with 8
/// octets of header, 8 of IV, 2 of trailer and 16 of ICV.
constexpr unsigned gcm_udp_inner(unsigned outer, Family family) {
  const unsigned between = outer - (family == Family::v4 ? 20 : 40) - 8 - 8 - 8 - 16;
  return between / 4 * 4 - 2;
}

// Over IPv6 nobody cuts on the way, and the kernel shall not cut ESP: what does not fit is refused with the size that
// does, or cut before it is protected (RFC 4301 8.2.1).
TEST_F(NarrowPath, WhatALongIcvLeavesNoRoomForIsToldOrCutBefore) {
  for (const auto encapsulation : {Encapsulation::udp, Encapsulation::none}) {
    start_both();
    std::optional<testing::WireCapture> wire;
    lab_->bob.ns.run([&] { wire.emplace("v0"); });
    ASSERT_EQ(lab_->install({.suite = kWide, .encapsulation = encapsulation, .outer = Family::v6}), "");
    const auto refused = whole_ping();
    EXPECT_NE(refused.status, 0);
    EXPECT_TRUE(says(refused, 1390)) << refused.output;
    EXPECT_EQ(lab_->alice.drops("path_too_narrow"), 1U);
    EXPECT_EQ(cut_ping().status, 0);
    // The source has been told and cuts by itself now.
    EXPECT_EQ(lab_->ping(Family::v4, "-c 2 -i 0.05 -s 3000").status, 0);
    // IPv6: the first of each direction is lost, and told.
    (void)lab_->ping(Family::v6, "-c 3 -i 0.05 -W 1 -s 3000");
    const auto inner6 = lab_->ping(Family::v6, "-c 2 -i 0.05 -s 3000");
    EXPECT_EQ(inner6.status, 0) << inner6.output;
    const auto seen = wire->take();
    EXPECT_EQ(seen.fragments, 0U) << "no ESP packet was cut";
    EXPECT_TRUE(seen.others.empty()) << seen.others[0];
    lab_->stop(lab_->alice);
    lab_->stop(lab_->bob);
    run(lab_->alice.ns, "ip route flush cache; ip -6 route flush cache");
  }
}

TEST_F(NarrowPath, TheMtuOfTheRouteIsReadWhenAPairComesAndWhenItMoves) {
  run(lab_->alice.ns, "ip link set v0 mtu 1400");
  run(lab_->bob.ns, "ip link set v0 mtu 1400; ip addr add 192.0.2.12/24 dev v0");
  run(lab_->alice.ns, "ip route add 192.0.2.12/32 dev v0 mtu 1300");
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  const auto first = whole_ping();
  EXPECT_TRUE(says(first, gcm_udp_inner(1400, Family::v4))) << first.output;
  net::Path moved = lab_->path(lab_->alice, lab_->bob, {.suite = kGcm});
  moved.remote.address = *net::IpAddress::parse("192.0.2.12");
  lab_->alice.plane->update_path(model::ChildSaId(1), moved, Encapsulation::udp);
  lab_->alice.plane->settle();
  const auto told = lab_->alice.wait_event<ipsec::PathMtuChanged>();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->path_mtu, 1300);
  EXPECT_EQ(told->inner_mtu, gcm_udp_inner(1300, Family::v4));
}

// RFC 4301 8.2: a router's error about ESP becomes one about the packet inside, for its source.
TEST_F(NarrowPath, WhatARouterSaysReachesTheSourceOfTheInnerPacket) {
  put_router(1300);
  for (const Family outer : {Family::v4, Family::v6}) {
    start_both();
    ASSERT_EQ(lab_->install({.suite = kGcm, .outer = outer}), "");
    EXPECT_EQ(lab_->ping(Family::v4, "-c 1").status, 0) << "short packets pass";
    const auto said = whole_ping("-c 4 -i 0.3 -W 1");
    EXPECT_TRUE(says(said, gcm_udp_inner(1300, outer))) << said.output;
    const auto told = lab_->alice.wait_event<ipsec::PathMtuChanged>();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->path_mtu, 1300);
    EXPECT_EQ(told->inner_mtu, gcm_udp_inner(1300, outer));
    EXPECT_EQ(cut_ping().status, 0);
    EXPECT_EQ(lab_->ping(Family::v4, fmt::format("-c 1 -M do -s {}", gcm_udp_inner(1300, outer) - kIpAndIcmp)).status,
              0);
    EXPECT_EQ(lab_->alice.drops("unprotected_error_doubtful"), 0U);
    lab_->stop(lab_->alice);
    lab_->stop(lab_->bob);
    run(lab_->alice.ns, "ip route flush cache; ip -6 route flush cache");
  }
}

/// "Fragmentation needed" from nobody who saw the packet.
Bytes forged_error(const net::Path& path, model::Spi spi, std::uint32_t sequence) {
  Bytes packet(20 + 8 + 40);
  net::write_ip_header(packet.data(), {.source = path.local.address,
                                       .destination = path.remote.address,
                                       .protocol = 17,
                                       .dont_fragment = true,
                                       .payload_length = 48});
  net::write_udp_header(packet.data() + 20, path.local.port, path.remote.port, 40);
  store_be32(packet.data() + 28, spi.value());
  store_be32(packet.data() + 32, sequence);
  std::array<std::uint8_t, ipsec::kMaxIcmpError> error;
  const auto size = ipsec::make_too_long_error(packet, *net::parse_packet(packet), 600, error);
  return size ? Bytes(error.begin(), error.begin() + static_cast<std::ptrdiff_t>(*size)) : Bytes();
}

TEST_F(NarrowPath, ForgedErrorsChangeNothing) {
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  EXPECT_EQ(whole_ping().status, 0);
  const net::Path path = lab_->path(lab_->alice, lab_->bob, {.suite = kGcm});
  const model::Spi spi = lab_->last_spi_towards_bob;
  const auto forge = [&](const Bytes& error) {
    lab_->bob.ns.run([&] {
      const io::FileDescriptor raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
      sockaddr_storage to{};
      const socklen_t length = io::to_sockaddr({path.local.address, 0}, to);
      EXPECT_EQ(::sendto(raw.get(), error.data(), error.size(), 0, reinterpret_cast<const sockaddr*>(&to), length),
                static_cast<ssize_t>(error.size()));
    });
    // The worker has seen the error once it has seen a packet that came behind it.
    EXPECT_EQ(lab_->ping(Family::v4, "-c 2 -i 0.05").status, 0);
  };
  // Several workers ask each other about it, and counters may be 30 ms old.
  const auto doubtful = [&](std::uint64_t wanted) {
    for (int i = 0; i < 100 && lab_->alice.drops("unprotected_error_doubtful") < wanted; ++i) ::usleep(30'000);
    return lab_->alice.drops("unprotected_error_doubtful");
  };
  forge(forged_error(path, model::Spi(spi.value() ^ 0x100), 1));
  EXPECT_EQ(doubtful(1), 1U) << "an SPI that we do not send to";
  forge(forged_error(path, spi, 1'000'000));
  EXPECT_EQ(doubtful(2), 2U) << "a number that we have not sent";
  EXPECT_EQ(whole_ping().status, 0);
  // The same words about a packet that we did send are believed.
  ::usleep(30'000);
  forge(forged_error(path, spi, 2));
  EXPECT_EQ(lab_->alice.drops("unprotected_error_doubtful"), 2U);
  EXPECT_TRUE(says(whole_ping(), gcm_udp_inner(600, Family::v4)));
}

// What a rule lets out in clear meets the interface's MTU here, not in a router.
TEST_F(NarrowPath, ABypassedPacketLongerThanTheInterfaceIsCutOrItsSourceTold) {
  for (const Host* host : {&lab_->alice, &lab_->bob}) run(host->ns, "ip link set v0 mtu 1300");
  start_both();
  for (Host* host : {&lab_->alice, &lab_->bob}) {
    Host& peer = host == &lab_->alice ? lab_->bob : lab_->alice;
    run(host->ns, fmt::format("ip route add {} via {}; ip -6 route add {} via {}", peer.inner_text(Family::v4),
                              peer.outer(Family::v4).to_string(), peer.inner_text(Family::v6),
                              peer.outer(Family::v6).to_string()));
    host->plane->set_policies(
        {{.id = ipsec::PolicyId(1),
          .action = ipsec::PolicyAction::bypass,
          .local = {*model::TrafficSelector::parse("10.0.0.0/8"), *model::TrafficSelector::parse("fd00::/8")},
          .remote = {*model::TrafficSelector::parse("10.0.0.0/8"), *model::TrafficSelector::parse("fd00::/8")}}});
    host->plane->settle();
  }
  EXPECT_EQ(cut_ping().status, 0);
  EXPECT_EQ(lab_->alice.drops("bypass_refused"), 0U);
  const auto refused = whole_ping();
  EXPECT_NE(refused.status, 0);
  EXPECT_TRUE(says(refused, 1300)) << refused.output;
  const auto v6 =
      lab_->alice.ns.command(fmt::format("ping -c 1 -W 1 -M do -s 1352 {}", lab_->bob.inner_text(Family::v6)));
  EXPECT_TRUE(says(v6, 1300)) << v6.output;
  ::usleep(30'000);
  EXPECT_EQ(lab_->alice.drops("bypass_refused"), 2U);
}

}  // namespace
}  // namespace culvert::datapath
