#include "io/datagram_socket.hpp"

#include <functional>
#include <numeric>

#include <errno.h>
#include <poll.h>

#include <gtest/gtest.h>

#include "io/testing/network_namespace.hpp"

namespace culvert::io {
namespace {

using net::Endpoint;
using net::Family;
using net::IpAddress;

Endpoint loopback(Family family) { return {*IpAddress::parse(family == Family::v4 ? "127.0.0.1" : "::1"), 0}; }

DatagramSocket open_udp(const Endpoint& local, bool segmentation = true) {
  UdpOptions options;
  options.local = local;
  options.segmentation = segmentation;
  auto socket = DatagramSocket::open_udp(options);
  if (!socket) ADD_FAILURE() << socket.error().text;
  return std::move(*socket);
}

bool wait_readable(const DatagramSocket& socket, int milliseconds = 5000) {
  pollfd waiting{socket.fd(), POLLIN, 0};
  return ::poll(&waiting, 1, milliseconds) == 1;
}

Bytes numbered(std::size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

class Datagram : public ::testing::TestWithParam<Family> {};

TEST_P(Datagram, CarriesBothAddressesAndTos) {
  auto wildcard = open_udp({IpAddress::any(GetParam()), 0});
  auto sender = open_udp(loopback(GetParam()));
  const Endpoint to{loopback(GetParam()).address, wildcard.local().port};
  const Bytes payload = numbered(100);
  SendScratch scratch;
  const OutgoingMessage message{{sender.local(), to}, 0xb9, 0, payload};
  EXPECT_EQ(sender.send(std::span(&message, 1), scratch).datagrams, 1U);

  ReceiveBuffers buffers(4);
  ASSERT_TRUE(wait_readable(wildcard));
  const auto outcome = wildcard.receive(buffers);
  ASSERT_EQ(outcome.messages.size(), 1U);
  const auto& received = outcome.messages[0];
  EXPECT_EQ(received.path.local, to) << received.path.local.to_string();
  EXPECT_EQ(received.path.remote, sender.local());
  EXPECT_EQ(received.tos, 0xb9);
  EXPECT_EQ(received.segment_size, 0);
  EXPECT_TRUE(equal(received.bytes, payload));
  EXPECT_EQ(wildcard.receive(buffers).error, EAGAIN);
}

TEST_P(Datagram, APortInUseIsRefusedByName) {
  auto first = open_udp({IpAddress::any(GetParam()), 0});
  UdpOptions options;
  options.local = first.local();
  const auto second = DatagramSocket::open_udp(options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, IoErrorCode::address_in_use);
  EXPECT_NE(second.error().text.find("port " + std::to_string(first.local().port)), std::string::npos)
      << second.error().text;
}

TEST_P(Datagram, BothFamiliesShareOnePortNumber) {
  auto first = open_udp({IpAddress::any(GetParam()), 0});
  const Family other = GetParam() == Family::v4 ? Family::v6 : Family::v4;
  UdpOptions options;
  options.local = {IpAddress::any(other), first.local().port};
  const auto second = DatagramSocket::open_udp(options);
  EXPECT_TRUE(second) << second.error().text;
}

/// Sends one train of 10 full segments and a short one, and answers the segments as they came.
std::vector<Bytes> exchange_train(DatagramSocket& sender, DatagramSocket& receiver, std::uint32_t& system_calls) {
  const Bytes payload = numbered(10 * 700 + 33);
  const OutgoingMessage message{{sender.local(), receiver.local()}, 0, 700, payload};
  SendScratch scratch;
  const SendCounts counts = sender.send(std::span(&message, 1), scratch);
  EXPECT_EQ(counts.datagrams, 11U);
  system_calls = counts.system_calls;
  std::vector<Bytes> pieces;
  ReceiveBuffers buffers(16);
  while (pieces.size() < 11 && wait_readable(receiver)) {
    for (const ReceivedMessage& received : receiver.receive(buffers).messages) {
      const std::size_t step = received.segment_size != 0 ? received.segment_size : received.bytes.size();
      for (std::size_t at = 0; at < received.bytes.size(); at += step) {
        pieces.push_back(to_bytes(received.bytes.subspan(at, std::min(step, received.bytes.size() - at))));
      }
    }
  }
  return pieces;
}

TEST_P(Datagram, TrainsKeepTheirBoundariesWithAndWithoutTheKernelsHelp) {
  for (const bool send_trains : {true, false}) {
    for (const bool receive_trains : {true, false}) {
      auto sender = open_udp(loopback(GetParam()), send_trains);
      auto receiver = open_udp(loopback(GetParam()), receive_trains);
      std::uint32_t system_calls = 0;
      const auto pieces = exchange_train(sender, receiver, system_calls);
      ASSERT_EQ(pieces.size(), 11U) << send_trains << receive_trains;
      const Bytes whole = numbered(10 * 700 + 33);
      for (std::size_t i = 0; i < pieces.size(); ++i) {
        EXPECT_TRUE(equal(pieces[i], ByteView(whole).subspan(i * 700, i == 10 ? 33 : 700))) << i;
      }
      EXPECT_EQ(system_calls, 1U) << "sendmmsg or one GSO send";
    }
  }
}

TEST_P(Datagram, AClosedPortCostsNoOtherDatagram) {
  auto sender = open_udp(loopback(GetParam()));
  auto receiver = open_udp(loopback(GetParam()));
  Endpoint closed = loopback(GetParam());
  {
    auto gone = open_udp(loopback(GetParam()));
    closed.port = gone.local().port;
  }
  const Bytes payload = numbered(64);
  std::vector<OutgoingMessage> messages;
  for (int i = 0; i < 20; ++i) {
    messages.push_back({{sender.local(), closed}, 0, 0, payload});
    messages.push_back({{sender.local(), receiver.local()}, 0, 0, payload});
  }
  SendScratch scratch;
  const SendCounts counts = sender.send(messages, scratch);
  EXPECT_EQ(counts.refused, 0U);
  EXPECT_EQ(counts.datagrams, 40U);
  std::size_t got = 0;
  ReceiveBuffers buffers(8);
  while (got < 20 && wait_readable(receiver)) {
    for (const auto& received : receiver.receive(buffers).messages) {
      got += received.segment_size != 0 ? received.bytes.size() / received.segment_size : 1;
    }
  }
  EXPECT_EQ(got, 20U);
}

TEST_P(Datagram, ASourceThatIsNotOursIsCountedAndTheRestGoesOn) {
  auto sender = open_udp({IpAddress::any(GetParam()), 0});
  auto receiver = open_udp(loopback(GetParam()));
  const Endpoint foreign{*IpAddress::parse(GetParam() == Family::v4 ? "192.0.2.77" : "2001:db8::77"),
                         sender.local().port};
  const Bytes payload = numbered(64);
  const std::array<OutgoingMessage, 2> messages{
      OutgoingMessage{{foreign, receiver.local()}, 0, 0, payload},
      OutgoingMessage{{{IpAddress::any(GetParam()), 0}, receiver.local()}, 0, 0, payload},
  };
  SendScratch scratch;
  const SendCounts counts = sender.send(messages, scratch);
  EXPECT_EQ(counts.refused, 1U);
  EXPECT_NE(counts.last_error, 0);
  EXPECT_EQ(counts.datagrams, 1U);
}

TEST_P(Datagram, SendOneJoinsItsParts) {
  auto sender = open_udp(loopback(GetParam()));
  auto receiver = open_udp(loopback(GetParam()));
  const Bytes marker(4, 0);
  const Bytes payload = numbered(30);
  const std::array<ByteView, 2> parts{marker, payload};
  EXPECT_EQ(sender.send_one({sender.local(), receiver.local()}, 0, parts), 0);
  ReceiveBuffers buffers(1);
  ASSERT_TRUE(wait_readable(receiver));
  const auto outcome = receiver.receive(buffers);
  ASSERT_EQ(outcome.messages.size(), 1U);
  EXPECT_TRUE(equal(outcome.messages[0].bytes, concat({marker, payload})));
}

INSTANTIATE_TEST_SUITE_P(Families, Datagram, ::testing::Values(Family::v4, Family::v6),
                         [](const auto& one) { return one.param == Family::v4 ? "v4" : "v6"; });

UdpOptions daemons_options(Family family) {
  UdpOptions options;
  options.local = {IpAddress::any(family), 4500};
  options.errors = true;
  return options;
}

/// A wildcard socket of each family, as the data path has it, in a namespace of its own.
class DaemonsSocket : public ::testing::Test {
 protected:
  void for_each_family(const std::function<void(Family, const DatagramSocket&)>& body) {
    auto ns = testing::NetworkNamespace::create();
    if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
    ns->run([&] {
      for (const Family family : {Family::v4, Family::v6}) {
        const auto receiver = DatagramSocket::open_udp(daemons_options(family));
        ASSERT_TRUE(receiver) << receiver.error().text;
        body(family, *receiver);
      }
    });
  }
};

TEST_F(DaemonsSocket, SendersShareThePortAndTakeNothing) {
  for_each_family([](Family family, const DatagramSocket& receiver) {
    const auto cutting = receiver.sender(false);
    const auto whole = receiver.sender(true);
    ASSERT_TRUE(cutting && whole) << (cutting ? whole.error().text : cutting.error().text);
    EXPECT_TRUE(whole->sends_trains());
    EXPECT_FALSE(DatagramSocket::open_udp(daemons_options(family))) << "the port stays ours alone";
    const auto peer = open_udp(loopback(family));
    const Endpoint here{loopback(family).address, 4500};
    SendScratch scratch;
    ReceiveBuffers buffers(8);
    const Bytes payload = numbered(64);
    for (const DatagramSocket* sender : {&*cutting, &*whole}) {
      const OutgoingMessage message{.path = {here, peer.local()}, .tos = 0xb8, .bytes = payload, .hop_limit = 17};
      EXPECT_EQ(sender->send(std::span(&message, 1), scratch).datagrams, 1U);
      ASSERT_TRUE(wait_readable(peer));
      const auto outcome = peer.receive(buffers);
      ASSERT_EQ(outcome.messages.size(), 1U);
      EXPECT_EQ(outcome.messages[0].path.remote, here);
      EXPECT_EQ(outcome.messages[0].hop_limit, 17);
      EXPECT_EQ(outcome.messages[0].tos, 0xb8);
      // What comes back goes to the receiver, whoever sent.
      const OutgoingMessage back{.path = {peer.local(), here}, .bytes = payload};
      EXPECT_EQ(peer.send(std::span(&back, 1), scratch).datagrams, 1U);
      ASSERT_TRUE(wait_readable(receiver));
      EXPECT_EQ(receiver.receive(buffers).messages.size(), 1U);
      EXPECT_EQ(sender->receive(buffers).messages.size(), 0U);
    }
  });
}

TEST_F(DaemonsSocket, AConnectedOneGetsItsPeersMessagesAndNoOthers) {
  for_each_family([](Family family, const DatagramSocket& receiver) {
    const auto peer = open_udp(loopback(family));
    const auto stranger = open_udp(loopback(family));
    const Endpoint here{loopback(family).address, 4500};
    const auto socket = receiver.connected({here, peer.local()}, true);
    ASSERT_TRUE(socket) << socket.error().text;
    EXPECT_TRUE(socket->sends_trains() && socket->receives_trains());
    EXPECT_FALSE(DatagramSocket::open_udp(daemons_options(family))) << "the port stays ours alone";
    SendScratch scratch;
    ReceiveBuffers buffers(8);
    const Bytes payload = numbered(64);
    for (const OutgoingMessage& message :
         {OutgoingMessage{.path = {here, peer.local()}, .bytes = payload},
          OutgoingMessage{.path = {here, peer.local()}, .tos = 0xb8, .bytes = payload, .hop_limit = 17}}) {
      EXPECT_EQ(socket->send(std::span(&message, 1), scratch).datagrams, 1U);
      ASSERT_TRUE(wait_readable(peer));
      const auto outcome = peer.receive(buffers);
      ASSERT_EQ(outcome.messages.size(), 1U);
      EXPECT_EQ(outcome.messages[0].path.remote, here);
      EXPECT_EQ(outcome.messages[0].tos, message.tos);
      EXPECT_EQ(outcome.messages[0].hop_limit, message.hop_limit);
    }
    for (const DatagramSocket* from : {&peer, &stranger}) {
      const OutgoingMessage message{.path = {from->local(), here}, .tos = 0x28, .bytes = payload};
      EXPECT_EQ(from->send(std::span(&message, 1), scratch).datagrams, 1U);
      const DatagramSocket& taker = from == &peer ? *socket : receiver;
      ASSERT_TRUE(wait_readable(taker));
      const auto outcome = taker.receive(buffers);
      ASSERT_EQ(outcome.messages.size(), 1U);
      EXPECT_EQ(outcome.messages[0].path, (net::Path{here, from->local()}));
      EXPECT_EQ(outcome.messages[0].tos, 0x28);
    }
  });
}

TEST_F(DaemonsSocket, AnErrorComesToTheConnectedOneAndCostsNoMessage) {
  for_each_family([](Family family, const DatagramSocket& receiver) {
    const net::Path path{{loopback(family).address, 4500}, {loopback(family).address, 4999}};
    const auto socket = receiver.connected(path, false);
    ASSERT_TRUE(socket) << socket.error().text;
    const Bytes payload = numbered(64);
    SendScratch scratch;
    for (int i = 0; i < 5; ++i) {
      const OutgoingMessage message{.path = path, .bytes = payload};
      const SendCounts counts = socket->send(std::span(&message, 1), scratch);
      EXPECT_EQ(counts.datagrams, 1U);
      EXPECT_EQ(counts.refused, 0U);
    }
    pollfd failing{socket->fd(), 0, 0};
    ASSERT_EQ(::poll(&failing, 1, 3000), 1);
    ErrorBuffers buffers;
    const auto errors = socket->receive_errors(buffers);
    ASSERT_FALSE(errors.empty());
    EXPECT_EQ(errors[0].path, path);
    EXPECT_TRUE(equal(errors[0].quoted, payload));
  });
}

// An error that one peer's host sends back is told once, with what it quotes, and costs no send to anyone.
TEST_F(DaemonsSocket, AnErrorComesToTheReceiverAndFailsNoSend) {
  for_each_family([](Family family, const DatagramSocket& receiver) {
    const auto sender = receiver.sender(true);
    ASSERT_TRUE(sender) << sender.error().text;
    const auto peer = open_udp(loopback(family));
    const Endpoint here{loopback(family).address, 4500};
    const Endpoint closed{loopback(family).address, 4999};
    const Bytes payload = numbered(64);
    std::vector<OutgoingMessage> messages;
    for (int i = 0; i < 20; ++i) {
      messages.push_back({.path = {here, closed}, .bytes = payload});
      messages.push_back({.path = {here, peer.local()}, .bytes = payload});
    }
    SendScratch scratch;
    const SendCounts counts = sender->send(messages, scratch);
    EXPECT_EQ(counts.refused, 0U);
    EXPECT_EQ(counts.datagrams, 40U);
    EXPECT_EQ(counts.system_calls, 1U) << "none failed even once";
    pollfd failing{receiver.fd(), 0, 0};
    ASSERT_EQ(::poll(&failing, 1, 3000), 1);
    ErrorBuffers buffers;
    const auto errors = receiver.receive_errors(buffers);
    ASSERT_FALSE(errors.empty());
    EXPECT_EQ(errors[0].path, (net::Path{here, closed}));
    EXPECT_EQ(errors[0].mtu, 0);
    EXPECT_TRUE(equal(errors[0].quoted, payload));
  });
}

TEST(DatagramSocket, CountsWhatFindsNoRoom) {
  UdpOptions options{.local = loopback(Family::v4), .receive_buffer = 16'384, .segmentation = false};
  const auto receiver = DatagramSocket::open_udp(options);
  ASSERT_TRUE(receiver) << receiver.error().text;
  const auto sender = open_udp(loopback(Family::v4), false);
  const Bytes payload = numbered(1000);
  constexpr std::size_t kSent = 200;
  const std::vector<OutgoingMessage> messages(kSent, {.path = {sender.local(), receiver->local()}, .bytes = payload});
  SendScratch scratch;
  ASSERT_EQ(sender.send(messages, scratch).datagrams, kSent);
  ReceiveBuffers buffers(kSent);
  ASSERT_TRUE(wait_readable(*receiver));
  const std::size_t received = receiver->receive(buffers).messages.size();
  EXPECT_LT(received, kSent);
  EXPECT_EQ(receiver->receive_drops(), kSent - received);
}

TEST(DatagramSocket, OfSmallMessagesMoreComeAtATime) {
  const auto receiver = open_udp(loopback(Family::v4), false);
  const auto sender = open_udp(loopback(Family::v4), false);
  SendScratch scratch;
  ReceiveBuffers buffers(4, 10);
  std::uint8_t number = 0;
  const auto send = [&](std::size_t count, std::size_t length) {
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes payload(length, ++number);
      const OutgoingMessage message{.path = {sender.local(), receiver.local()}, .bytes = payload};
      ASSERT_EQ(sender.send(std::span(&message, 1), scratch).datagrams, 1U);
    }
  };
  std::uint8_t seen = 0;
  const auto receive = [&] {
    EXPECT_TRUE(wait_readable(receiver));
    const auto outcome = receiver.receive(buffers);
    for (const ReceivedMessage& message : outcome.messages) {
      EXPECT_EQ(message.bytes.front(), ++seen);
      EXPECT_EQ(message.bytes.back(), seen);
    }
    return outcome.messages.size();
  };
  send(20, 100);
  EXPECT_EQ(receive(), 4U) << "nobody knows yet how long they are";
  EXPECT_EQ(receive(), 10U);
  EXPECT_EQ(receive(), 6U);
  send(20, 8000);
  EXPECT_EQ(receive(), 10U) << "they were small until now";
  EXPECT_EQ(receive(), 4U);
  EXPECT_EQ(receive(), 4U);
  EXPECT_EQ(receive(), 2U);
  send(6, 100);
  EXPECT_EQ(receive(), 4U);
  EXPECT_EQ(receive(), 2U);
}

TEST(DatagramSocket, ForeignAddressIsRefusedByName) {
  UdpOptions options;
  options.local = {*IpAddress::parse("192.0.2.77"), 0};
  const auto socket = DatagramSocket::open_udp(options);
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, IoErrorCode::address_unavailable);
  EXPECT_NE(socket.error().text.find("192.0.2.77"), std::string::npos);
}

TEST(DatagramSocket, SegmentsAboveTheMtuGoPieceByPiece) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    ASSERT_EQ(testing::shell("ip link set lo mtu 1400").status, 0);
    auto sender = open_udp(loopback(Family::v4));
    auto receiver = open_udp(loopback(Family::v4), false);
    const Bytes payload = numbered(3 * 2000);
    const OutgoingMessage message{{sender.local(), receiver.local()}, 0, 2000, payload};
    SendScratch scratch;
    const SendCounts counts = sender.send(std::span(&message, 1), scratch);
    EXPECT_EQ(counts.unsegmented, 1U);
    EXPECT_EQ(counts.datagrams, 3U);
    ReceiveBuffers buffers(8);
    ASSERT_TRUE(wait_readable(receiver));
    const auto outcome = receiver.receive(buffers);
    ASSERT_EQ(outcome.messages.size(), 3U);
    EXPECT_EQ(outcome.messages[2].bytes.size(), 2000U);
  });
}

