// IKE SAs that wait for work outside of the core: what comes meanwhile has one outcome each, other peers are not kept
// waiting, and a late answer is a late message at most.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/pair.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using std::chrono::milliseconds;
using std::chrono::seconds;

bool is_key_exchange(const Request& request) { return std::holds_alternative<KeyExchangeRequest>(request); }
bool has_peer_value(const Request& request) {
  const auto* one = std::get_if<KeyExchangeRequest>(&request);
  return one != nullptr && one->peer_value.has_value();
}

std::uint64_t dropped(Host& host, DatagramDrop reason) {
  return host.endpoint().counters().dropped[static_cast<std::size_t>(reason)];
}

/// Every Child SA of CREATE_CHILD_SA has a key exchange of its own.
model::ConnectionConfig with_pfs(bool first) {
  model::ConnectionConfig config = config_of(first);
  config.esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, "aes128gcm16-x25519-esn")};
  return config;
}

class Waiting : public ::testing::Test {
 protected:
  void bring_up_with_pfs() {
    configure(pair, with_pfs(true), with_pfs(false));
    initiate(pair);
    pair.settle();
    ASSERT_TRUE(in_step(pair));
  }
  /// An IKE_SA_INIT request as a stranger would send it.
  Bytes init_request(std::uint64_t spi, bool good = true) {
    codec::Message message;
    message.header.spi_i = model::IkeSpi(spi);
    message.header.initiator = true;
    message.add(codec::SaPayload{model::default_ike_proposals()});
    Bytes value(32);
    if (good) random.fill(value);
    message.add(codec::KePayload{.method = model::KeyExchangeMethod::curve25519, .public_value = value});
    Bytes nonce(32);
    random.fill(nonce);
    message.add(codec::NoncePayload{nonce});
    return codec::serialize(message);
  }
  static net::Path at_b(std::uint16_t port) { return {{address_of(false), 500}, {address_of(true), port}}; }
  std::size_t sent_by(bool first, ExchangeType exchange) const {
    return static_cast<std::size_t>(std::ranges::count_if(pair.wire, [&](const Datagram& one) {
      return one.from_a == first && one.header().exchange == exchange && !one.header().response;
    }));
  }

  SeededRandom random{7};
  Pair pair;
};

// ---------------------------------------------------------------- IKE_SA_INIT as responder

TEST_F(Waiting, ARepeatedBeginningIsIgnoredWhileItsAnswerIsComputed) {  // RFC 7296 2.1
  configure(pair);
  pair.b.postpones = is_key_exchange;
  initiate(pair);
  pair.settle();
  ASSERT_EQ(pair.b.postponed.size(), 1u);
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 1u) << "it counts while it waits";
  pair.advance(seconds(3));
  EXPECT_GE(sent_by(true, ExchangeType::ike_sa_init), 3u);
  EXPECT_EQ(pair.b.postponed.size(), 1u) << "repeating brings no further work";
  EXPECT_GE(dropped(pair.b, DatagramDrop::old_message_id), 2u);
  pair.answer_postponed(pair.b);
  EXPECT_TRUE(pair.run_until([&] { return in_step(pair); }, seconds(5)));
}

TEST_F(Waiting, AnAnswerForAHalfOpenIkeSaThatIsGoneDoesNothing) {
  configure(pair);
  pair.b.postpones = is_key_exchange;
  pair.inject(pair.b, at_b(500), init_request(1));
  ASSERT_EQ(pair.b.postponed.size(), 1u);
  pair.advance(seconds(31));
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 0u);
  pair.wire.clear();
  pair.answer_postponed(pair.b);
  EXPECT_TRUE(pair.wire.empty());
  EXPECT_FALSE(pair.b.endpoint().poll_timeout());
}

TEST_F(Waiting, AValueThatIsNoneLeavesNothingBehind) {  // RFC 7296 3.4, RFC 8031 5
  configure(pair);
  pair.b.postpones = is_key_exchange;
  pair.inject(pair.b, at_b(500), init_request(1, false));
  pair.answer_postponed(pair.b);
  EXPECT_TRUE(pair.wire.empty());
  EXPECT_EQ(dropped(pair.b, DatagramDrop::malformed), 1u);
  EXPECT_EQ(pair.b.endpoint().counters().half_open, 0u);
  EXPECT_FALSE(pair.b.endpoint().poll_timeout());
}

