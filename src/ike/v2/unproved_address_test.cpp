// What goes to an address at which nobody has answered yet, and may be anybody's: little, and not by itself (RFC
// 7296 2.6, 2.21.4, 2.23; RFC 4555 3.7).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/secrets.hpp"
#include "ike/v2/mobike.hpp"
#include "ike/v2/paths.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"
#include "ike/v2/testing/standing_sa.hpp"

namespace culvert::ike::v2 {
namespace {

using model::NotifyType;
using std::chrono::seconds;
using testing::address_of;
using testing::config_of;
using testing::configure;
using testing::Forger;
using testing::in_step;
using testing::Pair;

constexpr std::size_t kRequestSize = 700;

net::IpAddress elsewhere(std::uint8_t n) { return *net::IpAddress::from_bytes(Bytes{198, 51, 100, n}); }

// An IKE SA that stands, with requests of ours under way.
class UnprovedAddress : public ::testing::Test {
 protected:
  UnprovedAddress() {
    testing::stand_as_responder(core, sa);
    sa.remote_behind_nat = true;
    sa.window.grant(4);
    for (std::uint8_t n = 0; n < 3; ++n)
      sa.window.sent(Outgoing(Bytes(kRequestSize, n)), core.retransmission(), core.now, random);
  }
  static net::Path at(const net::IpAddress& peer) { return {{address_of(false), 4500}, {peer, 4500}}; }
  /// Which of the requests went where meanwhile, by what they consist of.
  std::map<net::IpAddress, std::vector<int>> sent() {
    std::map<net::IpAddress, std::vector<int>> there;
    for (const Transmit& one : std::exchange(core.transmits, {}))
      there[one.path.remote.address].push_back(one.message.front());
    return there;
  }
  void retransmit_all() {
    for (const model::MessageId id : sa.window.awaited()) retransmit(core, sa, id);
  }

  SeededRandom random{1};
  testing::TestSpiAllocator spis{0x1000};
  Core core{EndpointSettings{}, random, spis};
  IkeSa& sa = core.sas.add(core.next_ike_sa_id());
};

// The peer says that it is there now; with more requests under way than one, only one goes there before it has proved
// that, however often it is sent again.
TEST_F(UnprovedAddress, AfterAnUpdateGetsTheOldestRequestAlone) {
  sa.mobike = true;
  follow_update(core, sa, at(elsewhere(7)));
  EXPECT_EQ(sent()[elsewhere(7)], (std::vector{0}));
  for (int times = 0; times < 3; ++times) retransmit_all();
  EXPECT_EQ(sent()[elsewhere(7)], (std::vector{0, 0, 0}));
  note_proved(core, sa);
  EXPECT_EQ(sent()[elsewhere(7)], (std::vector{1, 2})) << "what has waited goes there at once";
  retransmit_all();
  EXPECT_EQ(sent()[elsewhere(7)], (std::vector{0, 1, 2}));
}

TEST_F(UnprovedAddress, AfterManyUpdatesGetsRequestsAtABoundedRate) {
  sa.mobike = true;
  std::size_t requests = 0;
  for (std::uint8_t n = 1; n <= 100; ++n) {
    follow_update(core, sa, at(elsewhere(n)));
    for (const auto& [address, there] : sent()) requests += there.size();
  }
  EXPECT_EQ(requests, 4U);
  EXPECT_EQ(sa.tasks.size(), 1U);
  retransmit_all();
  EXPECT_EQ(sent()[elsewhere(100)], (std::vector{0}));
}

// Whoever can see the peer's packets sends them on from as many addresses as he likes.
TEST_F(UnprovedAddress, OfAPacketThatCameAnotherWayGetsRequestsAtABoundedRate) {
  std::size_t octets = 0;
  for (std::uint8_t n = 1; n <= 100; ++n) {
    follow_peer(core, sa, at(elsewhere(n)), n % 2 == 0);
    for (const auto& [address, requests] : sent()) octets += requests.size() * kRequestSize;
  }
  EXPECT_GE(octets, kRequestSize) << "the answer may not come over the old path any more";
  EXPECT_LE(octets, 4 * kRequestSize);
  EXPECT_EQ(sa.tasks.size(), 1U) << "of all of them the last is asked";
  core.now += seconds(60);
  follow_peer(core, sa, at(elsewhere(200)), false);
  EXPECT_EQ(sent()[elsewhere(200)], (std::vector{0})) << "later again";
}

TEST_F(UnprovedAddress, OfAnotherNetworkOfOursIsNone) {
  sa.mobike = true;
  sa.origin_role = model::Role::initiator;
  net::Path path = sa.path;
  path.local.address = elsewhere(3);
  move_to(core, sa, path, "a test");
  EXPECT_EQ(sent()[address_of(true)], (std::vector{0, 1, 2})) << "the peer is where it has answered before";
}

// RFC 7296 2.1 has the response go to wherever the request came from again; one that is longer is worth a replay.
TEST(UnprovedAddressAgain, GetsALongerResponseAFewTimes) {
  Pair pair(1, testing::exporting());
  auto a = config_of(true);
  auto b = config_of(false);
  for (auto* one : {&a, &b}) one->life.resumption = std::chrono::hours(1);
  auto secrets = std::make_shared<EndpointSecrets>();
  secrets->ticket_keys.push_back({.id = {1}, .made = 0, .key = SecretBytes::copy_of(Bytes(32, 1))});
  pair.command(pair.b, UseSecrets{.secrets = std::move(secrets), .calendar = 3600});
  configure(pair, a, b);
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  Forger peer(pair.b.exported.at(0), 2);
  codec::NotifyPayload ask{
      .protocol = model::ProtocolId::none, .spi = {}, .type = NotifyType::ticket_request, .data = {}};
  const Bytes request = peer.request(model::ExchangeType::informational, {ask});
  const net::Path home = pair.b.ike_sa().path;
  const auto say = [&](const net::Path& path) {
    pair.b.endpoint().handle_datagram(path, request, pair.now);
    return pair.b.drain(pair.now);
  };
  const auto first = say(home);
  ASSERT_EQ(first.size(), 1U);
  ASSERT_GT(first.front().message.size(), request.size());
  std::size_t answers = 0;
  for (int n = 0; n < 100; ++n) {
    net::Path path = home;
    path.remote.address = elsewhere(static_cast<std::uint8_t>(n + 1));
    answers += say(path).size();
  }
  EXPECT_EQ(answers, 8U);
  const auto counters = pair.b.endpoint().counters();
  EXPECT_EQ(counters.repeated, 8U);
  EXPECT_EQ(counters.dropped[static_cast<std::size_t>(DatagramDrop::unproved_address)], 92U);
  for (int n = 0; n < 100; ++n)
    EXPECT_EQ(say(home).size(), 1U) << "where it is known to be it may ask as often as it likes";
}

// The shortest request there is, to a responder that has all to ask of its peers that an answer may have. What makes
// the answer longer than the request is our nonce, the authorities that we trust (RFC 7296 3.7), and which proofs we
// take (RFC 7427 4, RFC 9593 3.1): the peer could not prove itself without.
class UnprovedBeginning : public ::testing::Test {
 protected:
  UnprovedBeginning() {
    auto config = config_of(false);
    config.peer.reset();
    config.authentication = model::Authentication::certificate;
    config.ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha256-x25519")};
    config.authorities.resize(2000);
    random.fill(config.authorities);
    config.peer_rounds.resize(1, {.by = model::Authentication::certificate});
    host.endpoint().handle_command(ConfigureConnection{config}, now);
    (void)host.drain(now);
  }
  [[nodiscard]] Bytes shortest_request() {
    codec::Message request;
    request.header.spi_i = model::IkeSpi(random.u64() | 1);
    request.header.exchange = model::ExchangeType::ike_sa_init;
    request.header.initiator = true;
    model::Proposal offer = *model::parse_proposal(model::ProtocolId::ike, "aes256gcm16-prfsha256-x25519");
    offer.number = 1;
    request.add(codec::SaPayload{{offer}});
    codec::KePayload ke{.method = model::KeyExchangeMethod::curve25519, .public_value = Bytes(32)};
    random.fill(ke.public_value);
    request.add(ke);
    request.add(codec::NoncePayload{Bytes(16, 5)});
    return codec::serialize(request);
  }
  /// Octets of what is answered.
  std::size_t say(const net::Path& path, const Bytes& request) {
    host.endpoint().handle_datagram(path, request, now);
    std::size_t octets = 0;
    for (const Transmit& one : host.drain(now)) octets += one.message.size();
    return octets;
  }
  [[nodiscard]] std::uint64_t dropped(DatagramDrop reason) {
    return host.endpoint().counters().dropped[static_cast<std::size_t>(reason)];
  }
  static net::Path from(std::uint8_t n) { return {{address_of(false), 500}, {elsewhere(n), 500}}; }

