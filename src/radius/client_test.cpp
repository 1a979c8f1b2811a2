#include "radius/client.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert::radius {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

const ByteView kSecret = as_bytes("what both ends know of each other");
constexpr Instant kStart{seconds(1000)};

class RadiusClient : public ::testing::Test {
 protected:
  explicit RadiusClient(std::size_t servers = 2, std::size_t most = 1024) : client(settings(servers, most), random) {}

  static ClientSettings settings(std::size_t servers, std::size_t most) {
    ClientSettings out;
    for (std::size_t i = 0; i < servers; ++i)
      out.servers.push_back({net::IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(9 + i)}), 1812});
    out.secret = SecretBytes::copy_of(kSecret);
    out.most_exchanges = most;
    return out;
  }
  static PacketBuilder request() {
    PacketBuilder builder(Code::access_request);
    builder.add_text(AttributeType::user_name, "carol");
    return builder;
  }
  ExchangeId ask(std::optional<std::size_t> server = {}) { return client.begin(request(), server, now).value(); }
  Client::Transmit sent() {
    auto transmit = client.poll_transmit();
    EXPECT_TRUE(transmit.has_value());
    return transmit.value_or(Client::Transmit{});
  }
  void answer(const Client::Transmit& to, Code code = Code::access_challenge, bool with_proof = true,
              ByteView secret = kSecret) {
    const Packet packet = *parse(to.octets);
    client.handle_datagram(to.line,
                           PacketBuilder(code).as_answer(packet.identifier, packet.authenticator, secret, with_proof));
  }
  void pass(Duration time) {
    now += time;
    client.handle_timeout(now);
  }
  void expect_nothing() { EXPECT_FALSE(client.poll_outcome().has_value()); }
  std::string complaint() { return client.poll_complaint().value_or("none"); }

  SeededRandom random{7};
  Instant now = kStart;
  Client client;
};

TEST_F(RadiusClient, AnswerIsTakenOnce) {
  const ExchangeId id = ask();
  const auto request = sent();
  EXPECT_EQ(request.line.server, 0U);
  EXPECT_EQ(message_proof(*parse(request.octets), authenticator_of(request.octets), kSecret), MessageProof::right);
  answer(request);
  const auto outcome = client.poll_outcome();
  ASSERT_TRUE(outcome && outcome->answer);
  EXPECT_EQ(outcome->id, id);
  EXPECT_EQ(outcome->answer->packet.code, Code::access_challenge);
  EXPECT_EQ(outcome->answer->request, authenticator_of(request.octets));
  EXPECT_EQ(client.under_way(), 0U);
  EXPECT_FALSE(client.poll_timeout());
  answer(request);
  expect_nothing();
  EXPECT_EQ(complaint(), "none");
}

// RFC 5080 2.2.1: the same packet again; RFC 2865 2.4: then the next server, with a packet of its own.
TEST_F(RadiusClient, SilentServerIsAskedAgainThenTheNext) {
  (void)ask();
  const auto first = sent();
  for (int i = 0; i < 2; ++i) {
    pass(seconds(2));
    EXPECT_EQ(sent().octets, first.octets);
  }
  pass(seconds(2));
  const auto second = sent();
  EXPECT_EQ(second.line.server, 1U);
  EXPECT_NE(authenticator_of(second.octets), authenticator_of(first.octets));
  // The first's late answer is for nobody.
  answer(first);
  expect_nothing();
  answer(second);
  EXPECT_TRUE(client.poll_outcome()->answer.has_value());
  // The silent one rests.
  (void)ask();
  EXPECT_EQ(sent().line.server, 1U);
  pass(seconds(61));
  while (client.poll_transmit()) {
  }
  (void)ask();
  EXPECT_EQ(sent().line.server, 0U);
}

TEST_F(RadiusClient, AllAreSilent) {
  const ExchangeId id = ask();
  for (int i = 0; i < 6; ++i) {
    (void)sent();
    expect_nothing();
    pass(seconds(2));
  }
  EXPECT_FALSE(client.poll_transmit());
  const auto outcome = client.poll_outcome();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->id, id);
  ASSERT_FALSE(outcome->answer);
  EXPECT_EQ(outcome->answer.error(), "no RADIUS server answers (192.0.2.9:1812, 192.0.2.10:1812; 3 tries each)");
  EXPECT_FALSE(client.poll_timeout());
}

// A server with a name is passed over as long as it has no address, and asked once it has one.
TEST_F(RadiusClient, AServerWithoutAnAddressIsPassedOver) {
  ClientSettings named = settings(2, 8);
  named.servers[0] = {net::IpAddress(), 1812};
  named.names = {"radius.example:1812", ""};
  Client some(std::move(named), random);
  ASSERT_TRUE(some.begin(request(), {}, now));
  EXPECT_EQ(some.poll_transmit()->line.server, 1U);
  EXPECT_EQ(some.poll_missing(), 0U);
  EXPECT_FALSE(some.poll_missing());
  some.set_endpoint(0, {net::IpAddress::v4({192, 0, 2, 77}), 1812});
  ASSERT_TRUE(some.begin(request(), {}, now));
  EXPECT_EQ(some.poll_transmit()->line.server, 0U);
  EXPECT_EQ(some.endpoint(0).to_string(), "192.0.2.77:1812");
}