TEST_F(Waiting, AValueOfAnotherLengthCostsNoWork) {  // RFC 7296 3.4
  configure(pair);
  pair.b.postpones = is_key_exchange;
  Bytes octets = init_request(1);
  auto parsed = *codec::parse_message(octets);
  codec::Message message{.header = parsed.header, .payloads = std::move(parsed.payloads)};
  for (auto& payload : message.payloads) {
    if (auto* ke = std::get_if<codec::KePayload>(&payload)) ke->public_value.clear();
  }
  pair.inject(pair.b, at_b(500), codec::serialize(message));
  EXPECT_TRUE(pair.b.postponed.empty());
  EXPECT_TRUE(pair.wire.empty());
  EXPECT_EQ(dropped(pair.b, DatagramDrop::malformed), 1u);
}

TEST_F(Waiting, TooMuchWorkDropsBeginningsUntilThereIsRoom) {
  EndpointSettings settings;
  settings.work_limit = 2;
  Pair small(1, settings);
  configure(small);
  small.b.postpones = is_key_exchange;
  const Bytes third = init_request(3);
  small.inject(small.b, at_b(1001), init_request(1));
  small.inject(small.b, at_b(1002), init_request(2));
  small.inject(small.b, at_b(1003), third);
  EXPECT_EQ(small.b.postponed.size(), 2u);
  EXPECT_EQ(dropped(small.b, DatagramDrop::busy), 1u);
  EXPECT_EQ(small.b.endpoint().counters().half_open, 2u) << "what is dropped leaves no state";
  small.answer_postponed(small.b, false);
  EXPECT_EQ(small.wire.size(), 1u);
  small.inject(small.b, at_b(1003), third);
  EXPECT_EQ(small.b.postponed.size(), 2u) << "there was room for it again";
  EXPECT_EQ(dropped(small.b, DatagramDrop::busy), 1u);
}

// ---------------------------------------------------------------- IKE_SA_INIT as initiator

TEST_F(Waiting, ABeginningThatIsCalledOffBeforeItsKeyPairIsNeverSent) {
  configure(pair);
  pair.a.postpones = is_key_exchange;
  initiate(pair);
  ASSERT_EQ(pair.a.postponed.size(), 1u);
  pair.command(pair.a, Terminate{kConnection});
  pair.answer_postponed(pair.a);
  EXPECT_TRUE(pair.wire.empty());
  EXPECT_FALSE(pair.a.endpoint().poll_timeout());
  // And the next one is not disturbed by the old answer.
  pair.a.postpones = nullptr;
  initiate(pair);
  pair.settle();
  EXPECT_TRUE(in_step(pair));
}

TEST_F(Waiting, AForgedAnswerWithABadValueOnlyDelaysTheGenuineOne) {  // RFC 7296 2.21.1
  configure(pair);
  pair.a.postpones = has_peer_value;
  pair.fate = [&](const Datagram& one) {
    return one.from_a ? std::vector<Duration>{Pair::kLatency} : std::vector<Duration>{milliseconds(100)};
  };
  initiate(pair);
  ASSERT_TRUE(pair.run_until([&] { return pair.wire.size() == 2; }));
  auto parsed = *codec::parse_message(pair.wire[1].message);
  codec::Message forged{.header = parsed.header, .payloads = std::move(parsed.payloads)};
  for (auto& payload : forged.payloads) {
    if (auto* ke = std::get_if<codec::KePayload>(&payload)) ke->public_value.assign(32, 0);
  }
  pair.inject(pair.a, {path_from(true).local, path_from(true).remote}, codec::serialize(forged));
  ASSERT_EQ(pair.a.postponed.size(), 1u);
  // The genuine one comes while the forged one is being computed, and is not looked at.
  pair.advance(milliseconds(200));
  EXPECT_EQ(pair.a.postponed.size(), 1u);
  pair.answer_postponed(pair.a);
  EXPECT_TRUE(pair.a.logged("waiting a little"));
  pair.a.postpones = nullptr;
  EXPECT_TRUE(pair.run_until([&] { return in_step(pair); }, seconds(10))) << "it is repeated, and taken";
}