TEST(DatagramSocket, RawProtocolFiftyComesWithoutTheIpHeader) {
  auto ns = testing::NetworkNamespace::create();
  if (!ns) GTEST_SKIP() << testing::kNeedsRoot;
  ns->run([] {
    for (const Family family : {Family::v4, Family::v6}) {
      auto receiver = DatagramSocket::open_raw({.family = family, .protocol = 50});
      auto sender = DatagramSocket::open_raw({.family = family, .protocol = 50});
      ASSERT_TRUE(receiver && sender);
      const Bytes payload = numbered(3 * 100);
      const OutgoingMessage message{{loopback(family), loopback(family)}, 0x02, 100, payload};
      SendScratch scratch;
      EXPECT_EQ(sender->send(std::span(&message, 1), scratch).datagrams, 3U);
      ReceiveBuffers buffers(8);
      ASSERT_TRUE(wait_readable(*receiver));
      const auto outcome = receiver->receive(buffers);
      ASSERT_EQ(outcome.messages.size(), 3U);
      EXPECT_TRUE(equal(outcome.messages[0].bytes, ByteView(payload).subspan(0, 100)));
      EXPECT_EQ(outcome.messages[0].path, (net::Path{loopback(family), loopback(family)}));
      EXPECT_EQ(outcome.messages[0].tos, 0x02);
    }
  });
}

}  // namespace
}  // namespace culvert::io
