// Whole IP packets: what leaves by DatagramSocket::open_whole, and what ReceivedMessage::ip_header says of what came.
#include <array>
#include <cstring>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "io/datagram_socket.hpp"
#include "io/testing/network_namespace.hpp"
#include "net/header_writer.hpp"

namespace culvert::io {
namespace {

using net::Family;
using net::IpAddress;
using testing::NetworkNamespace;

constexpr std::uint8_t kAh = 51;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

bool wait_readable(int fd, int milliseconds = 3000) {
  pollfd waiting{fd, POLLIN, 0};
  return ::poll(&waiting, 1, milliseconds) == 1;
}

Bytes filled(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return bytes;
}

/// One whole packet of protocol 51.
Bytes packet(const net::IpHeader& header, ByteView payload) {
  Bytes bytes(net::ip_header_size(header.source.family()));
  net::write_ip_header(bytes.data(), header);
  return concat({bytes, payload});
}

/// Two hosts on a veth: 192.0.2.1, 2001:db8::1 and 192.0.2.2, 2001:db8::2.
class WholePacket : public ::testing::Test {
 protected:
  void SetUp() override {
    near_ = NetworkNamespace::create();
    far_ = NetworkNamespace::create();
    if (!near_ || !far_) GTEST_SKIP() << testing::kNeedsRoot;
    ASSERT_EQ(near_->command("ip link add v0 type veth peer name v0 netns " + far_->path()).status, 0);
    // The neighbours are told, not found: a host asks for a neighbour from a link-local address when the packet's own
    // source is not on the interface, and that address is not there before duplicate address detection is through.
    for (int i = 1; i <= 2; ++i) {
      const auto made = (i == 1 ? *near_ : *far_)
                            .command(fmt::format("set -e; ip link set v0 address 02:00:00:00:00:0{0}; "
                                                 "ip addr add 192.0.2.{0}/24 dev v0; ip link set v0 up; "
                                                 "ip -6 addr add 2001:db8::{0}/64 dev v0 nodad; "
                                                 "ip neigh add 192.0.2.{1} lladdr 02:00:00:00:00:0{1} dev v0; "
                                                 "ip neigh add 2001:db8::{1} lladdr 02:00:00:00:00:0{1} dev v0",
                                                 i, 3 - i));
      ASSERT_EQ(made.status, 0) << made.output;
    }
  }

  std::optional<DatagramSocket> open(const NetworkNamespace& space, auto&& opener) {
    std::optional<DatagramSocket> made;
    space.run([&] {
      auto socket = opener();
      if (socket)
        made.emplace(std::move(*socket));
      else
        ADD_FAILURE() << socket.error().text;
    });
    return made;
  }
  std::optional<DatagramSocket> whole(Family family, std::uint32_t mark = 0) {
    return open(*near_, [&] { return DatagramSocket::open_whole({.family = family, .mark = mark}); });
  }
  std::optional<DatagramSocket> raw(const NetworkNamespace& space, Family family) {
    return open(space, [&] { return DatagramSocket::open_raw({.family = family, .protocol = kAh}); });
  }
  static SendCounts send(const DatagramSocket& socket, const std::vector<Bytes>& packets, const IpAddress& from,
                         const IpAddress& to) {
    std::vector<OutgoingMessage> messages;
    for (const Bytes& bytes : packets) messages.push_back({.path = {{from, 0}, {to, 0}}, .bytes = bytes});
    SendScratch scratch;
    return socket.send(messages, scratch);
  }

  std::optional<NetworkNamespace> near_;
  std::optional<NetworkNamespace> far_;
};

/// Sees what passes the far end's interface, from the IP header on.
class Tap {
 public:
  Tap() : fd_(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex("v0"));
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  /// The next packet of protocol 51 without extension headers; empty when none comes.
  Bytes next() const {
    while (wait_readable(fd_.get(), 1000)) {
      Bytes bytes(70000);
      const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
      bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
      if (bytes.size() > 9 && (bytes[0] >> 4 == 4 ? bytes[9] : bytes[6]) == kAh) return bytes;
    }
    return {};
  }

