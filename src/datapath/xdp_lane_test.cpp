#include "datapath/xdp_lane.hpp"

#include <algorithm>
#include <functional>

#include <net/if.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "datapath/testing/sender_kit.hpp"
#include "datapath/testing/tunnel_lab.hpp"
#include "io/xdp_socket.hpp"
#include "net/header_writer.hpp"

namespace culvert::datapath {
namespace {

using model::Encapsulation;
using net::Family;
using net::IpAddress;
using testing::Host;
using testing::TunnelLab;
using testing::WireCapture;

constexpr model::EspSuite kGcm{.encryption = model::EncryptionId::aes_gcm_16, .key_bits = 128};
constexpr std::size_t kEthernet = 14;

Bytes frame_of(Family family, std::size_t payload) {
  const std::size_t header = net::ip_header_size(family);
  Bytes frame(kEthernet + header + payload);
  store_be16(frame.data() + 12, family == Family::v4 ? 0x0800 : 0x86dd);
  const bool v4 = family == Family::v4;
  net::write_ip_header(frame.data() + kEthernet, {.source = *IpAddress::parse(v4 ? "192.0.2.2" : "2001:db8::2"),
                                                  .destination = *IpAddress::parse(v4 ? "192.0.2.1" : "2001:db8::1"),
                                                  .protocol = 50,
                                                  .tos = 0xb9,
                                                  .ttl = 61,
                                                  .payload_length = static_cast<std::uint16_t>(payload)});
  return frame;
}

TEST(XdpFrame, IsReadAsWhatARawSocketWouldHaveGiven) {
  for (const Family family : {Family::v4, Family::v6}) {
    Bytes frame = frame_of(family, 40);
    frame.resize(frame.size() + 6);  // short frames are padded
    const auto input = read_esp_frame(frame);
    ASSERT_TRUE(input);
    EXPECT_EQ(input->path.remote.address.to_string(), family == Family::v4 ? "192.0.2.2" : "2001:db8::2");
    EXPECT_EQ(input->path.local.address.to_string(), family == Family::v4 ? "192.0.2.1" : "2001:db8::1");
    EXPECT_EQ(input->encapsulation, Encapsulation::none);
    EXPECT_EQ(input->tos, 0xb9);
    EXPECT_EQ(input->hop_limit, 61);
    EXPECT_EQ(input->protocol, 50);
    EXPECT_EQ(input->ip_header.size(), net::ip_header_size(family));
    EXPECT_EQ(input->bytes.size(), 40U);
    EXPECT_EQ(input->bytes.data(), frame.data() + kEthernet + net::ip_header_size(family));
  }
}

TEST(XdpFrame, ThatIsCutOrFalseIsNone) {
  for (const Family family : {Family::v4, Family::v6}) {
    const Bytes whole = frame_of(family, 40);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
      EXPECT_FALSE(read_esp_frame(cut)) << length;
    }
  }
  Bytes wrong = frame_of(Family::v4, 40);
  wrong[kEthernet + 8] ^= 1;  // TTL, under the checksum
  EXPECT_FALSE(read_esp_frame(wrong));
  // RFC 1122 3.2.1.3: no source of a packet.
  for (const char* source : {"224.0.0.1", "127.0.0.1", "0.0.0.0"}) {
    Bytes frame = frame_of(Family::v4, 40);
    net::write_ip_header(frame.data() + kEthernet, {.source = *IpAddress::parse(source),
                                                    .destination = *IpAddress::parse("192.0.2.1"),
                                                    .protocol = 50,
                                                    .payload_length = 40});
    EXPECT_FALSE(read_esp_frame(frame)) << source;
  }
}

class XdpLanes : public testing::TunnelLabTest {
 protected:
  void start(Host& host, bool with_xdp) {
    lab_->xdp = with_xdp ? std::vector<std::string>{"v0"} : std::vector<std::string>{};
    lab_->start(host);
    ASSERT_TRUE(host.plane);
    if (!with_xdp) return;
    const auto facts = host.plane->facts().xdp;
    ASSERT_EQ(facts.size(), 1U);
    ASSERT_TRUE(facts[0].in_use) << facts[0].text;
    host.ns.run([&] { host.plane->read_addresses(); });
  }
  WireCapture capture(const Host& host) const {
    std::optional<WireCapture> made;
    host.ns.run([&] { made.emplace("v0"); });
    return std::move(*made);
  }
  void expect_ping(Family inner, const std::string& options = "-c 3 -i 0.05") {
    const auto pinged = lab_->ping(inner, options);
    EXPECT_EQ(pinged.status, 0) << pinged.output;
  }
  ipsec::SaCounters counters(const Host& host) const {
    return host.plane->counters(model::ChildSaId(1)).value_or(ipsec::SaCounters{});
  }
  void transfer(const std::string& options) {
    auto server = lab_->bob.ns.background("exec iperf3 -s -1");
    (void)lab_->bob.ns.command(
        "for i in $(seq 100); do ss -Hltn 'sport = 5201' | grep -q . && break; sleep 0.05; done");
    const auto result = lab_->alice.ns.command("iperf3 -c " + lab_->bob.inner_text(Family::v4) + " " + options);
    EXPECT_EQ(result.status, 0) << result.output;
  }
};

// What an XDP program takes, and what AF_XDP sends, no packet socket of the host sees: that is how one tells.
TEST_F(XdpLanes, CarryEspOfBothFamiliesAroundTheKernel) {
  lab_->workers = 1;  // the interface has one queue, and who has no queue sends by the kernel
  start(lab_->alice, true);
  start(lab_->bob, true);
  for (const Family outer : {Family::v4, Family::v6}) {
    ASSERT_EQ(lab_->install({.suite = kGcm, .encapsulation = Encapsulation::none, .outer = outer}), "");
    expect_ping(Family::v4, "-c 1 -W 3");
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // the neighbours know each other by now
    expect_ping(Family::v4, "-c 1 -W 3");
    const WireCapture at_alice = capture(lab_->alice);
    const WireCapture at_bob = capture(lab_->bob);
    for (const Family inner : {Family::v4, Family::v6}) expect_ping(inner, "-c 5 -i 0.02 -s 1300");
    for (const WireCapture* one : {&at_alice, &at_bob}) {
      const auto seen = one->take();
      EXPECT_TRUE(seen.others.empty()) << seen.others[0];
      EXPECT_EQ(seen.raw_esp, 0U);
    }
    lab_->alice.plane->remove(model::ChildSaId(1), Duration::zero());
    lab_->bob.plane->remove(model::ChildSaId(1), Duration::zero());
    lab_->alice.plane->settle();
    lab_->bob.plane->settle();
  }
}

TEST_F(XdpLanes, WorkWithAPeerThatHasNone) {
  start(lab_->alice, true);
  start(lab_->bob, false);
  ASSERT_EQ(lab_->install({.suite = kGcm, .encapsulation = Encapsulation::none}), "");
  for (const Family inner : {Family::v4, Family::v6}) expect_ping(inner);
  transfer("-n 20M");
  transfer("-n 20M -R");
  for (const Host* host : {&lab_->alice, &lab_->bob}) {
    EXPECT_EQ(counters(*host).integrity_drops, 0U);
    EXPECT_EQ(counters(*host).replay_drops, 0U);
    EXPECT_GT(counters(*host).inbound_bytes, 10'000'000U);
  }
}

TEST_F(XdpLanes, CarryTcpAndUdpBothWays) {
  start(lab_->alice, true);
  start(lab_->bob, true);
  ASSERT_EQ(lab_->install({.suite = kGcm, .encapsulation = Encapsulation::none}), "");
  transfer("-n 40M");
  transfer("-n 40M -R");
  transfer("-u -b 0 -n 20M -l 1300");
  for (const Host* host : {&lab_->alice, &lab_->bob}) {
    EXPECT_EQ(counters(*host).integrity_drops, 0U);
    EXPECT_EQ(counters(*host).replay_drops, 0U);
    EXPECT_EQ(host->drops("tun_write_refused"), 0U);
    EXPECT_EQ(host->drops("outer_refused"), 0U);
  }
}

TEST_F(XdpLanes, LeaveEspInUdpAndLongPacketsToTheKernel) {
  start(lab_->alice, true);
  start(lab_->bob, true);
  ASSERT_EQ(lab_->install({.suite = kGcm, .encapsulation = Encapsulation::udp}), "");
  expect_ping(Family::v4);
  ASSERT_EQ(lab_->install({.suite = kGcm, .encapsulation = Encapsulation::none, .child = 2, .replaces = 1}), "");
  expect_ping(Family::v4);
  // ESP makes it longer than the interface takes: it goes in fragments, which the program leaves alone.
  for (const Host* host : {&lab_->alice, &lab_->bob}) {
    EXPECT_EQ(host->ns.command("ip link set v0 mtu 1400").status, 0);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  expect_ping(Family::v4, "-c 3 -i 0.05 -W 3 -M dont -s 1370");
}

TEST_F(XdpLanes, AreNotHadWhereThereIsNoEthernet) {
  lab_->xdp = {"lo", "nowhere"};
  lab_->start(lab_->alice);
  ASSERT_TRUE(lab_->alice.plane);
  const auto facts = lab_->alice.plane->facts().xdp;
  ASSERT_EQ(facts.size(), 2U);
  EXPECT_FALSE(facts[0].in_use);
  EXPECT_EQ(facts[0].text, "lo is no Ethernet interface");
  EXPECT_FALSE(facts[1].in_use);
  EXPECT_NE(facts[1].text.find("there is no interface nowhere"), std::string::npos) << facts[1].text;
}

TEST_F(XdpLanes, CountFramesThatFoundNoMemory) {
  std::vector<std::unique_ptr<XdpLane>> lanes(1);
  std::optional<XdpPorts> ports;
  lab_->alice.ns.run([&] { ports = XdpPorts::open({"v0"}, 0, lanes); });
  ASSERT_TRUE(ports->facts().at(0).in_use) << ports->facts()[0].text;
  constexpr std::size_t kMore = 300;
  lab_->bob.ns.run([&] {
    const auto sender = io::DatagramSocket::open_raw({.family = Family::v4, .protocol = 50});
    ASSERT_TRUE(sender) << sender.error().text;
    const Bytes esp(100, 7);
    const net::Path path{{lab_->bob.outer(Family::v4), 0}, {lab_->alice.outer(Family::v4), 0}};
    io::SendScratch scratch;
    for (std::size_t i = 0; i < io::XdpSocket::kFrames + kMore; ++i) {
      const io::OutgoingMessage message{.path = path, .bytes = esp};
      ASSERT_EQ(sender->send(std::span(&message, 1), scratch).datagrams, 1U);
    }
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (lanes[0]->receive_drops() < kMore && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(lanes[0]->receive_drops(), kMore);
}

// A worker must not wake up again and again for frames that will never leave.
TEST_F(XdpLanes, DoNotWaitForAnInterfaceThatIsGone) {
  lab_->alice.ns.run([&] {
    std::vector<std::unique_ptr<XdpLane>> lanes(1);
    const XdpPorts ports = XdpPorts::open({"v0"}, 0, lanes);
    ASSERT_TRUE(ports.facts().at(0).in_use) << ports.facts()[0].text;
    XdpLane& lane = *lanes[0];
    const auto known = io::testing::shell("ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev v0");
    ASSERT_EQ(known.status, 0) << known.output;
    const Bytes esp(200, 7);
    const ipsec::WireTrain train{.path = {{lab_->alice.outer(Family::v4), 0}, {lab_->bob.outer(Family::v4), 0}},
                                 .encapsulation = Encapsulation::none,
                                 .segment_size = 100,
                                 .bytes = esp};
    const Instant now{};
    ASSERT_TRUE(lane.send(train, now, [] {}).taken);
    EXPECT_TRUE(lane.flush());
    for (const char* end : {"ip link set v0 down", "ip link del v0"}) {
      ASSERT_EQ(io::testing::shell(end).status, 0);
      ASSERT_TRUE(lane.send(train, now, [] {}).taken) << "what is known of the way holds for a second";
      EXPECT_TRUE(lane.flush()) << end;
      EXPECT_FALSE(lane.pending()) << end;
    }
    EXPECT_FALSE(lane.send(train, now + std::chrono::seconds(2), [] {}).taken)
        << "then it is the kernel's to refuse it";
  });
}

// At alice's end, with a lane.
struct LaneSender : testing::SenderKit {
  LaneSender() : SenderKit({.xdp = {"v0"}}) {}
  net::Path path;
  std::size_t used = 0;
  std::uint32_t number = 0;
  std::vector<ipsec::WireTrain> trains;

  // A train of numbered packets.
  void add(std::size_t length, std::size_t packets = 1) {
    const MutableByteView bytes = sender.region().subspan(used, length * packets);
    for (std::size_t i = 0; i < packets; ++i) store_be32(bytes.data() + i * length, ++number);
    used += bytes.size();
    trains.push_back({.path = path,
                      .encapsulation = Encapsulation::none,
                      .segment_size = static_cast<std::uint16_t>(length),
                      .bytes = bytes});
  }
};

class LaneOrder : public XdpLanes {
 protected:
  static constexpr std::size_t kShort = 40;
  static constexpr std::size_t kLong = 2000;  // for the socket, in fragments
  /// The numbers of the packets as they come to bob.
  std::vector<std::uint32_t> arrived(const std::function<void(LaneSender&)>& fill) {
    (void)lab_->alice.ns.command("ping -c 1 -W 3 " + lab_->bob.outer(Family::v4).to_string());
    std::optional<io::DatagramSocket> bob;
    lab_->bob.ns.run([&] { bob = *io::DatagramSocket::open_raw({.family = Family::v4, .protocol = 50}); });
    lab_->alice.ns.run([&] {
      LaneSender rig;
      ASSERT_TRUE(rig.sockets->front().xdp_facts().at(0).in_use) << rig.sockets->front().xdp_facts()[0].text;
      rig.path = {{lab_->alice.outer(Family::v4), 0}, {lab_->bob.outer(Family::v4), 0}};
      fill(rig);
      rig.sender.send(rig.trains);
      rig.sender.flush();
    });
    std::vector<std::uint32_t> numbers;
    io::ReceiveBuffers buffers(16);
    while (testing::wait_readable(bob->fd(), 200)) {
      for (const io::ReceivedMessage& message : bob->receive(buffers).messages) {
        numbers.push_back(load_be32(message.bytes.data()));
      }
    }
    return numbers;
  }
};

// Longer ones than the interface takes go by the socket, in pieces.
TEST_F(LaneOrder, HoldsWhereAFlowGoesByTheLaneAndTheSocketInTurn) {
  const auto numbers = arrived([](LaneSender& rig) {
    for (int i = 0; i < 4; ++i) rig.add(kShort), rig.add(kLong);
    rig.add(kShort, 3);
  });
  EXPECT_EQ(numbers, (std::vector<std::uint32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
}

TEST_F(LaneOrder, HoldsWhereTheLaneIsFullBeforeItIsFlushed) {
  const auto numbers = arrived([](LaneSender& rig) {
    rig.add(kLong);
    for (std::size_t i = 0; i * 64 < io::XdpSocket::kFrames + 256; ++i) rig.add(kShort, 64);
  });
  ASSERT_GT(numbers.size(), 1U);
  EXPECT_EQ(numbers.front(), 1U) << "the one that waits for the socket";
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
}

// Who settles is about to send by another way what must not overtake them.
TEST_F(LaneOrder, SettlingWaitsForFramesOfAnotherWorkersLane) {
  (void)lab_->alice.ns.command("ping -c 1 -W 3 " + lab_->bob.outer(Family::v4).to_string());
  lab_->alice.ns.run([&] {
    std::vector<std::unique_ptr<XdpLane>> lanes(1);
    const XdpPorts ports = XdpPorts::open({"v0"}, 0, lanes);
    ASSERT_TRUE(ports.facts().at(0).in_use) << ports.facts()[0].text;
    XdpLane& lane = *lanes[0];
    std::vector<io::EventFd> wakeups;
    for (int worker = 0; worker < 2; ++worker) wakeups.push_back(*io::EventFd::open());
    Shared shared({}, std::move(wakeups), *io::EventFd::open());
    shared.lanes = {&lane, nullptr};
    Exchange other(shared, 1);
    const Bytes esp(io::XdpSocket::kFrames * kShort, 7);
    const ipsec::WireTrain train{.path = {{lab_->alice.outer(Family::v4), 0}, {lab_->bob.outer(Family::v4), 0}},
                                 .encapsulation = Encapsulation::none,
                                 .segment_size = kShort,
                                 .bytes = esp};
    for (std::uint32_t round = 1; round <= 20; ++round) {
      ASSERT_TRUE(lane.send(train, Instant{}, [] {}).taken);
      const std::uint32_t before = lane.submitted(0);
      std::thread owner([&] { (void)lane.flush(); });
      while (lane.submitted(0) == before) std::this_thread::yield();
      const bool settled = other.settle(std::chrono::seconds(20));
      const bool left = lane.has_left(0, lane.submitted(0));
      owner.join();
      ASSERT_TRUE(settled) << round;
      ASSERT_TRUE(left) << round;
    }
  });
}

// The kernel frees the queue of a closed socket when it comes round to it.
TEST_F(XdpLanes, AreThereAgainRightAfterARestart) {
  lab_->alice.ns.run([] {
    const io::XdpSocket::Options options{.interface_index = ::if_nametoindex("v0")};
    for (int restart = 0; restart < 200; ++restart) {
      const auto socket = io::XdpSocket::open(options);
      ASSERT_TRUE(socket) << restart << ": " << socket.error().text;
    }
  });
}

TEST_F(XdpLanes, EndWithTheirDataPlane) {
  start(lab_->alice, true);
  EXPECT_NE(lab_->alice.ns.command("ip -d link show v0").output.find("xdp"), std::string::npos);
  lab_->stop(lab_->alice);
  EXPECT_EQ(lab_->alice.ns.command("ip -d link show v0").output.find("xdp"), std::string::npos);
  // Another one's program stays, and is told of.
  start(lab_->alice, true);
  std::vector<std::unique_ptr<XdpLane>> lanes(1);
  std::vector<XdpPorts::Fact> facts;
  lab_->alice.ns.run([&] { facts = XdpPorts::open({"v0"}, 0, lanes).facts(); });
  EXPECT_NE(facts.at(0).text.find("another program is attached to it"), std::string::npos) << facts.at(0).text;
}

}  // namespace
}  // namespace culvert::datapath
