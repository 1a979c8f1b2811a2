// Several workers: what comes to one and belongs to another, order, sequence numbers and replay.
#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/bytes.hpp"
#include "datapath/testing/tunnel_lab.hpp"
#include "io/socket_address.hpp"
#include "ipsec/replay_window.hpp"
#include "net/packet.hpp"

namespace culvert::datapath {
namespace {

using io::testing::kNeedsRoot;
using net::Family;
using testing::Host;
using testing::TunnelLab;
using testing::TunnelPlan;

constexpr model::EspSuite kGcm{.encryption = model::EncryptionId::aes_gcm_16, .key_bits = 128};
constexpr std::uint16_t kFirstPort = 20'000;
constexpr std::size_t kEthernetHeader = 14;

/// Frames of an interface, in and out, from the making on.
class Frames {
 public:
  explicit Frames(const char* interface) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const int size = 256 * 1024 * 1024;
    (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(interface));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  /// Those with ESP in UDP towards the given address.
  [[nodiscard]] std::vector<Bytes> esp_to(const net::IpAddress& destination) const {
    std::vector<Bytes> frames;
    Bytes buffer(70'000);
    for (;;) {
      const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got < 0) return frames;
      const ByteView frame(buffer.data(), static_cast<std::size_t>(got));
      if (frame.size() < kEthernetHeader) continue;
      const auto info = net::parse_packet(frame.subspan(kEthernetHeader));
      if (info && info->protocol == IPPROTO_UDP && info->destination_port == 4500 && info->destination == destination) {
        frames.push_back(to_bytes(frame));
      }
    }
  }
  void inject(ByteView frame) const {
    EXPECT_EQ(::send(fd_.get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  }

 private:
  io::FileDescriptor fd_;
};

// SPI and sequence number of an IPv4 frame with ESP in UDP.
std::pair<std::uint32_t, std::uint32_t> numbers_of(ByteView frame) {
  const std::uint8_t* const esp = frame.data() + kEthernetHeader + 20 + 8;
  return {load_be32(esp), load_be32(esp + 4)};
}

class Workers : public ::testing::Test {
 protected:
  void SetUp() override {
    lab_ = TunnelLab::make();
    if (!lab_) GTEST_SKIP() << kNeedsRoot;
    lab_->workers = 3;
  }
  void TearDown() override {
    if (!lab_) return;
    lab_->stop(lab_->alice);
    lab_->stop(lab_->bob);
  }
  // Without trains, so that a frame is a packet.
  void start_both(bool segmentation = false) {
    lab_->start(lab_->alice, io::TunOffload::tcp_and_udp, segmentation);
    lab_->start(lab_->bob, io::TunOffload::tcp_and_udp, segmentation);
    ASSERT_TRUE(lab_->alice.plane && lab_->bob.plane);
  }
  Frames frames_at(const Host& host) const {
    std::optional<Frames> frames;
    host.ns.run([&] { frames.emplace("v0"); });
    return std::move(*frames);
  }
  ipsec::SaCounters counters(const Host& host, std::uint64_t child) const {
    return host.plane->counters(model::ChildSaId(child)).value_or(ipsec::SaCounters{});
  }
  io::FileDescriptor socket_at(const Host& host, std::uint16_t port) const {
    io::FileDescriptor fd;
    host.ns.run([&] {
      fd = io::FileDescriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const int size = 64 * 1024 * 1024;
      (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
      sockaddr_storage address{};
      const socklen_t length = io::to_sockaddr({host.inner(Family::v4), port}, address);
      EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
    });
    return fd;
  }

  // `flows` flows of numbered datagrams from one host to the other, in turn. Answers what arrived, by flow.
  std::map<std::uint16_t, std::vector<std::uint32_t>> send_flows(const Host& from, const Host& to, std::uint16_t flows,
                                                                 std::uint32_t datagrams) const {
    const io::FileDescriptor receiver = socket_at(to, 9'999);
    std::vector<io::FileDescriptor> senders;
    for (std::uint16_t i = 0; i < flows; ++i) {
      senders.push_back(socket_at(from, static_cast<std::uint16_t>(kFirstPort + i)));
    }
    std::map<std::uint16_t, std::vector<std::uint32_t>> arrived;
    std::size_t count = 0;
    const auto collect = [&](int milliseconds) {
      std::array<std::uint8_t, 2048> datagram;
      sockaddr_storage address{};
      socklen_t length = sizeof address;
      while (testing::wait_readable(receiver.get(), milliseconds)) {
        if (::recvfrom(receiver.get(), datagram.data(), datagram.size(), 0, reinterpret_cast<sockaddr*>(&address),
                       &length) >= 4) {
          arrived[io::from_sockaddr(address).port].push_back(load_be32(datagram.data()));
          ++count;
        }
      }
    };
    sockaddr_storage address{};
    const socklen_t length = io::to_sockaddr({to.inner(Family::v4), 9'999}, address);
    Bytes datagram(200);
    for (std::uint32_t number = 0; number < datagrams; ++number) {
      store_be32(datagram.data(), number);
      for (const io::FileDescriptor& sender : senders) {
        (void)::sendto(sender.get(), datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                       length);
      }
      // Not faster than a slow machine takes it, nor more than a queue of TUN holds: nothing is to be lost here.
      while (count + 200 < std::size_t{number} * flows && testing::wait_readable(receiver.get(), 2'000)) collect(0);
    }
    while (count < std::size_t{datagrams} * flows && testing::wait_readable(receiver.get(), 2'000)) collect(0);
    return arrived;
  }
  static void expect_all_in_order(const std::map<std::uint16_t, std::vector<std::uint32_t>>& arrived,
                                  std::uint16_t flows, std::uint32_t datagrams) {
    EXPECT_EQ(arrived.size(), flows);
    for (const auto& [port, numbers] : arrived) {
      EXPECT_EQ(numbers.size(), datagrams) << port;
      EXPECT_TRUE(std::ranges::is_sorted(numbers)) << port;
    }
  }

  std::unique_ptr<TunnelLab> lab_;
};

TEST_F(Workers, FlowsOfOneSaStayInOrderAndNoNumberIsUsedTwice) {
  start_both();
  EXPECT_EQ(lab_->alice.plane->facts().workers, 3U);
  const Frames wire = frames_at(lab_->bob);
  ASSERT_EQ(lab_->install({.suite = kGcm}), "");
  expect_all_in_order(send_flows(lab_->alice, lab_->bob, 12, 500), 12, 500);
  std::set<std::pair<std::uint32_t, std::uint32_t>> used;
  std::size_t packets = 0;
  for (const Bytes& frame : wire.esp_to(lab_->bob.outer(Family::v4))) {
    ++packets;
    EXPECT_TRUE(used.insert(numbers_of(frame)).second) << numbers_of(frame).second;
  }
  EXPECT_EQ(packets, 6000U);
  EXPECT_EQ(counters(lab_->alice, 1).outbound_sequence, 6000U) << "no number is left out either";
  EXPECT_EQ(counters(lab_->bob, 1).inbound_packets, 6000U);
  EXPECT_EQ(counters(lab_->bob, 1).replay_drops, 0U);
  EXPECT_EQ(lab_->alice.drops("handover_full"), 0U);
  expect_all_in_order(send_flows(lab_->bob, lab_->alice, 12, 100), 12, 100);
}

// RFC 9611: each worker sends by its own, and what comes for it is its own too.
TEST_F(Workers, EachSendsByItsOwnSaWhereThereIsOne) {
  start_both();
  ASSERT_EQ(lab_->install({.suite = kGcm, .child = 1, .per_resource = true}), "");
  expect_all_in_order(send_flows(lab_->alice, lab_->bob, 12, 20), 12, 20);
  std::set<std::uint32_t> asked;
  while (const auto wanted = lab_->alice.wait_event<ipsec::Acquire>()) {
    ASSERT_TRUE(wanted->resource);
    asked.insert(*wanted->resource);
    if (asked.size() == 2) break;
  }
  EXPECT_EQ(asked.size(), 2U) << "all but the home of the connection";
  for (std::uint32_t worker = 0; worker < 3; ++worker) {
    ASSERT_EQ(lab_->install({.suite = kGcm, .child = 10 + worker, .resource = worker}), "");
  }
  const Frames wire = frames_at(lab_->bob);
  expect_all_in_order(send_flows(lab_->alice, lab_->bob, 24, 300), 24, 300);
  std::map<std::uint32_t, std::set<std::uint32_t>> used;
  for (const Bytes& frame : wire.esp_to(lab_->bob.outer(Family::v4))) {
    const auto [spi, sequence] = numbers_of(frame);
    EXPECT_TRUE(used[spi].insert(sequence).second);
  }
  EXPECT_GE(used.size(), 2U) << "24 flows over 3 queues";
  std::uint64_t through_own = 0;
  for (std::uint32_t worker = 0; worker < 3; ++worker) {
    through_own += counters(lab_->bob, 10 + worker).inbound_packets;
    EXPECT_EQ(counters(lab_->bob, 10 + worker).replay_drops, 0U);
  }
  EXPECT_EQ(through_own, 24U * 300);
  // One goes: its worker's packets take the way over the home again.
  for (std::uint32_t worker = 0; worker < 3; ++worker) {
    lab_->alice.plane->remove(model::ChildSaId(10 + worker), {});
  }
  lab_->alice.plane->settle();
  expect_all_in_order(send_flows(lab_->alice, lab_->bob, 12, 20), 12, 20);
}

// The same packets, shuffled and with many of them twice, through three workers and through one window each: the same
// ones are taken.
TEST_F(Workers, TheReplayVerdictIsThatOfASerialWindow) {
  start_both();
  const Frames wire = frames_at(lab_->bob);
  const Frames injector = frames_at(lab_->alice);
  const auto kept_out = lab_->bob.ns.command(
      "nft 'add table inet hold; add chain inet hold in { type filter hook input priority -300; }; add rule inet hold "
      "in udp dport 4500 drop'");
  if (kept_out.status != 0) GTEST_SKIP() << "needs nft to hold packets back: " << kept_out.output;
  // With 64-bit numbers one that is too old passes for one that is far ahead, until its ICV is looked at.
  model::EspSuite suite = kGcm;
  suite.esn = model::EsnId::no_esn;
  constexpr std::uint32_t kPairs = 4;
  std::map<std::uint32_t, std::uint64_t> child_of;
  for (std::uint32_t i = 0; i < kPairs; ++i) {
    const std::optional<std::uint32_t> resource = i == 0 ? std::nullopt : std::optional(i - 1);
    ASSERT_EQ(lab_->install({.suite = suite, .child = 1 + i, .resource = resource}), "");
    child_of[lab_->last_spi_towards_bob.value()] = 1 + i;
    // The newest one of a worker sends.
    sockaddr_storage address{};
    const socklen_t length = io::to_sockaddr({lab_->bob.inner(Family::v4), 9'999}, address);
    const Bytes datagram(100);
    for (int flow = 0; flow < 6; ++flow) {
      const io::FileDescriptor one = socket_at(lab_->alice, static_cast<std::uint16_t>(kFirstPort + 1 + flow));
      for (int n = 0; n < 400; ++n) {
        (void)::sendto(one.get(), datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&address),
                       length);
        if (n % 50 == 49) lab_->alice.plane->settle();
      }
    }
    lab_->alice.plane->settle();
  }
  std::vector<Bytes> frames = wire.esp_to(lab_->bob.outer(Family::v4));
  ASSERT_GT(frames.size(), 4'000U);
  ASSERT_EQ(lab_->bob.ns.command("nft delete table inet hold").status, 0);

  // Between two interfaces of a veth the UDP checksum is left to hardware that is not there; RFC 768: 0 is none.
  for (Bytes& frame : frames) store_be16(frame.data() + kEthernetHeader + 20 + 6, 0);
  std::mt19937 random(42);  // NOLINT: the same each time
  for (std::size_t i = frames.size(); i > 0; --i) {
    if (random() % 3 == 0) frames.push_back(frames[random() % i]);
  }
  // Far and near moves: windows of 1024 see both late packets and too late ones.
  for (int i = 0; i < 20'000; ++i) {
    const std::size_t a = random() % frames.size();
    const std::size_t b = i % 200 == 0 ? random() % frames.size() : std::min(frames.size() - 1, a + random() % 200);
    std::swap(frames[a], frames[b]);
  }
  std::map<std::uint64_t, ipsec::ReplayWindow> windows;
  std::map<std::uint64_t, std::uint64_t> fresh;
  std::uint64_t injected = 0;
  for (const Bytes& frame : frames) {
    const auto [spi, sequence] = numbers_of(frame);
    ASSERT_TRUE(child_of.contains(spi));
    const std::uint64_t child = child_of[spi];
    const auto window = windows.try_emplace(child, 1024U, false).first;
    if (window->second.update(sequence) == ipsec::ReplayWindow::Verdict::fresh) ++fresh[child];
    injector.inject(frame);
    if (++injected % 100 == 0) lab_->bob.plane->settle();
  }
  const auto total = [&](const auto& of) {
    std::uint64_t sum = 0;
    for (const auto& [spi, child] : child_of) sum += of(counters(lab_->bob, child));
    return sum;
  };
  const auto all_seen = [&] {
    return total([](const auto& sa) { return sa.inbound_packets + sa.replay_drops; }) == injected;
  };
  for (int i = 0; i < 100 && !all_seen(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(all_seen());
  int several = 0;
  for (const auto& [spi, child] : child_of) {
    EXPECT_EQ(counters(lab_->bob, child).inbound_packets, fresh[child]) << child;
    if (fresh[child] > 0) ++several;
  }
  EXPECT_GE(several, 2) << "SAs of several workers were in it";
  EXPECT_GT(total([](const auto& sa) { return sa.replay_drops; }), 1'000U);
}

TEST_F(Workers, RekeyUnderFlowsKeepsThemInOrder) {
  start_both(true);
  ASSERT_EQ(lab_->install({.suite = kGcm, .child = 1}), "");
  std::map<std::uint16_t, std::vector<std::uint32_t>> arrived;
  std::jthread traffic([&] { arrived = send_flows(lab_->alice, lab_->bob, 12, 1500); });
  for (std::uint64_t child = 2; child < 12; ++child) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_EQ(lab_->install({.suite = kGcm, .child = child, .replaces = child - 1}), "");
    for (const Host* host : {&lab_->alice, &lab_->bob}) {
      host->plane->remove(model::ChildSaId(child - 1), std::chrono::seconds(5));
    }
  }
  traffic.join();
  expect_all_in_order(arrived, 12, 1500);
}

// The worker that has the interface's only queue receives for all, though it is not the connection's home: both the
// packets of the common SA and those of an SA of one worker's own are handed over, to two workers.
TEST_F(Workers, TakingToSasOfTheirOwnKeepsFlowsInOrderWithXdpToo) {
  lab_->workers = 4;
  lab_->xdp = {"v0"};
  start_both(true);
  for (const Host* host : {&lab_->alice, &lab_->bob}) {
    ASSERT_TRUE(host->plane->facts().xdp.at(0).in_use) << host->plane->facts().xdp[0].text;
    host->ns.run([&] { host->plane->read_addresses(); });
  }
  constexpr auto kPlain = model::Encapsulation::none;
  constexpr std::uint64_t kRounds = 12;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    const std::uint64_t first = 1 + round * 10;
    std::optional<std::uint64_t> before;
    if (round != 0) before = first - 10;
    const TunnelPlan common{
        .suite = kGcm, .encapsulation = kPlain, .child = first, .replaces = before, .per_resource = true};
    ASSERT_EQ(lab_->install(common), "");
    std::map<std::uint16_t, std::vector<std::uint32_t>> arrived;
    std::jthread traffic([&] { arrived = send_flows(lab_->alice, lab_->bob, 12, 400); });
    for (std::uint32_t worker = 0; worker < 4; ++worker) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ASSERT_EQ(
          lab_->install({.suite = kGcm, .encapsulation = kPlain, .child = first + 1 + worker, .resource = worker}), "");
    }
    traffic.join();
    expect_all_in_order(arrived, 12, 400);
    for (std::uint64_t child = first + 1; child < first + 5; ++child) {
      for (const Host* host : {&lab_->alice, &lab_->bob}) host->plane->remove(model::ChildSaId(child), {});
    }
    for (const Host* host : {&lab_->alice, &lab_->bob}) host->plane->settle();
  }
}

}  // namespace
}  // namespace culvert::datapath
