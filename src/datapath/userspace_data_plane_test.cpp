#include "datapath/userspace_data_plane.hpp"

#include <array>
#include <cstdlib>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "datapath/testing/tunnel_lab.hpp"

namespace culvert::datapath {
namespace {

using model::Encapsulation;
using net::Family;
using testing::Host;
using testing::TunnelLab;
using testing::TunnelPlan;
using testing::WireCapture;

constexpr model::EspSuite kGcm{.encryption = model::EncryptionId::aes_gcm_16, .key_bits = 128};

struct Named {
  const char* name;
  model::EspSuite suite;
};
const std::array<Named, 5> kSuites{{
    {"aes128gcm", kGcm},
    {"aes256gcm", {.encryption = model::EncryptionId::aes_gcm_16, .key_bits = 256}},
    {"chacha20poly1305", {.encryption = model::EncryptionId::chacha20_poly1305, .key_bits = 256}},
    {"aes128cbc_sha256",
     {.encryption = model::EncryptionId::aes_cbc, .key_bits = 128, .integrity = model::IntegrityId::hmac_sha2_256_128}},
    {"aes256cbc_sha512",
     {.encryption = model::EncryptionId::aes_cbc, .key_bits = 256, .integrity = model::IntegrityId::hmac_sha2_512_256}},
}};

class DataPlane : public testing::TunnelLabTest {
 protected:
  WireCapture capture() const {
    std::optional<WireCapture> made;
    lab_->bob.ns.run([&] { made.emplace("v0"); });
    return std::move(*made);
  }
  ipsec::SaCounters counters(const Host& host, std::uint64_t child = 1) const {
    return host.plane->counters(model::ChildSaId(child)).value_or(ipsec::SaCounters{});
  }
  /// One iperf3 run with alice as the client; `-R` in the options lets bob send. A second try only when iperf3's own
  /// handshake failed.
  void transfer(Family family, const std::string& options) {
    io::testing::CommandResult result;
    for (int attempt = 0; attempt < 3; ++attempt) {
      auto server = lab_->bob.ns.background("exec iperf3 -s -1");
      (void)lab_->bob.ns.command(
          "for i in $(seq 100); do ss -Hltn 'sport = 5201' | grep -q . && break; sleep 0.05; done");
      result = lab_->alice.ns.command("iperf3 -c " + lab_->bob.inner_text(family) + " " + options);
      if (result.output.find("Connection refused") == std::string::npos) break;
    }
    EXPECT_EQ(result.status, 0) << result.output;
    if (std::getenv("CULVERT_SHOW_IPERF") != nullptr) fmt::print("{}\n", result.output);  // NOLINT: one thread
  }
};

struct Variant {
  std::size_t suite;
  Encapsulation encapsulation;
  Family outer;
};

class DataPlaneVariants : public DataPlane, public ::testing::WithParamInterface<Variant> {};

TEST_P(DataPlaneVariants, CarryBothFamiliesAndNothingInClear) {
  start_both();
  const WireCapture wire = capture();
  TunnelPlan plan{
      .suite = kSuites[GetParam().suite].suite, .encapsulation = GetParam().encapsulation, .outer = GetParam().outer};
  ASSERT_EQ(lab_->install(plan), "");
  for (const Family inner : {Family::v4, Family::v6}) {
    // 1400 octets of TUN's MTU, less the IP and ICMP headers. The longest ICV over IPv6 leaves room for fewer.
    const bool narrow = GetParam().suite == 4 && GetParam().outer == Family::v6;
    const int longest = narrow ? 1390 : 1400;
    for (const int size : {0, 56, longest - (inner == Family::v4 ? 28 : 48)}) {
      const auto pinged = lab_->ping(inner, fmt::format("-c 3 -i 0.05 -M do -s {}", size));
      EXPECT_EQ(pinged.status, 0) << size << pinged.output;
    }
  }
  EXPECT_EQ(counters(lab_->alice).outbound_packets, 18U);
  EXPECT_EQ(counters(lab_->bob).inbound_packets, 18U);
  EXPECT_EQ(counters(lab_->alice).inbound_packets, 18U);

  const auto seen = wire.take();
  EXPECT_TRUE(seen.others.empty()) << seen.others[0];
  const bool udp = plan.encapsulation == Encapsulation::udp;
  // A train over the veth is one frame, so there may be fewer frames than packets.
  EXPECT_GE(udp ? seen.esp_in_udp : seen.raw_esp, 10U);
  EXPECT_EQ(udp ? seen.raw_esp : seen.esp_in_udp, 0U);
}

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (std::size_t suite = 0; suite < kSuites.size(); ++suite) {
    for (const auto encapsulation : {Encapsulation::udp, Encapsulation::none}) {
      for (const auto outer : {Family::v4, Family::v6}) all.push_back({suite, encapsulation, outer});
    }
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Wire, DataPlaneVariants, ::testing::ValuesIn(variants()), [](const auto& one) {
  return fmt::format("{}_{}_{}", kSuites[one.param.suite].name,
                     one.param.encapsulation == Encapsulation::udp ? "udp" : "esp",
                     one.param.outer == Family::v4 ? "v4" : "v6");
});

struct TransferVariant {
  const char* name;
  io::TunOffload offload;
  bool segmentation;
  Encapsulation encapsulation;
  Family outer;
};
constexpr std::array kTransfers{
    TransferVariant{"all_offloads_v4", io::TunOffload::tcp_and_udp, true, Encapsulation::udp, Family::v4},
    TransferVariant{"all_offloads_v6", io::TunOffload::tcp_and_udp, true, Encapsulation::udp, Family::v6},
    TransferVariant{"no_udp_trains", io::TunOffload::tcp, false, Encapsulation::udp, Family::v4},
    TransferVariant{"no_offloads", io::TunOffload::none, false, Encapsulation::udp, Family::v4},
    TransferVariant{"raw_esp", io::TunOffload::tcp_and_udp, true, Encapsulation::none, Family::v4},
};

class Transfers : public DataPlane, public ::testing::WithParamInterface<TransferVariant> {};

TEST_P(Transfers, CarryTcpBothWaysAndUdp) {
  start_both(GetParam().offload, GetParam().segmentation);
  ASSERT_EQ(lab_->install({.suite = kGcm, .encapsulation = GetParam().encapsulation, .outer = GetParam().outer}), "");
  transfer(Family::v4, "-n 40M");
  transfer(Family::v6, "-n 40M -R");
  transfer(Family::v4, "-u -b 0 -n 20M -l 1300");
  const auto a = counters(lab_->alice);
  const auto b = counters(lab_->bob);
  EXPECT_GT(a.outbound_bytes, 40'000'000U);
  EXPECT_GT(a.inbound_bytes, 40'000'000U);
  EXPECT_GT(b.outbound_packets, 1000U);
  for (const Host* host : {&lab_->alice, &lab_->bob}) {
    EXPECT_EQ(counters(*host).integrity_drops, 0U);
    EXPECT_EQ(counters(*host).replay_drops, 0U);
    EXPECT_EQ(host->drops("tun_write_refused"), 0U);
    EXPECT_EQ(host->drops("offload_mismatch"), 0U);
    EXPECT_EQ(host->drops("outer_refused"), 0U);
  }
}
INSTANTIATE_TEST_SUITE_P(Offloads, Transfers, ::testing::ValuesIn(kTransfers),
                         [](const auto& one) { return one.param.name; });

TEST_F(DataPlane, APacketAboveTheMtuIsRefusedWithTheRightSize) {
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  const auto pinged = lab_->alice.ns.command("ping -c 1 -W 1 -M do -s 1373 " + lab_->bob.inner_text(Family::v4));
  EXPECT_NE(pinged.status, 0);
  EXPECT_NE(pinged.output.find("1400"), std::string::npos) << pinged.output;
  // Without DF the kernel fragments in front of TUN; the fragments travel and meet again.
  EXPECT_EQ(lab_->ping(Family::v4, "-c 2 -i 0.05 -M dont -s 5000").status, 0);
}

TEST_F(DataPlane, ATunnelMayProtectTheTrafficBetweenItsOwnEnds) {
  lab_->host_to_host = true;
  start_both();
  const WireCapture wire = capture();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  for (const Family family : {Family::v4, Family::v6}) {
    const auto pinged = lab_->alice.ns.command("ping -c 3 -i 0.05 -W 5 " + lab_->bob.outer(family).to_string());
    EXPECT_EQ(pinged.status, 0) << pinged.output;
  }
  EXPECT_EQ(counters(lab_->bob).inbound_packets, 6U);
  const auto seen = wire.take();
  EXPECT_TRUE(seen.others.empty()) << seen.others[0];
  EXPECT_GE(seen.esp_in_udp, 6U);
}

TEST_F(DataPlane, AKilledEndLeavesNoPlaintextBehind) {
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  const WireCapture wire = capture();
  // TUN goes as it does with the process; the routes are not taken back.
  EXPECT_EQ(lab_->alice.ns.command("ip link del cvt0").status, 0);
  for (const Family family : {Family::v4, Family::v6}) EXPECT_NE(lab_->ping(family, "-c 1 -W 0.3").status, 0);
  const auto seen = wire.take();
  EXPECT_TRUE(seen.others.empty()) << seen.others[0];
  EXPECT_EQ(seen.esp_in_udp, 0U);
}

TEST_F(DataPlane, AGatewayCarriesTheTrafficOfTheNetworkBehindIt) {
  auto lan = io::testing::NetworkNamespace::create();
  ASSERT_TRUE(lan);
  const auto joined = lan->command("ip link add l0 type veth peer name l0 netns " + lab_->alice.ns.path() +
                                   " && ip addr add 10.1.0.2/24 dev l0 && ip link set l0 up");
  ASSERT_EQ(joined.status, 0) << joined.output;
  const auto ready = lab_->alice.ns.command(
      "ip addr add 10.1.0.254/24 dev l0 && ip link set l0 up && sysctl -qw net.ipv4.ip_forward=1");
  ASSERT_EQ(ready.status, 0) << ready.output;
  ASSERT_EQ(lan->command("ip route add default via 10.1.0.254").status, 0);
  start_both();
  const WireCapture wire = capture();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  EXPECT_EQ(lan->command("ping -c 3 -i 0.05 -W 5 10.2.0.1").status, 0);
  const auto large = lan->command("ping -c 1 -W 1 -M do -s 1400 10.2.0.1");
  EXPECT_NE(large.output.find("mtu = 1400"), std::string::npos) << "the gateway tells the sender: " << large.output;
  auto server = lab_->bob.ns.background("exec iperf3 -s -1");
  (void)lab_->bob.ns.command("for i in $(seq 100); do ss -Hltn 'sport = 5201' | grep -q . && break; sleep 0.05; done");
  const auto sent = lan->command("iperf3 -c 10.2.0.1 -n 10M");
  EXPECT_EQ(sent.status, 0) << sent.output;
  const auto seen = wire.take();
  EXPECT_TRUE(seen.others.empty()) << seen.others[0];
}

TEST_F(DataPlane, AcquireThenThePacketsThatWaitedLeave) {
  start_both();
  auto pinging = lab_->alice.ns.background("exec ping -c 1 -W 20 " + lab_->bob.inner_text(Family::v4));
  const auto acquire = lab_->alice.wait_event<ipsec::Acquire>();
  ASSERT_TRUE(acquire);
  EXPECT_EQ(acquire->policy, ipsec::PolicyId(1));
  EXPECT_EQ(acquire->packet.destination, lab_->bob.inner(Family::v4));
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  EXPECT_TRUE(lab_->bob.wait_event<ipsec::InboundActivity>()) << "the ping that waited came over the new SA";
  EXPECT_EQ(counters(lab_->alice).outbound_packets, 1U);
}

TEST_F(DataPlane, IkeTravelsOnBothPortsAndComesBackFromTheSameAddress) {
  start_both();
  for (const Family family : {Family::v4, Family::v6}) {
    for (const std::uint16_t port : {std::uint16_t{500}, std::uint16_t{4500}}) {
      const net::Path there{{lab_->alice.outer(family), port}, {lab_->bob.outer(family), port}};
      const Bytes message(200, static_cast<std::uint8_t>(port & 0xff));
      EXPECT_EQ(lab_->alice.plane->send_ike(there, message), 0);
      const auto datagram = lab_->bob.wait_datagram();
      ASSERT_TRUE(datagram);
      EXPECT_TRUE(equal(datagram->message, message)) << "without the marker";
      EXPECT_EQ(datagram->path, (net::Path{there.remote, there.local}));
      EXPECT_EQ(lab_->bob.plane->send_ike(datagram->path, message), 0);
      const auto answer = lab_->alice.wait_datagram();
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->path, there);
    }
  }
  const net::Path nowhere{{lab_->alice.outer(Family::v4), 77}, {lab_->bob.outer(Family::v4), 500}};
  EXPECT_NE(lab_->alice.plane->send_ike(nowhere, Bytes(4)), 0);
}

TEST_F(DataPlane, KeepalivesAreOneOctetAndAreSwallowed) {
  start_both();
  const WireCapture wire = capture();
  const net::Path path{{lab_->alice.outer(Family::v4), 4500}, {lab_->bob.outer(Family::v4), 4500}};
  EXPECT_EQ(lab_->alice.plane->send_keepalive(path), 0);
  // A message behind it shows that the keepalive has been through.
  EXPECT_EQ(lab_->alice.plane->send_ike(path, Bytes(64, 1)), 0);
  const auto datagram = lab_->bob.wait_datagram();
  ASSERT_TRUE(datagram);
  EXPECT_EQ(datagram->message.size(), 64U);
  EXPECT_EQ(lab_->bob.drops("keepalive"), 1U);
  EXPECT_EQ(wire.take().keepalives, 1U);
}

TEST_F(DataPlane, ManyIkeMessagesAreBoundedAndCounted) {
  start_both();
  struct Way {
    std::uint16_t port;
    const char* reason;
    std::size_t sent;
    std::size_t most;
  };
  // The NAT port's go through a worker and a queue of 512; the IKE port's stay with the kernel, in a buffer of 2 MiB.
  const std::array ways{Way{4500, "ike_queue_full", 2000, 512}, Way{500, "outer_queue_full", 6000, 5000}};
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  for (const Way& way : ways) {
    const net::Path path{{lab_->alice.outer(Family::v4), way.port}, {lab_->bob.outer(Family::v4), way.port}};
    for (std::size_t i = 0; i < way.sent; ++i) EXPECT_EQ(lab_->alice.plane->send_ike(path, Bytes(100, 1)), 0);
    // ESP still passes while the control thread sleeps.
    EXPECT_EQ(lab_->ping(Family::v4, "-c 2 -i 0.05").status, 0);
    EXPECT_GT(lab_->bob.drops(way.reason), 0U);
    std::size_t got = 0;
    for (std::size_t before = way.sent; before != got;) {
      before = got;
      lab_->bob.plane->handle_wakeup();
      while (lab_->bob.plane->poll_datagram()) ++got;
    }
    EXPECT_LE(got, way.most) << way.port;
    EXPECT_GT(got, 0U) << way.port;
  }
}

// However many there are, whoever turns the loop has its other work between them.
TEST_F(DataPlane, IkeMessagesComeInBatches) {
  start_both();
  const net::Path path{{lab_->alice.outer(Family::v4), 500}, {lab_->bob.outer(Family::v4), 500}};
  constexpr std::size_t kSent = 100;
  for (std::size_t i = 0; i < kSent; ++i) EXPECT_EQ(lab_->alice.plane->send_ike(path, Bytes(100, 1)), 0);
  std::size_t got = 0;
  std::size_t most = 0;
  while (got < kSent && testing::wait_readable(lab_->bob.plane->wakeup_fd(), 5000)) {
    std::size_t turn = 0;
    lab_->bob.plane->handle_wakeup();
    while (lab_->bob.plane->poll_datagram()) ++turn;
    got += turn;
    most = std::max(most, turn);
  }
  EXPECT_EQ(got, kSent);
  EXPECT_LE(most, 16U);
}

TEST_F(DataPlane, RekeyUnderTrafficLosesNothing) {
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  auto result = io::testing::CommandResult{};
  std::thread pinging([&] { result = lab_->ping(Family::v4, "-c 200 -i 0.005"); });
  for (std::uint64_t child = 2; child <= 12; ++child) {
    EXPECT_EQ(lab_->install({.suite = kSuites[child % 2 == 0 ? 3 : 0].suite, .child = child, .replaces = child - 1}),
              "");
    for (Host* host : {&lab_->alice, &lab_->bob})
      host->plane->remove(model::ChildSaId(child - 1), std::chrono::seconds(5));
    ::usleep(50'000);
  }
  pinging.join();
  EXPECT_NE(result.output.find("200 received"), std::string::npos) << result.output;
}

// RFC 7296 2.8: alice, who answered, sends by the new pair; bob has not read her answer yet.
TEST_F(DataPlane, PacketsThatAreHereBeforeTheirSaAreTakenWhenItComes) {
  start_both();
  io::testing::CommandResult pinged;
  std::thread pinging;
  const auto alice_sends = [&] {
    pinging = std::thread([&] { pinged = lab_->ping(Family::v4, "-c 1"); });
    for (int i = 0; i < 200 && counters(lab_->alice).outbound_packets == 0; ++i) ::usleep(10'000);
    // Behind the ping: with it, the ping has been through.
    const net::Path path{{lab_->alice.outer(Family::v4), 4500}, {lab_->bob.outer(Family::v4), 4500}};
    EXPECT_EQ(lab_->alice.plane->send_ike(path, Bytes(64, 1)), 0);
    EXPECT_TRUE(lab_->bob.wait_datagram());
  };
  EXPECT_EQ(lab_->install({.suite = kGcm, .between = alice_sends}), "");
  pinging.join();
  EXPECT_EQ(pinged.status, 0) << pinged.output;
  EXPECT_EQ(counters(lab_->bob).inbound_packets, 1U);
  EXPECT_EQ(lab_->bob.drops("spi_unknown"), 0U);
}

TEST_F(DataPlane, ARemovedPairIsGoneAndItsSpiComesBack) {
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  EXPECT_EQ(lab_->ping(Family::v4, "-c 1").status, 0);
  for (Host* host : {&lab_->alice, &lab_->bob}) host->plane->remove(model::ChildSaId(1), Duration::zero());
  lab_->alice.plane->settle();
  EXPECT_FALSE(lab_->alice.plane->counters(model::ChildSaId(77)));
  ::usleep(30'000);  // the age to which counters may be old
  EXPECT_FALSE(lab_->alice.plane->counters(model::ChildSaId(1)));
  EXPECT_NE(lab_->ping(Family::v4, "-c 1 -W 0.3").status, 0);
  EXPECT_TRUE(testing::wait_readable(lab_->alice.plane->wakeup_fd(), 5000));
  lab_->alice.plane->handle_wakeup();
}

TEST_F(DataPlane, WhatCannotWorkIsRefusedAtOnce) {
  start_both();
  EXPECT_NE(lab_->install({.suite = {.encryption = model::EncryptionId::aes_gcm_16, .key_bits = 100}}), "");
  auto spi = lab_->alice.plane->allocate_spi();
  ASSERT_TRUE(spi);
  model::ChildSaParams params;
  params.spi_inbound = *spi;
  params.suite = kGcm;  // and no keys
  EXPECT_FALSE(lab_->alice.plane->install(std::move(params)));
  EXPECT_TRUE(lab_->alice.plane->reserve_spi(*spi)) << "the SPI of a pair that does not stand is free again";
}

TEST_F(DataPlane, ASpiTwiceInUseEndsTheSecondPair) {
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm, .child = 1}), "");
  ASSERT_EQ(lab_->install({.suite = kGcm, .child = 1}), "") << "the ends cannot know yet";
  const auto refused = lab_->alice.wait_event<ipsec::SaRefused>();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->error, ipsec::DataPlaneError::no_free_spi);
  EXPECT_EQ(lab_->alice.drops("install_refused"), 1U);
}

