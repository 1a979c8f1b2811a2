// Several hosts behind one NAT with SAs in transport mode to one server (RFC 3948 5.2): each an engine of its own, and
// the NAT between, as far as ESP in UDP sees it.
#include "ipsec/nat_flows.hpp"

#include <memory>

#include <gtest/gtest.h>

#include "ipsec/modes_test_kit.hpp"

namespace culvert::ipsec {
namespace {

using namespace test_kit;
using model::Encapsulation;
using model::Mode;

const net::IpAddress kServer = address("203.0.113.1");
const net::IpAddress kNat = address("198.51.100.9");
constexpr model::ConnectionId kConnection{7};

model::TrafficSelectors only(const net::IpAddress& one, std::uint8_t protocol = 0, std::uint16_t port = 0) {
  model::TrafficSelector selector = model::TrafficSelector::of(net::AddressRange::of(one));
  selector.protocol = protocol;
  if (port != 0) selector.start_port = selector.end_port = port;
  return {selector};
}

struct Client {
  Client(const EngineOptions& options, RandomSource& random, std::string_view inside, std::uint16_t mapped)
      : engine(options, random), own(address(inside)), port(mapped) {}
  Engine engine;
  net::IpAddress own;
  std::uint16_t port;  // outside
  model::Spi spi;      // the newest one to this client
};

class BehindOneNat : public ::testing::Test {
 protected:
  BehindOneNat() { protect(only(kServer), only(kNat)); }

  void protect(const model::TrafficSelectors& local, const model::TrafficSelectors& remote) {
    std::vector<Policy> rules{{PolicyId{1}, PolicyAction::protect, local, remote, kConnection}};
    // As host to host: what the rule does not protect is there in clear.
    rules.push_back({PolicyId{2}, PolicyAction::bypass, only(kServer), only(kNat), {}});
    server.set_policies(rules);
  }

  Client& add(std::string_view inside, std::uint16_t mapped, const model::TrafficSelectors& remote = only(kNat),
              const model::TrafficSelectors& local = only(kServer)) {
    clients.push_back(std::make_unique<Client>(EngineOptions{}, kit.random, inside, mapped));
    Client& made = *clients.back();
    made.engine.set_policies({{PolicyId{1}, PolicyAction::protect, only(made.own), only(kServer), kConnection}});
    set_up(made, remote, local);
    return made;
  }

  // A pair between the server and this client; answers its id.
  model::ChildSaId set_up(Client& client, const model::TrafficSelectors& remote = only(kNat),
                          const model::TrafficSelectors& local = only(kServer),
                          std::optional<model::ChildSaId> replaces = {}) {
    auto [a, b] = kit.make_pair(++last_id, {});
    a.mode = b.mode = Mode::transport;
    a.path = {{client.own, 4500}, {kServer, 4500}};
    b.path = {{kServer, 4500}, {kNat, client.port}};
    a.local = only(client.own);
    a.remote = only(kServer);
    b.local = local;
    b.remote = remote;
    a.original_local = kNat;
    b.original_remote = client.own;
    b.replaces = replaces;
    client.spi = b.spi_outbound;
    const model::ChildSaId id = b.id;
    EXPECT_TRUE(client.engine.install(std::move(a), {}).has_value());
    EXPECT_TRUE(server.install(std::move(b), {}).has_value());
    return id;
  }

  // What the server's stack gets of what the client sends.
  std::vector<Bytes> from(Client& client, const Bytes& packet) {
    std::vector<Arrived> arrived = arrive(kit.sends(client.engine, {packet}));
    for (Arrived& one : arrived) one.input.path = {{kServer, 4500}, {kNat, client.port}};
    return receive(server, arrived).packets;
  }
  std::vector<Bytes> from(Client& client, std::uint16_t source, std::uint16_t destination) {
    return from(client, udp_packet({client.own, kServer, source, destination}, Bytes(9, 7)));
  }