TEST_F(RadiusClient, NoServerHasAnAddress) {
  ClientSettings named = settings(1, 8);
  named.servers[0] = {net::IpAddress(), 1812};
  named.names = {"radius.example:1812"};
  Client none(std::move(named), random);
  for (const std::optional<std::size_t> bound : {std::optional<std::size_t>(), std::optional<std::size_t>(0)}) {
    ASSERT_TRUE(none.begin(request(), bound, now));
    EXPECT_FALSE(none.poll_transmit());
    const auto outcome = none.poll_outcome();
    ASSERT_TRUE(outcome && !outcome->answer);
    EXPECT_THAT(outcome->answer.error(), HasSubstr("radius.example:1812, which has no address"));
  }
  EXPECT_EQ(none.under_way(), 0U);
  EXPECT_FALSE(none.poll_timeout());
}

// It may be elsewhere now; one that moved is asked there at once, and what waits goes on there.
TEST_F(RadiusClient, ASilentServerIsMissing) {
  (void)ask();
  const auto first = sent();
  pass(seconds(2));
  (void)sent();
  EXPECT_FALSE(client.poll_missing());
  pass(seconds(2));
  (void)sent();
  pass(seconds(2));
  EXPECT_EQ(sent().line.server, 1U);
  EXPECT_EQ(client.poll_missing(), 0U);
  client.set_endpoint(0, {net::IpAddress::v4({192, 0, 2, 77}), 1812});
  (void)ask();
  EXPECT_EQ(sent().line.server, 0U) << "it does not rest";
}

// The conversation is with one server; the other knows nothing of it.
TEST_F(RadiusClient, BoundRequestStaysWithItsServer) {
  (void)ask(1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(sent().line.server, 1U);
    pass(seconds(2));
  }
  EXPECT_FALSE(client.poll_transmit());
  EXPECT_EQ(client.poll_outcome()->answer.error(), "no RADIUS server answers (192.0.2.10:1812; 3 tries each)");
}

// CVE-2024-3596, and everything else that is not proved: dropped, and the true answer still counts.
TEST_F(RadiusClient, LiarIsNotBelieved) {
  (void)ask();
  const auto request = sent();
  answer(request, Code::access_accept, true, as_bytes("another secret"));
  expect_nothing();
  EXPECT_THAT(complaint(), HasSubstr("192.0.2.9:1812 is not believed: its authenticator is wrong"));
  answer(request, Code::access_accept, false);
  answer(request, Code::accounting_response);
  answer(request, Code::access_request);
  Bytes cut =
      PacketBuilder(Code::access_accept).as_answer(request.octets[1], authenticator_of(request.octets), kSecret, true);
  cut[21] = 19;  // longer than the packet
  client.handle_datagram(request.line, cut);
  client.handle_datagram(request.line, Bytes(4097, 2));
  client.handle_datagram(request.line, Bytes{2});
  client.handle_datagram(request.line, {});
  client.handle_datagram(Line{.server = 1, .number = 9}, cut);
  expect_nothing();
  // One sentence in ten seconds: who lies a lot fills no log.
  EXPECT_EQ(complaint(), "none");
  EXPECT_EQ(client.disbelieved(), 5U);
  answer(request);
  EXPECT_TRUE(client.poll_outcome()->answer.has_value());
}

TEST_F(RadiusClient, LiarsServerIsNamedInTheEnd) {
  (void)ask(0);
  answer(sent(), Code::access_accept, false);
  for (int i = 0; i < 3; ++i) pass(seconds(2));
  EXPECT_THAT(client.poll_outcome()->answer.error(), HasSubstr("it has no Message-Authenticator"));
}

TEST_F(RadiusClient, WrongIdentifierIsNobodys) {
  (void)ask();
  const auto request = sent();
  Bytes other =
      PacketBuilder(Code::access_accept)
          .as_answer(static_cast<std::uint8_t>(request.octets[1] + 1), authenticator_of(request.octets), kSecret, true);
  client.handle_datagram(request.line, other);
  expect_nothing();
}

// RFC 2865 3: 256 identifiers on one port; then another port.
TEST_F(RadiusClient, ManyAtOnceHaveTheirOwnIdentifiers) {
  std::set<std::pair<std::uint32_t, std::uint8_t>> seen;
  std::vector<Client::Transmit> requests;
  for (int i = 0; i < 1000; ++i) {
    (void)ask();
    requests.push_back(sent());
    EXPECT_TRUE(seen.emplace(requests.back().line.number, requests.back().octets[1]).second);
    EXPECT_LT(requests.back().line.number, 4U);
  }
  for (const auto& request : requests) answer(request);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(client.poll_outcome()->answer.has_value());
  EXPECT_EQ(client.under_way(), 0U);
  // All are free again.
  for (int i = 0; i < 256; ++i) {
    (void)ask();
    EXPECT_EQ(sent().line.number, 0U);
  }
}

TEST_F(RadiusClient, CancelledIsForgotten) {
  const ExchangeId id = ask();
  const auto request = sent();
  client.cancel(id);
  client.cancel(id);
  answer(request);
  pass(seconds(100));
  expect_nothing();
  EXPECT_FALSE(client.poll_transmit());
}

// RFC 2866 3: the authenticator is the proof, and answers need no other.
TEST_F(RadiusClient, AccountingIsProvedByItsAuthenticator) {
  (void)client.begin(PacketBuilder(Code::accounting_request), {}, now);
  const auto request = sent();
  EXPECT_TRUE(is_request_by(*parse(request.octets), kSecret));
  answer(request, Code::access_accept);
  expect_nothing();
  answer(request, Code::accounting_response, false);
  EXPECT_TRUE(client.poll_outcome()->answer.has_value());
}

class SmallRadiusClient : public RadiusClient {
 protected:
  SmallRadiusClient() : RadiusClient(1, 3) {}
};

TEST_F(SmallRadiusClient, RefusesMoreThanItsBound) {
  for (int i = 0; i < 3; ++i) (void)ask();
  EXPECT_FALSE(client.begin(request(), {}, now));
}

}  // namespace
}  // namespace culvert::radius