TEST_F(DataPlane, AUsedPortIsNamedAndARestartFindsItFree) {
  start_both();
  lab_->alice.ns.run([&] {
    const auto second = OuterSockets::open({});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, io::IoErrorCode::address_in_use);
    EXPECT_NE(second.error().text.find("500"), std::string::npos);
  });
  for (int i = 0; i < 5; ++i) {
    lab_->stop(lab_->alice);
    lab_->start(lab_->alice);
    ASSERT_TRUE(lab_->alice.plane);
  }
  lab_->stop(lab_->bob);
  lab_->start(lab_->bob);
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  EXPECT_EQ(lab_->ping(Family::v6, "-c 1").status, 0);
}

// RFC 4301 5.1, step 3b: what a rule lets out leaves as it came, super-packets in pieces, while all else is protected.
TEST_F(DataPlane, WhatARuleBypassesLeavesInClearAndTheRestDoesNot) {
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  for (Host* host : {&lab_->alice, &lab_->bob}) {
    Host& peer = host == &lab_->alice ? lab_->bob : lab_->alice;
    const std::string via4 = peer.outer(Family::v4).to_string();
    const std::string via6 = peer.outer(Family::v6).to_string();
    // Where the packets would go without us: in clear to the peer's outer address.
    ASSERT_EQ(host->ns
                  .command(fmt::format("ip route add {} via {} && ip -6 route add {} via {}",
                                       peer.inner_text(Family::v4), via4, peer.inner_text(Family::v6), via6))
                  .status,
              0);
    const auto all = [](const Host& of, const char* what) -> model::TrafficSelectors {
      return {*model::TrafficSelector::parse(of.inner_text(Family::v4) + "/32" + what),
              *model::TrafficSelector::parse(of.inner_text(Family::v6) + "/128" + what)};
    };
    host->plane->set_policies({{.id = ipsec::PolicyId(1),
                                .action = ipsec::PolicyAction::bypass,
                                .local = all(*host, "[tcp]"),
                                .remote = all(peer, "[tcp]")},
                               {.id = ipsec::PolicyId(2),
                                .action = ipsec::PolicyAction::protect,
                                .local = all(*host, ""),
                                .remote = all(peer, ""),
                                .connection = model::ConnectionId(1)}});
    host->plane->settle();
  }
  const WireCapture wire = capture();
  for (const Family inner : {Family::v4, Family::v6}) EXPECT_EQ(lab_->ping(inner, "-c 3 -i 0.05").status, 0);
  const auto protected_part = wire.take();
  EXPECT_GE(protected_part.esp_in_udp, 6U);
  EXPECT_TRUE(protected_part.others.empty());
  for (const Family inner : {Family::v4, Family::v6}) transfer(inner, "-n 4M");
  const auto seen = wire.take();
  EXPECT_GE(seen.others.size(), 2000U) << "8 MiB in super-packets would be some hundred; these are their pieces";
  EXPECT_LE(seen.esp_in_udp, 100U);
  EXPECT_EQ(counters(lab_->alice).outbound_packets, 6U) << "nothing of TCP went through the tunnel";
  EXPECT_EQ(lab_->alice.drops("bypass_unavailable"), 0U);
  EXPECT_EQ(lab_->alice.drops("bypass_refused"), 0U);
}