  // What the client's stack gets of what the server sends; checked to be the only one that gets anything.
  std::vector<Bytes> to(Client& client, const Bytes& packet, const Offload& offload = {}) {
    const CollectingWire wire = kit.sends(server, {packet}, offload);
    EXPECT_TRUE(wire.bypassed.empty());
    for (const SentTrain& train : wire.trains) {
      EXPECT_EQ(train.train.path.remote, (net::Endpoint{kNat, client.port}));
      EXPECT_EQ(load_be32(train.bytes.data()), client.spi.value());
    }
    std::vector<Arrived> arrived = arrive(wire);
    for (Arrived& one : arrived) one.input.path = {{client.own, 4500}, {kServer, 4500}};
    return receive(client.engine, arrived).packets;
  }
  std::vector<Bytes> to(Client& client, std::uint16_t source, std::uint16_t destination) {
    return to(client, udp_packet({kServer, kNat, source, destination}, Bytes(5, 3)));
  }
  static Bytes as_client_sees(const Client& client, std::uint16_t source, std::uint16_t destination) {
    return udp_packet({kServer, client.own, source, destination}, Bytes(5, 3));
  }
  static std::uint16_t source_port(const Bytes& packet) { return net::parse_packet(packet)->source_port; }
  // Without the fields of the IP header, which transport mode in UDP does not carry.
  static std::string upper(const Bytes& packet) { return to_hex(ByteView(packet).subspan(20)); }

  TwoEngines kit;
  SpiAllocator& spis = kit.bob_spis;
  Engine& server = kit.bob;
  std::vector<std::unique_ptr<Client>> clients;
  std::uint64_t last_id = 0;
};

TEST_F(BehindOneNat, AnswersGoWhereTheFlowCameFrom) {  // RFC 3948 5.2
  Client& ari = add("10.0.0.1", 31001);
  ASSERT_EQ(from(ari, 40001, 1701).size(), 1u);
  Client& bob = add("10.0.0.2", 31002);
  ASSERT_EQ(from(bob, 40002, 1701).size(), 1u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(upper(to(ari, 1701, 40001).at(0)), upper(as_client_sees(ari, 1701, 40001)));
    EXPECT_EQ(upper(to(bob, 1701, 40002).at(0)), upper(as_client_sees(bob, 1701, 40002)));
  }
  // The one that began before there were two.
  ASSERT_EQ(from(ari, 40003, 1701).size(), 1u);
  EXPECT_EQ(to(ari, 1701, 40003).size(), 1u);
  EXPECT_EQ(drops(server, "nat_peer_unclear"), 0u);
}

TEST_F(BehindOneNat, TheSamePortsAreTwoFlows) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  const auto first = from(ari, 1701, 1701);
  const auto second = from(bob, 1701, 1701);
  ASSERT_EQ(first.size() + second.size(), 2u);
  EXPECT_EQ(source_port(first[0]), 1701);
  const std::uint16_t other = source_port(second[0]);
  EXPECT_NE(other, 1701);
  EXPECT_EQ(upper(second[0]), upper(udp_packet({kNat, kServer, other, 1701}, Bytes(9, 7))));
  EXPECT_EQ(source_port(from(bob, 1701, 1701).at(0)), other);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(upper(to(ari, 1701, 1701).at(0)), upper(as_client_sees(ari, 1701, 1701)));
    EXPECT_EQ(upper(to(bob, 1701, other).at(0)), upper(as_client_sees(bob, 1701, 1701)));
  }
  bool told = false;
  for (const DataPlaneEvent& event : kit.events(server)) {
    if (const auto* shared = std::get_if<NatFlowShared>(&event)) told = shared->port == other;
  }
  EXPECT_TRUE(told);
}

TEST_F(BehindOneNat, TcpToo) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  const auto segment = [](const net::IpAddress& source, const net::IpAddress& destination, std::uint16_t from_port,
                          std::uint16_t to_port) {
    return tcp_packet({source, destination, from_port, to_port}, 1, 0x10, Bytes(33, 5));
  };
  ASSERT_EQ(from(ari, segment(ari.own, kServer, 5000, 80)).size(), 1u);
  const Bytes came = from(bob, segment(bob.own, kServer, 5000, 80)).at(0);
  const std::uint16_t other = source_port(came);
  EXPECT_EQ(upper(came), upper(segment(kNat, kServer, other, 80)));
  EXPECT_EQ(upper(to(bob, segment(kServer, kNat, 80, other)).at(0)), upper(segment(kServer, bob.own, 80, 5000)));
  // The kernel leaves the checksum to the device: a sum of the pseudo header stands there, and must stay it.
  Bytes partial = segment(kServer, kNat, 80, other);
  const ByteView upper_layer = ByteView(partial).subspan(20);
  const std::uint64_t pseudo = net::pseudo_header_sum(kServer, kNat, 6, static_cast<std::uint32_t>(upper_layer.size()));
  store_be16(partial.data() + 36, static_cast<std::uint16_t>(~net::checksum_finish(pseudo)));
  const Offload offload{.checksum_partial = true, .checksum_start = 20, .checksum_offset = 16};
  EXPECT_EQ(upper(to(bob, partial, offload).at(0)), upper(segment(kServer, bob.own, 80, 5000)));
}