 private:
  FileDescriptor fd_;
};

TEST_F(WholePacket, TheKernelChangesNothingThatAnIcvCovers) {
  std::optional<Tap> tap;
  far_->run([&] { tap.emplace(); });
  const auto v4 = whole(Family::v4);
  ASSERT_TRUE(v4);
  const auto from = ip("192.0.2.1");
  const auto to = ip("192.0.2.2");
  const Bytes payload = filled(60);
  struct Case {
    bool dont_fragment;
    std::uint16_t identification;
    bool kept;
  };
  // RFC 4302 3.3.3.1.1.1: the identification is immutable, so a packet with 0 and without DF must not be handed over.
  for (const Case& one :
       {Case{true, 0x1234, true}, Case{false, 0x1234, true}, Case{true, 0, true}, Case{false, 0, false}}) {
    const Bytes sent = packet({.source = from,
                               .destination = to,
                               .protocol = kAh,
                               .tos = 0xb9,
                               .ttl = 3,
                               .dont_fragment = one.dont_fragment,
                               .identification = one.identification,
                               .payload_length = 60},
                              payload);
    ASSERT_EQ(send(*v4, {sent}, from, to).datagrams, 1U);
    const Bytes got = tap->next();
    ASSERT_EQ(got.size(), sent.size());
    EXPECT_EQ(equal(got, sent), one.kept) << to_hex(got) << "\n" << to_hex(sent);
    EXPECT_TRUE(equal(ByteView(got).subspan(12), ByteView(sent).subspan(12)));
  }
  const auto v6 = whole(Family::v6);
  ASSERT_TRUE(v6);
  Bytes sent = packet({.source = ip("2001:db8::1"),
                       .destination = ip("2001:db8::2"),
                       .protocol = kAh,
                       .tos = 0xb9,
                       .ttl = 3,
                       .payload_length = 60},
                      payload);
  sent[3] = 0x77;  // flow label
  ASSERT_EQ(send(*v6, {sent}, ip("2001:db8::1"), ip("2001:db8::2")).datagrams, 1U);
  EXPECT_EQ(to_hex(tap->next()), to_hex(sent));
}

TEST_F(WholePacket, ManyLeaveInOneCallAndSourcesNeedNotBeTheInterfaces) {
  // Another address of this host, and one that is not ours at all, as a packet that is forwarded has.
  ASSERT_EQ(near_->command("ip addr add 10.7.0.1/32 dev lo; ip -6 addr add fd07::1/128 dev lo nodad").status, 0);
  std::optional<Tap> tap;
  far_->run([&] { tap.emplace(); });
  const Bytes payload = filled(40);
  for (const auto& [family, to, sources] :
       {std::tuple{Family::v4, ip("192.0.2.2"), std::array{ip("10.7.0.1"), ip("203.0.113.9")}},
        std::tuple{Family::v6, ip("2001:db8::2"), std::array{ip("fd07::1"), ip("2001:db8:9::9")}}}) {
    const auto socket = whole(family, 4500);
    ASSERT_TRUE(socket);
    for (const IpAddress& from : sources) {
      std::vector<Bytes> packets;
      for (std::uint16_t i = 0; i < 20; ++i) {
        packets.push_back(packet({.source = from,
                                  .destination = to,
                                  .protocol = kAh,
                                  .identification = static_cast<std::uint16_t>(i + 1),
                                  .payload_length = 40},
                                 payload));
      }
      const SendCounts counts = send(*socket, packets, from, to);
      EXPECT_EQ(counts.datagrams, 20U) << from.to_string() << " errno " << counts.last_error;
      EXPECT_EQ(counts.system_calls, 1U);
      for (const Bytes& sent : packets) EXPECT_EQ(to_hex(tap->next()), to_hex(sent));
    }
  }
}

TEST_F(WholePacket, LongerThanTheInterfaceTakesIsToldAndTheRestGoesOn) {
  ASSERT_EQ(near_->command("ip link set v0 mtu 1300").status, 0);
  const auto socket = whole(Family::v4);
  ASSERT_TRUE(socket);
  const auto from = ip("192.0.2.1");
  const auto to = ip("192.0.2.2");
  std::vector<Bytes> packets;
  for (const std::uint16_t size : {std::uint16_t{1281}, std::uint16_t{1280}}) {
    packets.push_back(packet({.source = from,
                              .destination = to,
                              .protocol = kAh,
                              .dont_fragment = true,
                              .identification = 1,
                              .payload_length = size},
                             filled(size)));
  }
  const SendCounts counts = send(*socket, packets, from, to);
  EXPECT_EQ(counts.datagrams, 1U);
  EXPECT_EQ(counts.refused, 1U);
  ASSERT_TRUE(counts.too_long);
  EXPECT_EQ(counts.too_long->bytes.size(), 1301U);
}

struct Received {
  net::Path path;
  std::uint8_t hop_limit = 0;
  Bytes header;
  Bytes bytes;
};
std::optional<Received> receive_one(const DatagramSocket& socket) {
  ReceiveBuffers buffers(4);
  if (!wait_readable(socket.fd())) return {};
  const auto outcome = socket.receive(buffers);
  EXPECT_EQ(outcome.dropped, 0U);
  if (outcome.messages.size() != 1) return {};
  const auto& message = outcome.messages[0];
  return Received{message.path, message.hop_limit, to_bytes(message.ip_header), to_bytes(message.bytes)};
}

TEST_F(WholePacket, TheIpv4HeaderComesWithItsOptions) {
  const auto receiver = raw(*far_, Family::v4);
  const auto sender = whole(Family::v4);
  ASSERT_TRUE(receiver && sender);
  const auto from = ip("192.0.2.1");
  const auto to = ip("192.0.2.2");
  const Bytes payload = filled(48);
  Bytes sent = packet({.source = from,
                       .destination = to,
                       .protocol = kAh,
                       .tos = 0x2d,
                       .ttl = 9,
                       .identification = 77,
                       .payload_length = 52},
                      payload);
  // Router alert (RFC 2113), which no host changes.
  sent.insert(sent.begin() + 20, {0x94, 0x04, 0x00, 0x00});
  sent[0] = 0x46;
  ASSERT_EQ(send(*sender, {sent}, from, to).datagrams, 1U);
  const auto got = receive_one(*receiver);
  ASSERT_TRUE(got);
  sent[10] = got->header[10];  // the kernel made the checksum
  sent[11] = got->header[11];
  EXPECT_EQ(to_hex(got->header), to_hex(ByteView(sent).first(24)));
  EXPECT_EQ(to_hex(got->bytes), to_hex(payload));
  EXPECT_EQ(got->hop_limit, 9);
  EXPECT_EQ(got->path.remote.address, from);
}

/// An IPv6 packet with the given chain of extension headers (types and octets) in front of AH.
Bytes with_extensions(const std::vector<std::pair<std::uint8_t, Bytes>>& chain, ByteView payload) {
  Bytes extensions;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    Bytes octets = chain[i].second;
    octets[0] = i + 1 < chain.size() ? chain[i + 1].first : kAh;
    octets[1] = static_cast<std::uint8_t>(octets.size() / 8 - 1);
    extensions = concat({extensions, octets});
  }
  Bytes bytes = packet({.source = ip("2001:db8::1"),
                        .destination = ip("2001:db8::2"),
                        .protocol = chain.empty() ? kAh : chain[0].first,
                        .tos = 0xb9,
                        .ttl = 7,
                        .payload_length = static_cast<std::uint16_t>(extensions.size() + payload.size())},
                       concat({extensions, payload}));
  bytes[1] |= 0x0a;  // flow label
  bytes[3] = 0x55;
  return bytes;
}

Bytes options(std::size_t size, std::uint8_t option) {
  Bytes octets(size);
  octets[2] = option;  // an option that is skipped when it is not known
  octets[3] = static_cast<std::uint8_t>(size - 4);
  for (std::size_t i = 4; i < size; ++i) octets[i] = static_cast<std::uint8_t>(i);
  return octets;
}

TEST_F(WholePacket, TheIpv6HeaderAndItsExtensionsAreRebuiltToTheOctet) {
  const auto receiver = raw(*far_, Family::v6);
  const auto sender = whole(Family::v6);
  ASSERT_TRUE(receiver && sender);
  constexpr std::uint8_t kHopByHop = 0;
  constexpr std::uint8_t kRouting = 43;
  constexpr std::uint8_t kDestination = 60;
  // An unknown routing type with nothing left to visit (RFC 8200 4.4: it is passed over).
  Bytes routing(24);
  routing[2] = 253;
  const std::vector<std::vector<std::pair<std::uint8_t, Bytes>>> chains{
      {},
      {{kHopByHop, options(16, 0x1e)}},
      {{kDestination, options(24, 0x1e)}},
      {{kHopByHop, options(8, 0x1e)}, {kDestination, options(16, 0x3e)}},
      {{kHopByHop, options(8, 0x1e)}, {kDestination, options(16, 0x3e)}, {kDestination, options(8, 0x1e)}},
      {{kDestination, options(16, 0x3e)}, {kRouting, routing}, {kDestination, options(256, 0x1e)}},
  };
  const Bytes payload = filled(48);
  for (const auto& chain : chains) {
    const Bytes sent = with_extensions(chain, payload);
    ASSERT_EQ(send(*sender, {sent}, ip("2001:db8::1"), ip("2001:db8::2")).datagrams, 1U);
    const auto got = receive_one(*receiver);
    ASSERT_TRUE(got) << chain.size() << " " << to_hex(sent);
    EXPECT_EQ(to_hex(got->header), to_hex(ByteView(sent).first(sent.size() - payload.size())));
    EXPECT_EQ(to_hex(got->bytes), to_hex(payload));
    EXPECT_EQ(got->hop_limit, 7);
  }
}

TEST_F(WholePacket, OfAFragmentedPacketTheHeaderIsTheWholeOnes) {
  const auto sender4 = raw(*near_, Family::v4);
  const auto sender6 = raw(*near_, Family::v6);
  const auto receiver4 = raw(*far_, Family::v4);
  const auto receiver6 = raw(*far_, Family::v6);
  ASSERT_TRUE(sender4 && sender6 && receiver4 && receiver6);
  const Bytes payload = filled(4000);
  for (const bool v4 : {true, false}) {
    const auto from = ip(v4 ? "192.0.2.1" : "2001:db8::1");
    const auto to = ip(v4 ? "192.0.2.2" : "2001:db8::2");
    ASSERT_EQ(send(v4 ? *sender4 : *sender6, {payload}, from, to).datagrams, 1U);
    const auto got = receive_one(v4 ? *receiver4 : *receiver6);
    ASSERT_TRUE(got);
    EXPECT_EQ(to_hex(got->bytes), to_hex(payload));
    ASSERT_EQ(got->header.size(), v4 ? 20U : 40U);
    EXPECT_EQ(load_be16(got->header.data() + (v4 ? 2 : 4)), v4 ? 4020 : 4000);
    EXPECT_EQ(got->header[v4 ? 9 : 6], kAh);
    EXPECT_TRUE(!v4 || (load_be16(got->header.data() + 6) & 0x3fff) == 0) << "neither offset nor more fragments";
  }
}

// A router in the middle with a narrow link behind it: its "too long" comes to the socket that receives, with the MTU
// and what it quotes from ESP on, for UDP and raw sockets of both families.
TEST(IcmpErrors, TooLongComesFromARouterInBetween) {
  auto near = NetworkNamespace::create();
  auto router = NetworkNamespace::create();
  auto far = NetworkNamespace::create();
  if (!near || !router || !far) GTEST_SKIP() << testing::kNeedsRoot;
  const auto run = [](const NetworkNamespace& space, const std::string& text) {
    const auto done = space.command("set -e; " + text);
    ASSERT_EQ(done.status, 0) << done.output;
  };
  run(*near, "ip link add v0 type veth peer name n0 netns " + router->path() +
                 "; ip addr add 192.0.2.1/24 dev v0; ip -6 addr add 2001:db8:1::1/64 dev v0 nodad; ip link set v0 up");
  run(*router, "ip link add f0 type veth peer name v0 netns " + far->path() +
                   "; ip addr add 192.0.2.9/24 dev n0; ip -6 addr add 2001:db8:1::9/64 dev n0 nodad; ip link set n0 up"
                   "; ip addr add 198.51.100.9/24 dev f0; ip -6 addr add 2001:db8:2::9/64 dev f0 nodad; ip link set "
                   "f0 mtu 1300 up; echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > "
                   "/proc/sys/net/ipv6/conf/all/forwarding");
  run(*far,
      "ip addr add 198.51.100.1/24 dev v0; ip -6 addr add 2001:db8:2::1/64 dev v0 nodad; ip link set v0 mtu 1300 "
      "up; ip route add default via 198.51.100.9; ip -6 route add default via 2001:db8:2::9");
  run(*near, "ip route add default via 192.0.2.9; ip -6 route add default via 2001:db8:1::9");
  for (const Family family : {Family::v4, Family::v6}) {
    for (const bool udp : {true, false}) {
      std::optional<DatagramSocket> receiver;
      std::optional<DatagramSocket> sender;
      near->run([&] {
        UdpOptions options;
        options.local = {IpAddress::any(family), 4500};
        options.errors = true;
        auto opened = udp ? DatagramSocket::open_udp(options)
                          : DatagramSocket::open_raw({.family = family, .protocol = 50, .errors = true});
        ASSERT_TRUE(opened) << opened.error().text;
        receiver.emplace(std::move(*opened));
        auto beside = receiver->sender(true);
        ASSERT_TRUE(beside) << beside.error().text;
        sender.emplace(std::move(*beside));
      });
      ASSERT_TRUE(receiver && sender);
      const std::uint16_t port = udp ? 4500 : 0;
      const net::Path path{{ip(family == Family::v4 ? "192.0.2.1" : "2001:db8:1::1"), port},
                           {ip(family == Family::v4 ? "198.51.100.1" : "2001:db8:2::1"), port}};
      const Bytes payload = filled(1400);
      SendScratch scratch;
      // Twice: the kernel itself does not believe the error, so the next packet meets the router again.
      for (int i = 0; i < 2; ++i) {
        const OutgoingMessage message{.path = path, .bytes = payload};
        EXPECT_EQ(sender->send(std::span(&message, 1), scratch).datagrams, 1U);
        pollfd failing{receiver->fd(), 0, 0};
        ASSERT_EQ(::poll(&failing, 1, 3000), 1) << udp << i;
        ErrorBuffers buffers;
        const auto errors = receiver->receive_errors(buffers);
        ASSERT_EQ(errors.size(), 1U);
        EXPECT_EQ(errors[0].path, path) << errors[0].path.local.to_string();
        EXPECT_EQ(errors[0].mtu, 1300);
        ASSERT_GE(errors[0].quoted.size(), 8U);
        EXPECT_TRUE(equal(errors[0].quoted, ByteView(payload).first(errors[0].quoted.size())));
      }
    }
  }
}

}  // namespace
}  // namespace culvert::io