TEST_F(Waiting, TheKeyPairOfAnotherMethodMayComeLate) {  // RFC 7296 1.2
  auto a = config_of(true);
  auto b = config_of(false);
  const auto suite = [](const char* text) { return *model::parse_proposal(model::ProtocolId::ike, text); };
  a.ike_proposals = {suite("aes128gcm16-prfsha256-x25519"), suite("aes128gcm16-prfsha256-ecp256")};
  b.ike_proposals = {suite("aes128gcm16-prfsha256-ecp256")};
  configure(pair, a, b);
  pair.a.postpones = is_key_exchange;
  initiate(pair);
  pair.answer_postponed(pair.a);
  pair.advance(seconds(4));
  // The first request was repeated, and so was the demand: one key pair is asked for all the same.
  ASSERT_EQ(pair.a.postponed.size(), 1u);
  pair.a.postpones = nullptr;
  pair.answer_postponed(pair.a);
  EXPECT_TRUE(pair.run_until([&] { return in_step(pair); }, seconds(5)));
}

// ---------------------------------------------------------------- CREATE_CHILD_SA

TEST_F(Waiting, TheAnswerToARekeyMayComeLateAndTheRequestAgain) {
  bring_up_with_pfs();
  const auto old = pair.a.child().spi_inbound;
  pair.b.postpones = is_key_exchange;
  pair.command(pair.a, RekeyChildSa{pair.a.child().id});
  pair.advance(seconds(3));
  EXPECT_GE(sent_by(true, ExchangeType::create_child_sa), 3u);
  ASSERT_EQ(pair.b.postponed.size(), 1u);
  EXPECT_TRUE(no_leaks(pair) || pair.a.allocator().in_use.size() == 2) << "only the offer of a holds a further SPI";
  EXPECT_EQ(pair.b.allocator().in_use.size(), 1u);
  pair.answer_postponed(pair.b);
  EXPECT_TRUE(pair.run_until([&] { return in_step(pair) && pair.a.child().spi_inbound != old; }, seconds(10)));
  EXPECT_TRUE(no_leaks(pair));
}

TEST_F(Waiting, ARekeyThatThePeerWasFasterWithIsNotSent) {  // RFC 7296 2.8.1
  bring_up_with_pfs();
  pair.a.postpones = is_key_exchange;
  pair.command(pair.a, RekeyChildSa{pair.a.child().id});
  ASSERT_EQ(pair.a.postponed.size(), 1u);
  pair.a.postpones = nullptr;
  pair.command(pair.b, RekeyChildSa{pair.b.child().id});
  ASSERT_TRUE(pair.run_until([&] { return pair.b.children_made == 2 && in_step(pair); }, seconds(10)));
  pair.answer_postponed(pair.a);
  pair.settle();
  EXPECT_EQ(sent_by(true, ExchangeType::create_child_sa), 0u);
  EXPECT_TRUE(in_step(pair));
  EXPECT_TRUE(no_leaks(pair));
}