// Packets that bring their own header, both ways: the SA's addresses are the packets' own.
TEST_F(DataPlane, TransportModeAndAhBetweenTheHostsThemselves) {
  constexpr model::EspSuite kAhSuite{.encryption = model::EncryptionId::null,
                                     .integrity = model::IntegrityId::hmac_sha2_256_128};
  lab_->host_to_host = true;
  // TUN checks sources strictly, as many hosts have it: what it delivers comes from where the route leads. The other
  // interface cannot, since the same route leads away from it.
  for (const Host* host : {&lab_->alice, &lab_->bob}) {
    ASSERT_EQ(host->ns
                  .command("cd /proc/sys/net/ipv4/conf && echo 0 > all/rp_filter && echo 1 > default/rp_filter && "
                           "echo 2 > v0/rp_filter")
                  .status,
              0);
  }
  for (const Family family : {Family::v4, Family::v6}) {
    for (const auto protocol : {model::ProtocolId::esp, model::ProtocolId::ah}) {
      for (const auto mode : {model::Mode::transport, model::Mode::tunnel}) {
        start_both();
        EXPECT_EQ(lab_->bob.ns.command("cat /proc/sys/net/ipv4/conf/cvt0/rp_filter").output, "1\n");
        const WireCapture wire = capture();
        const bool ah = protocol == model::ProtocolId::ah;
        ASSERT_EQ(lab_->install({.suite = ah ? kAhSuite : kGcm,
                                 .encapsulation = Encapsulation::none,
                                 .outer = family,
                                 .mode = mode,
                                 .protocol = protocol}),
                  "");
        const auto pinged = lab_->alice.ns.command(
            fmt::format("ping -q -W 3 -c 3 -i 0.05 -s 1000 {}", lab_->bob.outer(family).to_string()));
        EXPECT_EQ(pinged.status, 0) << pinged.output;
        const auto seen = wire.take();
        EXPECT_GE(ah ? seen.ah : seen.raw_esp, 6U);
        EXPECT_TRUE(seen.others.empty()) << seen.others[0];
        lab_->stop(lab_->alice);
        lab_->stop(lab_->bob);
      }
    }
  }
}