Bytes echo(const net::IpAddress& source, const net::IpAddress& destination, std::uint8_t type,
           std::uint16_t identifier) {
  Bytes message{type, 0, 0, 0, static_cast<std::uint8_t>(identifier >> 8), static_cast<std::uint8_t>(identifier), 0, 1};
  message.resize(40, 0x5a);
  store_be16(message.data() + 2, net::checksum_finish(net::checksum_add(0, message)));
  return with_ip_header({source, destination}, net::IpProtocol::icmp, message);
}

TEST_F(BehindOneNat, EchoesByTheirIdentifier) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  for (int i = 0; i < 2; ++i) {
    const Bytes first = from(ari, echo(ari.own, kServer, 8, 1)).at(0);
    const Bytes second = from(bob, echo(bob.own, kServer, 8, 1)).at(0);
    EXPECT_EQ(load_be16(first.data() + 24), 1);
    const std::uint16_t other = load_be16(second.data() + 24);
    EXPECT_NE(other, 1);
    EXPECT_EQ(upper(second), upper(echo(kNat, kServer, 8, other)));
    EXPECT_EQ(upper(to(ari, echo(kServer, kNat, 0, 1)).at(0)), upper(echo(kServer, ari.own, 0, 1)));
    EXPECT_EQ(upper(to(bob, echo(kServer, kNat, 0, other)).at(0)), upper(echo(kServer, bob.own, 0, 1)));
  }
}

TEST_F(BehindOneNat, WhatNobodyBeganGoesToNobody) {
  Client& ari = add("10.0.0.1", 31001);
  // As long as there is only one, it is meant.
  EXPECT_EQ(to(ari, 7000, 7001).size(), 1u);
  Client& bob = add("10.0.0.2", 31002);
  EXPECT_EQ(to(ari, 7000, 7001).size(), 1u);
  EXPECT_TRUE(to(bob, 7000, 7002).empty());
  EXPECT_TRUE(to(ari, 7000, 7002).empty());
  EXPECT_EQ(drops(server, "nat_peer_unclear"), 2u);
  // GRE has no ports: the first one has it.
  const auto gre = [](const net::IpAddress& source, const net::IpAddress& destination) {
    return with_ip_header({source, destination}, net::IpProtocol::gre, Bytes{0, 0, 8, 0, 1, 2, 3, 4});
  };
  EXPECT_EQ(from(ari, gre(ari.own, kServer)).size(), 1u);
  EXPECT_TRUE(from(bob, gre(bob.own, kServer)).empty());
  EXPECT_EQ(drops(server, "nat_flow_taken"), 1u);
  EXPECT_EQ(to(ari, gre(kServer, kNat)).size(), 1u);
}

TEST_F(BehindOneNat, ARekeyedPairHasItsFlows) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  ASSERT_EQ(from(ari, 1701, 1701).size(), 1u);
  const std::uint16_t other = source_port(from(bob, 1701, 1701).at(0));
  // From another port, which nobody has told of.
  ari.port = 31009;
  set_up(ari, only(kNat), only(kServer), model::ChildSaId{1});
  server.remove(model::ChildSaId{1}, {}, {});
  // Not told that it replaces one: of the same host, by where it is.
  set_up(bob);
  server.remove(model::ChildSaId{2}, {}, {});
  EXPECT_EQ(to(ari, 1701, 1701).size(), 1u);
  EXPECT_EQ(to(bob, 1701, other).size(), 1u);
  // Another mapping of the NAT.
  bob.port = 31003;
  server.update_path(model::ChildSaId{4}, {{kServer, 4500}, {kNat, 31003}}, Encapsulation::udp);
  EXPECT_EQ(to(bob, 1701, other).size(), 1u);
  set_up(bob);
  EXPECT_EQ(to(bob, 1701, other).size(), 1u);
  EXPECT_EQ(from(bob, 1701, 1701).size(), 1u);
}