TEST_F(Waiting, ARekeyOfTheIkeSaTakesAlongWhatHasNotBegun) {  // RFC 7296 2.18
  bring_up_with_pfs();
  const auto old_child = pair.a.child().spi_inbound;
  const auto old_ike = pair.a.ike_sa().spi_i;
  pair.a.postpones = is_key_exchange;
  pair.command(pair.a, RekeyChildSa{pair.a.child().id});
  ASSERT_EQ(pair.a.postponed.size(), 1u);
  pair.a.postpones = nullptr;
  pair.command(pair.b, RekeyIkeSa{pair.b.ike_sa().ike_sa});
  ASSERT_TRUE(pair.run_until(
      [&] { return in_step(pair) && pair.a.ike_sa().spi_i != old_ike && pair.a.child().spi_inbound != old_child; },
      seconds(10)));
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
  // The pair that was asked for first is nobody's any more.
  const std::size_t sent = pair.wire.size();
  pair.answer_postponed(pair.a);
  EXPECT_EQ(pair.wire.size(), sent);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_F(Waiting, BothRekeyTheIkeSaAndAllAnswersAreLate) {  // RFC 7296 2.8.2
  bring_up_with_pfs();
  const auto old_ike = pair.a.ike_sa().spi_i;
  pair.command(pair.a, RekeyIkeSa{pair.a.ike_sa().ike_sa});
  pair.a.postpones = pair.b.postpones = is_key_exchange;
  pair.command(pair.b, RekeyIkeSa{pair.b.ike_sa().ike_sa});
  for (int round = 0; round < 20; ++round) {
    for (Host* one : {&pair.b, &pair.a}) {
      while (!one->postponed.empty()) pair.answer_postponed(*one, false);
    }
    pair.advance(milliseconds(300));
  }
  EXPECT_TRUE(in_step(pair));
  EXPECT_NE(pair.a.ike_sa().spi_i, old_ike);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_F(Waiting, TheEndOfTheIkeSaGivesBackWhatWaited) {
  bring_up_with_pfs();
  // A response of a's waits for its secret at a, a request of a's for its answer at b: each in a run of its own.
  for (const bool at_a : {true, false}) {
    Pair one(at_a ? 11 : 12);
    configure(one, with_pfs(true), with_pfs(false));
    initiate(one);
    one.settle();
    Host& waits = one.host(at_a);
    waits.postpones = has_peer_value;
    one.command(one.a, RekeyChildSa{one.a.child().id});
    ASSERT_TRUE(one.run_until([&] { return waits.postponed.size() == 1; }));
    one.command(waits, Terminate{kConnection});
    one.advance(seconds(1));
    one.answer_postponed(waits);
    one.advance(seconds(120));
    EXPECT_TRUE(one.a.ike_sas.empty() && one.b.ike_sas.empty());
    EXPECT_TRUE(one.a.children.empty() && one.b.children.empty());
    EXPECT_TRUE(no_leaks(one)) << (at_a ? "initiator" : "responder");
    EXPECT_FALSE(one.a.endpoint().poll_timeout()) << "nothing of it is left";
    EXPECT_FALSE(one.b.endpoint().poll_timeout()) << "nothing of it is left";
  }
}

TEST_F(Waiting, APeerThatIsGoneLeavesNoRequestBehind) {
  bring_up_with_pfs();
  pair.b.postpones = is_key_exchange;
  pair.command(pair.a, RekeyChildSa{pair.a.child().id});
  pair.settle();
  ASSERT_EQ(pair.b.postponed.size(), 1u);
  pair.a.restart();
  pair.command(pair.b, CheckLiveness{pair.b.ike_sa().ike_sa});
  ASSERT_TRUE(pair.run_until([&] { return pair.b.ike_sas.empty(); }));
  pair.wire.clear();
  pair.answer_postponed(pair.b);
  EXPECT_TRUE(pair.wire.empty());
  EXPECT_TRUE(pair.b.allocator().in_use.empty());
}

TEST_F(Waiting, ABusyEndDropsRequestsOfItsPeersToo) {
  EndpointSettings settings;
  settings.work_limit = 1;
  Pair small(1, settings);
  configure(small, with_pfs(true), with_pfs(false));
  initiate(small);
  small.settle();
  ASSERT_TRUE(in_step(small));
  const auto old = small.a.child().spi_inbound;
  small.b.postpones = is_key_exchange;
  small.inject(small.b, at_b(1001), init_request(1));
  ASSERT_EQ(small.b.postponed.size(), 1u);
  small.command(small.a, RekeyChildSa{small.a.child().id});
  small.settle();
  EXPECT_EQ(dropped(small.b, DatagramDrop::busy), 1u);
  EXPECT_EQ(small.b.postponed.size(), 1u);
  // Other exchanges go on.
  small.command(small.b, CheckLiveness{small.b.ike_sa().ike_sa});
  small.settle();
  small.b.postpones = nullptr;
  small.answer_postponed(small.b);
  EXPECT_TRUE(small.run_until([&] { return in_step(small) && small.a.child().spi_inbound != old; }, seconds(5)));
}

// A verdict that waits for an OCSP responder takes none of our threads, and so no room of those who want one.
TEST_F(Waiting, WhoseAnswerWaitsForAnotherHostKeepsNobodyOut) {
  for (const bool tells : {true, false}) {
    SCOPED_TRACE(tells);
    EndpointSettings settings;
    settings.work_limit = 1;
    Pair small(1, settings);
    configure(small);
    small.b.postpones = [](const Request& request) { return std::holds_alternative<SharedKeyMacRequest>(request); };
    initiate(small);
    small.settle();
    ASSERT_EQ(small.b.postponed.size(), 1u);
    const RequestToken token = token_of(small.b.postponed.front());
    if (tells) {
      small.b.endpoint().handle_wait(token);
      small.b.endpoint().handle_wait(token);  // counts but once
      small.b.endpoint().handle_wait(RequestToken(4711));
    }
    const std::size_t sent = small.wire.size();
    small.inject(small.b, at_b(1001), init_request(1));
    EXPECT_EQ(dropped(small.b, DatagramDrop::busy), tells ? 0u : 1u);
    EXPECT_EQ(small.wire.size() - sent, tells ? 1u : 0u);
    small.b.postpones = nullptr;
    while (!small.b.postponed.empty()) small.answer_postponed(small.b);
    small.settle();
    EXPECT_TRUE(in_step(small));
  }
}

// ---------------------------------------------------------------- peers among each other

// Whoever judges the peers takes his time, as a server far away would: ten wait for him, and nobody else does.
TEST_F(Waiting, TenSlowVerdictsDelayNoOtherPeer) {
  constexpr std::uint32_t kPeers = 11;
  const auto config = [](bool first, std::uint32_t n) {
    auto one = config_of(first);
    one.id = model::ConnectionId(n);
    one.name = fmt::format("peer{}", n);
    const auto id = model::Identity::parse(fmt::format("peer{}.example", n));
    (first ? one.local_id : one.remote_id) = id;
    (first ? one.local : one.remote) = subnet(fmt::format("10.1.{}.0/24", n));
    return one;
  };
  for (std::uint32_t n = 1; n <= kPeers; ++n) configure(pair, config(true, n), config(false, n));
  pair.b.postpones = [](const Request& request) {
    const auto* mac = std::get_if<SharedKeyMacRequest>(&request);
    return mac != nullptr && mac->connection != model::ConnectionId(kPeers);
  };
  const auto begin = [&](std::uint32_t n) {
    pair.command(pair.a, Initiate{.connection = model::ConnectionId(n), .path = path_from(true)});
  };
  for (std::uint32_t n = 1; n < kPeers; ++n) begin(n);
  pair.settle();
  ASSERT_EQ(pair.b.postponed.size(), kPeers - 1);
  begin(kPeers);
  pair.settle();
  ASSERT_EQ(pair.a.ike_sas.size(), 1u);
  EXPECT_EQ(pair.a.ike_sa().connection, model::ConnectionId(kPeers));
  EXPECT_EQ(pair.b.children.size(), 1u);
  pair.command(pair.a, RekeyChildSa{pair.a.child().id});
  pair.settle();
  EXPECT_EQ(pair.b.children_made, 2u) << "it lives on while the others wait";
  // Ten seconds later the answers come, the last first.
  pair.advance(seconds(10));
  EXPECT_EQ(pair.b.postponed.size(), kPeers - 1) << "requests that were repeated bring no further work";
  while (!pair.b.postponed.empty()) pair.answer_postponed(pair.b, false);
  ASSERT_TRUE(pair.run_until(
      [&] {
        while (!pair.b.postponed.empty()) pair.answer_postponed(pair.b, false);
        return pair.a.ike_sas.size() == kPeers;
      },
      seconds(20)));
  EXPECT_EQ(pair.b.ike_sas.size(), kPeers);
  EXPECT_TRUE(no_leaks(pair));
}

}  // namespace
}  // namespace culvert::ike::v2