TEST_F(DataPlane, StoppingLeavesTheHostAsItWas) {
  // All but what the kernel adds by itself, a little later than asked.
  const auto state = [&] {
    return lab_->alice.ns
        .command(
            "ip rule; ip -6 rule; { ip route show table all; ip -6 route show table all; } | grep -v 'proto kernel';"
            "ip -o addr show scope global | cut -d' ' -f2-7; ip -br link")
        .output;
  };
  const std::string before = state();
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  EXPECT_EQ(lab_->ping(Family::v4, "-c 1").status, 0);
  EXPECT_NE(state(), before);
  lab_->stop(lab_->alice);
  EXPECT_EQ(state(), before);
}

TEST_F(DataPlane, ADeletedTunIsAFaultWithWords) {
  start_both();
  EXPECT_EQ(lab_->alice.ns.command("ip link del cvt0").status, 0);
  ASSERT_TRUE(testing::wait_readable(lab_->alice.plane->wakeup_fd(), 5000));
  lab_->alice.plane->handle_wakeup();
  const auto fault = lab_->alice.plane->poll_fault();
  ASSERT_TRUE(fault);
  EXPECT_NE(fault->find("TUN"), std::string::npos);
  EXPECT_FALSE(lab_->alice.plane->poll_fault()) << "said once";
}

TEST_F(DataPlane, TheFactsSayWhatTheKernelGives) {
  start_both(io::TunOffload::none, false);
  const auto facts = lab_->alice.plane->facts();
  EXPECT_EQ(facts.tun_name, "cvt0");
  EXPECT_EQ(facts.tun_offload, "none");
  EXPECT_FALSE(facts.udp_segmentation);
  EXPECT_FALSE(facts.udp_receive_offload);
  EXPECT_TRUE(facts.raw_esp);
  EXPECT_TRUE(facts.ipv6);
}

}  // namespace
}  // namespace culvert::datapath