TEST_F(BehindOneNat, TheLastPairTakesItsFlowsAlong) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  ASSERT_EQ(from(ari, 1701, 1701).size(), 1u);
  const std::uint16_t other = source_port(from(bob, 1701, 1701).at(0));
  server.remove(model::ChildSaId{1}, {}, {});
  EXPECT_EQ(to(bob, 1701, other).size(), 1u);
  // Bob keeps the port that the server knows; a flow that nobody has is for the one that is left.
  EXPECT_EQ(source_port(from(bob, 1701, 1701).at(0)), other);
  EXPECT_EQ(to(bob, 1701, 9).size(), 1u);
  server.remove(model::ChildSaId{2}, {}, {});
  EXPECT_TRUE(to(bob, 1701, other).empty());
  EXPECT_EQ(drops(server, "nat_peer_unclear"), 0u);
}

// An answer to another port has to be protected by the same rule, or it would leave in clear.
TEST_F(BehindOneNat, NoPortThatLeavesInClear) {
  protect(only(kServer, 17, 1701), only(kNat, 17, 1701));
  Client& ari = add("10.0.0.1", 31001, only(kNat, 17, 1701), only(kServer, 17, 1701));
  Client& bob = add("10.0.0.2", 31002, only(kNat, 17, 1701), only(kServer, 17, 1701));
  ASSERT_EQ(from(ari, 1701, 1701).size(), 1u);
  EXPECT_TRUE(from(bob, 1701, 1701).empty());
  EXPECT_EQ(drops(server, "nat_flow_taken"), 1u);
  EXPECT_EQ(to(ari, 1701, 1701).size(), 1u);
  bool told = false;
  for (const DataPlaneEvent& event : kit.events(server)) {
    if (const auto* shared = std::get_if<NatFlowShared>(&event)) told = !shared->port;
  }
  EXPECT_TRUE(told);
}

// The rule takes any port, what the peers asked for is one: the selectors of the SA are for the peer's own port.
TEST_F(BehindOneNat, SelectorsAreAboutThePeersOwnPort) {
  protect(only(kServer, 17, 1701), only(kNat, 17));
  Client& ari = add("10.0.0.1", 31001, only(kNat, 17, 1701), only(kServer, 17, 1701));
  Client& bob = add("10.0.0.2", 31002, only(kNat, 17, 1701), only(kServer, 17, 1701));
  ASSERT_EQ(from(ari, 1701, 1701).size(), 1u);
  const std::uint16_t other = source_port(from(bob, 1701, 1701).at(0));
  EXPECT_NE(other, 1701);
  EXPECT_EQ(upper(to(bob, 1701, other).at(0)), upper(as_client_sees(bob, 1701, 1701)));
  EXPECT_TRUE(from(bob, 1702, 1701).empty());
  EXPECT_EQ(drops(server, "selector_mismatch"), 1u);
  // A rule that ends protects no more; what is under way goes nowhere, not out in clear.
  protect(only(kServer, 17, 1701), only(kNat, 17, 1701));
  EXPECT_TRUE(to(bob, 1701, other).empty());
  EXPECT_EQ(drops(server, "nat_peer_unclear"), 1u);
}

// A host at the NAT's own address, the NAT itself say, is who is meant by it.
TEST_F(BehindOneNat, TheHostAtTheAddressItself) {
  Client& ari = add("10.0.0.1", 31001);
  auto [a, b] = kit.make_pair(++last_id, {});
  a.mode = b.mode = Mode::transport;
  b.path = {{kServer, 4500}, {kNat, 4500}};
  b.local = only(kServer);
  b.remote = only(kNat);
  const std::uint32_t spi = b.spi_outbound.value();
  ASSERT_TRUE(server.install(std::move(b), {}).has_value());
  Client& bob = add("10.0.0.2", 31002);
  ASSERT_EQ(from(ari, 1701, 1701).size() + from(bob, 1, 2).size(), 2u);
  const CollectingWire wire = kit.sends(server, {udp_packet({kServer, kNat, 9, 9}, Bytes(3))});
  ASSERT_EQ(wire.trains.size(), 1u);
  EXPECT_EQ(load_be32(wire.trains[0].bytes.data()), spi);
  EXPECT_EQ(to(ari, 1701, 1701).size(), 1u);
}