  SeededRandom random{7};
  testing::Host host{"b", 3, EndpointSettings{}};
  Instant now{std::chrono::hours(1)};
};

TEST_F(UnprovedBeginning, GetsNoMoreThanThreeTimesWhatItHasSent) {
  const Bytes request = shortest_request();
  const std::size_t answer = say(from(1), request);
  EXPECT_GT(answer, request.size());
  EXPECT_LE(answer, 3 * request.size());
  EXPECT_GE(answer, 8 * 20U) << "the authorities are there";
}

TEST_F(UnprovedBeginning, GetsALongerAnswerAgainAndNotForEver) {
  const Bytes request = shortest_request();
  const std::size_t answer = say(from(1), request);
  ASSERT_GT(answer, request.size());
  EXPECT_EQ(say(from(2), request), answer) << "the same by another mapping of the peer's NAT";
  std::size_t octets = 0;
  for (int n = 0; n < 1000; ++n) octets += say(from(1), request);
  EXPECT_EQ(octets, 15 * answer);
  EXPECT_EQ(host.endpoint().counters().repeated, 16U);
  EXPECT_EQ(dropped(DatagramDrop::unproved_address), 985U);
}

// Neither what answers IKE_SA_INIT nor anything else goes out by itself (RFC 7296 2.1: the initiator repeats).
TEST_F(UnprovedBeginning, HearsNothingMore) {
  for (std::uint8_t n = 1; n <= 200; ++n) (void)say(from(n), shortest_request());
  EXPECT_GT(host.endpoint().counters().half_open, 0U);
  const auto before = host.endpoint().counters().datagrams_out;
  const Instant end = now + seconds(60);
  while (const auto next = host.endpoint().poll_timeout()) {
    if (*next > end) break;
    now = std::max(now, *next);
    host.endpoint().handle_timeout(now);
    EXPECT_TRUE(host.drain(now).empty());
  }
  EXPECT_EQ(host.endpoint().counters().datagrams_out, before);
  EXPECT_EQ(host.endpoint().counters().half_open, 0U);
}

}  // namespace
}  // namespace culvert::ike::v2