// Errors of the server's about a flow go the flow's way.
TEST_F(BehindOneNat, IcmpErrorsFollowTheFlow) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  ASSERT_EQ(from(ari, 40001, 9).size() + from(bob, 40002, 9).size(), 2u);
  const auto unreachable = [](std::uint16_t port) {
    Bytes message{3, 3, 0, 0, 0, 0, 0, 0};
    const Bytes quoted = udp_packet({kNat, kServer, port, 9}, Bytes(9, 7));
    message.insert(message.end(), quoted.begin(), quoted.end());
    store_be16(message.data() + 2, net::checksum_finish(net::checksum_add(0, message)));
    return with_ip_header({kServer, kNat}, net::IpProtocol::icmp, message);
  };
  EXPECT_EQ(to(ari, unreachable(40001)).size(), 1u);
  EXPECT_EQ(to(bob, unreachable(40002)).size(), 1u);
  EXPECT_TRUE(to(bob, unreachable(40003)).empty());
}

// An error, 3/3 for "nobody listens there", with this quote.
Bytes error_about(const net::IpAddress& from, const net::IpAddress& to, const Bytes& quoted, std::uint8_t code = 3,
                  std::size_t quoted_size = 64) {
  Bytes message{3, code, 0, 0, 0, 0, 0, 0};
  message.insert(
      message.end(), quoted.begin(),
      quoted.begin() + std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(quoted_size), std::ssize(quoted)));
  store_be16(message.data() + 2, net::checksum_finish(net::checksum_add(0, message)));
  return with_ip_header({from, to}, net::IpProtocol::icmp, message);
}
// What stands behind the IP header of an error, whose checksum is right.
std::string told(const Bytes& packet) {
  const ByteView message = ByteView(packet).subspan(20);
  EXPECT_EQ(net::checksum_finish(net::checksum_add(0, message)), 0);
  return to_hex(message);
}

// Of two with the same ports the second has another one here. What the server's stack says of the one's or the other's
// packet goes to that one, who finds its own address and port in it.
TEST_F(BehindOneNat, ErrorsAboutATranslatedFlowNameWhatThePeerSent) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  ASSERT_EQ(from(ari, 1701, 9).size(), 1u);
  const std::uint16_t given = source_port(from(bob, 1701, 9).at(0));
  ASSERT_NE(given, 1701);
  for (const std::size_t quoted : {std::size_t{28}, std::size_t{64}}) {
    const auto about = [&](std::uint16_t port) {
      return error_about(kServer, kNat, udp_packet({kNat, kServer, port, 9}, Bytes(9, 7)), 3, quoted);
    };
    for (auto [client, port] : {std::pair{&ari, std::uint16_t{1701}}, std::pair{&bob, given}}) {
      const auto got = to(*client, about(port));
      ASSERT_EQ(got.size(), 1u) << port;
      const Bytes sent = udp_packet({client->own, kServer, 1701, 9}, Bytes(9, 7));
      EXPECT_EQ(told(got[0]), told(error_about(kServer, client->own, sent, 3, quoted)));
    }
  }
  // A packet of its that was too long, by a TCP segment and all that is quoted of it.
  const Bytes segment = tcp_packet({bob.own, kServer, 1701, 80}, 1, 0x10, Bytes(40, 1));
  ASSERT_EQ(from(ari, tcp_packet({ari.own, kServer, 1701, 80}, 1, 0x10, Bytes(40, 1))).size(), 1u);
  const Bytes seen = from(bob, segment).at(0);
  const auto got = to(bob, error_about(kServer, kNat, seen, 4, 576));
  ASSERT_EQ(got.size(), 1u);
  const ByteView quoted = ByteView(got[0]).subspan(28);
  EXPECT_EQ(to_hex(quoted.subspan(12)), to_hex(ByteView(segment).subspan(12)));
  EXPECT_EQ(net::checksum_finish(net::checksum_add(0, quoted.first(20))), 0) << "of the quoted IP header";
  (void)told(got[0]);
}

// A client's error is about what the server sent to that client: the stack hears of the flow that it knows, and not of
// another client's that has the client's own port here.
TEST_F(BehindOneNat, ErrorsOfAPeerAreAboutItsOwnFlow) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  ASSERT_EQ(from(ari, 1701, 9).size(), 1u);
  const std::uint16_t given = source_port(from(bob, 1701, 9).at(0));
  for (auto [client, port] : {std::pair{&ari, std::uint16_t{1701}}, std::pair{&bob, given}}) {
    const Bytes heard = udp_packet({kServer, client->own, 9, 1701}, Bytes(5, 3));
    const auto got = from(*client, error_about(client->own, kServer, heard));
    ASSERT_EQ(got.size(), 1u) << port;
    const Bytes sent = udp_packet({kServer, kNat, 9, port}, Bytes(5, 3));
    EXPECT_EQ(told(got[0]), told(error_about(kNat, kServer, sent)));
    // Quoted by the address that the server knows, it is the same.
    const auto again =
        from(*client, error_about(client->own, kServer, udp_packet({kServer, kNat, 9, 1701}, Bytes(5, 3))));
    ASSERT_EQ(again.size(), 1u) << port;
    EXPECT_EQ(told(again[0]), told(got[0]));
  }
  // Bob does not get at Ari's other flow, whichever address it quotes.
  ASSERT_EQ(from(ari, 5000, 9).size(), 1u);
  const std::uint64_t before = drops(server, "nat_flow_taken");
  for (const net::IpAddress& quoted : {kNat, bob.own}) {
    EXPECT_TRUE(from(bob, error_about(bob.own, kServer, udp_packet({kServer, quoted, 9, 5000}, Bytes(5, 3)))).empty());
  }
  EXPECT_EQ(drops(server, "nat_flow_taken"), before + 2);
}

// "Too long" about a packet that got the peer's own port on its way: the stack hears of what it sent, not of the flow
// of the other client, whose port that is here.
TEST_F(BehindOneNat, TooLongIsAboutWhatTheStackSent) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  ASSERT_EQ(from(ari, 1701, 9).size(), 1u);
  const std::uint16_t given = source_port(from(bob, 1701, 9).at(0));
  for (const std::uint16_t port : {std::uint16_t{1701}, given}) {
    const Bytes sent = udp_packet(
        {.source = kServer, .destination = kNat, .source_port = 9, .destination_port = port, .dont_fragment = true},
        Bytes(65'480, 3));
    const CollectingWire wire = kit.sends(server, {sent});
    EXPECT_TRUE(wire.trains.empty());
    ASSERT_EQ(wire.answers.size(), 1u);
    const auto about = net::parse_packet(wire.answers[0]);
    ASSERT_TRUE(about);
    const ByteView quoted = ByteView(wire.answers[0]).subspan(28);
    EXPECT_EQ(load_be16(quoted.data() + 22), port);
    EXPECT_EQ(to_hex(quoted.subspan(12, 16)), to_hex(ByteView(sent).subspan(12, 16)));
  }
}

// Whoever begins very many flows loses its own oldest, and gets at nobody else's.
TEST_F(BehindOneNat, ManyFlowsPushOutTheirOwnOnly) {
  Client& ari = add("10.0.0.1", 31001);
  Client& bob = add("10.0.0.2", 31002);
  ASSERT_EQ(from(ari, 1, 1).size(), 1u);
  EXPECT_EQ(to(ari, 1, 1).size(), 1u);
  ASSERT_EQ(from(bob, 2, 1).size(), 1u);
  EXPECT_EQ(to(bob, 1, 2).size(), 1u);
  for (std::uint32_t port = 1000; port < 1000 + NatFlowBounds{}.per_peer; ++port)
    ASSERT_EQ(from(bob, static_cast<std::uint16_t>(port), 1).size(), 1u);
  EXPECT_NE(source_port(from(bob, 1, 1).at(0)), 1);
  EXPECT_EQ(to(ari, 1, 1).size(), 1u);
  // Bob's first one is forgotten, also by the flow cache: it is Ari's if she takes it.
  EXPECT_TRUE(to(bob, 1, 2).empty());
  ASSERT_EQ(source_port(from(ari, 2, 1).at(0)), 2);
  EXPECT_EQ(to(ari, 1, 2).size(), 1u);
}

}  // namespace
}  // namespace culvert::ipsec
