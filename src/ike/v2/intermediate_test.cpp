// Additional key exchanges in IKE_INTERMEDIATE (RFC 9370, RFC 9242): agreed on, carried out under loss, in AUTH; and
// what a peer may try.
#include "ike/v2/intermediate.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/loss.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kHybrid = "aes256gcm16-prfsha256-x25519-ke1_mlkem768";
constexpr const char* kOptional = "aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke1_none";
constexpr const char* kPlain = "aes256gcm16-prfsha256-x25519";
constexpr const char* kThree = "aes256gcm16-prfsha384-x25519-ke1_mlkem512-ke3_mlkem1024-ke7_ecp256";

class Intermediate : public ::testing::Test {
 protected:
  Intermediate() : pair(1, exporting()) {}
  void start(std::string_view suite_a, std::string_view suite_b) {
    auto a = config_of(true);
    auto b = config_of(false);
    a.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, suite_a).value()};
    b.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, suite_b).value()};
    configure(pair, std::move(a), std::move(b));
    initiate(pair);
  }
  /// Whoever has the keys of IKE_SA_INIT goes on in place of a.
  void no_further_than_init() {
    pair.fate = [](const Datagram& datagram) {
      const bool init = datagram.header().exchange == ExchangeType::ike_sa_init;
      return init ? std::vector<Duration>{Pair::kLatency} : std::vector<Duration>{};
    };
    pair.settle();
  }
  [[nodiscard]] Forger forger(std::uint32_t next_id = 1) const { return Forger(pair.a.exported.front(), next_id); }
  [[nodiscard]] std::vector<Datagram> intermediates() const {
    std::vector<Datagram> found;
    std::ranges::copy_if(pair.wire, std::back_inserter(found),
                         [](const Datagram& one) { return one.header().exchange == ExchangeType::ike_intermediate; });
    return found;
  }
  static std::uint64_t dropped(Host& host, DatagramDrop reason) {
    return host.endpoint().counters().dropped[static_cast<std::size_t>(reason)];
  }
  Pair pair;
};

// RFC 9370 2.2.1, 2.2.2: one exchange for each, new keys after each, and IKE_AUTH under the last.
TEST_F(Intermediate, OneExchangeForEach) {
  start(kHybrid, kHybrid);
  pair.settle();
  ASSERT_TRUE(in_step(pair)) << (pair.a.failures.empty() ? "" : pair.a.failures.front().detail);
  // The request is one octet too long for a datagram of 1280.
  EXPECT_EQ(intermediates().size(), 3U);
  EXPECT_EQ(model::to_string(pair.a.ike_sa().suite), kHybrid);
  EXPECT_EQ(pair.b.ike_sa().suite, pair.a.ike_sa().suite);
  ASSERT_EQ(pair.a.exported.size(), 2U);
  ASSERT_EQ(pair.b.exported.size(), 2U);
  for (const std::size_t n : {0U, 1U}) {
    EXPECT_TRUE(equal(pair.a.exported[n].sk_ei.view(), pair.b.exported[n].sk_ei.view())) << n;
  }
  EXPECT_FALSE(equal(pair.a.exported[0].sk_ei.view(), pair.a.exported[1].sk_ei.view()));
  // RFC 9242 3.2: numbered on.
  EXPECT_EQ(pair.wire.back().header().exchange, ExchangeType::ike_auth);
  EXPECT_EQ(pair.wire.back().header().message_id, model::MessageId(2));
}

TEST_F(Intermediate, SeveralInTheOrderOfTheirTypes) {
  start(kThree, kThree);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(model::to_string(pair.a.ike_sa().suite), kThree);
  EXPECT_EQ(pair.a.exported.size(), 4U);
  EXPECT_TRUE(pair.a.logged("a key exchange by ML_KEM_512"));
  EXPECT_TRUE(pair.a.logged("a key exchange by ML_KEM_1024"));
  EXPECT_TRUE(pair.a.logged("a key exchange by ECP_256"));
  EXPECT_EQ(pair.wire.back().header().message_id, model::MessageId(4));
}

// RFC 9370 2.2.1: with NONE among the choices a peer without them is taken; without NONE it is not.
TEST_F(Intermediate, FallbackWhereItIsAllowed) {
  for (const auto& [a, b, stands] : {std::tuple{kOptional, kPlain, true},
                                     {kPlain, kOptional, true},
                                     {kOptional, kHybrid, true},
                                     {kHybrid, kOptional, true},
                                     {kHybrid, kPlain, false},
                                     {kPlain, kHybrid, false}}) {
    Pair other(5, exporting());
    auto config_a = config_of(true);
    auto config_b = config_of(false);
    config_a.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, a).value()};
    config_b.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, b).value()};
    configure(other, config_a, config_b);
    initiate(other);
    other.advance(minutes(2));
    ASSERT_EQ(in_step(other), stands) << a << " with " << b << ": "
                                      << (other.a.failures.empty() ? "" : other.a.failures.front().detail);
    if (!stands) {
      EXPECT_EQ(other.a.failures.front().kind, FailureKind::no_proposal_chosen);
      continue;
    }
    const bool both = std::string_view(a) != kPlain && std::string_view(b) != kPlain;
    EXPECT_EQ(other.a.ike_sa().suite.additional[0],
              both ? model::KeyExchangeMethod::ml_kem_768 : model::KeyExchangeMethod::none);
  }
}

// Each side repeats what is lost, by the keys that it was sent with.
TEST_F(Intermediate, UnderLoss) {
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    // Time enough for four exchanges of which every message may be lost several times.
    EndpointSettings settings = exporting();
    settings.half_open_timeout = minutes(4);
    Pair other(seed, settings);
    other.fate = bad_network(seed, 700);
    auto config_a = config_of(true);
    auto config_b = config_of(false);
    const auto suite = model::parse_proposal(model::ProtocolId::ike, seed % 2 == 0 ? kHybrid : kThree).value();
    config_a.ike_proposals = config_b.ike_proposals = {suite};
    // In fragments too.
    if (seed % 3 == 0) config_a.ike_fragment_size = config_b.ike_fragment_size = 400;
    configure(other, config_a, config_b);
    initiate(other);
    ASSERT_TRUE(other.run_until([&] { return in_step(other); }, minutes(5))) << seed;
    EXPECT_TRUE(no_leaks(other)) << seed;
  }
}

TEST_F(Intermediate, LargeOnesGoInFragments) {
  start(kHybrid, kHybrid);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  for (const Datagram& one : intermediates()) EXPECT_LE(one.message.size() + 32, 1280U);
  Pair other(3, exporting());
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_fragment_size = 500;
  a.ike_proposals = b.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, kHybrid).value()};
  configure(other, a, b);
  initiate(other);
  other.settle();
  ASSERT_TRUE(in_step(other)) << "IntAuth is over the message as it was before";
  EXPECT_TRUE(other.a.logged("the IKE_INTERMEDIATE request goes in 3 fragments of 500 octets"));
}

// RFC 9242 3.3.2: whoever has broken the key exchange and changes IKE_INTERMEDIATE is found out by AUTH.
TEST_F(Intermediate, ChangesAreFoundOutByAuth) {
  for (const bool request : {true, false}) {
    Pair other(9, exporting());
    auto a = config_of(true);
    auto b = config_of(false);
    a.ike_proposals = b.ike_proposals = {model::parse_proposal(model::ProtocolId::ike, kHybrid).value()};
    a.ike_fragmentation = model::IkeFragmentation::off;  // one datagram is one message
    bool changed = false;
    other.fate = [&](const Datagram& datagram) {
      const bool meant = datagram.header().exchange == ExchangeType::ike_intermediate && datagram.from_a == request;
      if (!meant || changed) return std::vector<Duration>{Pair::kLatency};
      return std::vector<Duration>{};
    };
    configure(other, a, b);
    initiate(other);
    other.settle();
    const auto held = std::ranges::find_if(other.wire, [&](const Datagram& one) {
      return one.header().exchange == ExchangeType::ike_intermediate && one.from_a == request;
    });
    ASSERT_NE(held, other.wire.end());
    const Bytes original = held->message;
    const KeysExported& keys = other.a.exported.front();
    const auto suite = *model::packet_suite(keys.suite.encryption, keys.suite.key_bits, keys.suite.integrity);
    auto opener = codec::MessageOpener::make(suite, (request ? keys.sk_ei : keys.sk_er).view(), {});
    SeededRandom random(1);
    auto sealer = codec::MessageSealer::make(suite, (request ? keys.sk_ei : keys.sk_er).view(), {}, random, 1000);
    codec::Message message = *opener->open(original, *codec::parse_message(original));
    message.add_notify(static_cast<NotifyType>(40000));
    changed = true;
    other.inject(request ? other.b : other.a, path_from(!request, 4500), sealer->seal(message));
    other.advance(minutes(2));
    EXPECT_TRUE(other.a.ike_sas.empty() && other.b.ike_sas.empty());
    ASSERT_FALSE(other.b.failures.empty());
    EXPECT_EQ(other.b.failures.front().kind, FailureKind::authentication_failed);
  }
}

// RFC 9242 5, RFC 9370 2.2.2: exactly as many as were agreed on, and IKE_AUTH not before.
TEST_F(Intermediate, NeitherMoreNorFewer) {
  start(kHybrid, kHybrid);
  no_further_than_init();
  ASSERT_EQ(pair.a.exported.size(), 1U);
  const auto at_b = path_from(false, 4500);
  pair.inject(pair.b, at_b, forger().request(ExchangeType::ike_auth, {}));
  EXPECT_EQ(dropped(pair.b, DatagramDrop::unexpected), 1U) << "not yet";
  // RFC 9370 2.2.2: another method than the one that was agreed on.
  const std::size_t before = pair.wire.size();
  const codec::KePayload other{.method = model::KeyExchangeMethod::ml_kem_512, .public_value = Bytes(800, 1)};
  pair.inject(pair.b, at_b, forger().request(ExchangeType::ike_intermediate, {other}));
  EXPECT_EQ(pair.wire.size(), before + 1) << "INVALID_SYNTAX";
  ASSERT_FALSE(pair.b.failures.empty());
  EXPECT_EQ(pair.b.failures.front().kind, FailureKind::protocol_error);
}

TEST_F(Intermediate, NoneWhereNoneWasAgreedOn) {
  start(kPlain, kPlain);
  no_further_than_init();
  const codec::KePayload unasked{.method = model::KeyExchangeMethod::curve25519, .public_value = Bytes(32, 9)};
  pair.inject(pair.b, path_from(false, 4500), forger().request(ExchangeType::ike_intermediate, {unasked}));
  EXPECT_EQ(dropped(pair.b, DatagramDrop::unexpected), 1U);
}

// While one is being computed nothing else is taken, whatever its number.
TEST_F(Intermediate, OneAfterTheOther) {
  pair.b.postpones = [](const Request& request) {
    const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
    return exchange != nullptr && exchange->method == crypto::KeyExchangeId::ml_kem_512;
  };
  start(kThree, kThree);
  pair.settle();
  ASSERT_EQ(pair.b.postponed.size(), 1U);
  for (const ExchangeType exchange : {ExchangeType::ike_intermediate, ExchangeType::ike_auth}) {
    const std::size_t before = pair.wire.size();
    pair.inject(pair.b, path_from(false, 4500), forger(2).request(exchange, {}));
    EXPECT_EQ(pair.wire.size(), before);
  }
  EXPECT_EQ(dropped(pair.b, DatagramDrop::old_message_id), 1U) << "out of the window till the one before is answered";
  EXPECT_EQ(dropped(pair.b, DatagramDrop::unexpected), 1U);
  pair.answer_postponed(pair.b);
  pair.settle();
  EXPECT_TRUE(in_step(pair));
}

// ---- without any setting

// RFC 9370 2.2.1: ML-KEM beside the first key exchange; the public value goes where fragments can, not into
// IKE_SA_INIT.
TEST_F(Intermediate, IsTheFirstOffer) {
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_proposals = b.ike_proposals = model::default_ike_proposals();
  configure(pair, std::move(a), std::move(b));
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(model::to_string(pair.a.ike_sa().suite), "aes256gcm16-prfsha256-x25519-ke1_mlkem768");
  EXPECT_EQ(pair.wire.front().header().exchange, ExchangeType::ike_sa_init);
  EXPECT_LT(pair.wire.front().message.size(), 640U);
}

TEST_F(Intermediate, PeersWithoutItAreTaken) {
  for (const bool begins : {true, false}) {
    Pair other(11);
    auto a = config_of(true);
    auto b = config_of(false);
    (begins ? a : b).ike_proposals = model::default_ike_proposals();
    (begins ? b : a).ike_proposals = {model::parse_proposal(model::ProtocolId::ike, kPlain).value()};
    configure(other, std::move(a), std::move(b));
    initiate(other);
    other.settle();
    ASSERT_TRUE(in_step(other)) << begins;
    EXPECT_EQ(model::to_string(other.a.ike_sa().suite), kPlain);
    EXPECT_EQ(other.wire.size(), 4U) << "without a further message";
  }
}

// RFC 7296 2.15: AUTH is over the first message as it was sent: whoever takes the better offer out of it is found out
// by the other side's check, before there is a tunnel.
TEST_F(Intermediate, AStrippedOfferIsFoundOutByAuth) {
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_proposals = b.ike_proposals = model::default_ike_proposals();
  pair.fate = [](const Datagram& datagram) {
    const bool init = datagram.header().exchange == ExchangeType::ike_sa_init && !datagram.header().response;
    return init ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  configure(pair, std::move(a), std::move(b));
  initiate(pair);
  const Bytes sent = pair.wire.front().message;
  const auto parsed = codec::parse_message(sent);
  ASSERT_TRUE(parsed);
  codec::Message stripped{.header = parsed->header, .payloads = {}};
  for (codec::Payload payload : parsed->payloads) {
    if (auto* offer = std::get_if<codec::SaPayload>(&payload)) {
      std::erase_if(offer->proposals, [](const auto& one) { return model::has_additional_key_exchanges({one}); });
      ASSERT_FALSE(offer->proposals.empty());
    }
    const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
    if (notify != nullptr && notify->type == NotifyType::intermediate_exchange_supported) continue;
    stripped.add(std::move(payload));
  }
  ASSERT_EQ(codec::serialize(codec::Message{.header = parsed->header, .payloads = parsed->payloads}), sent);
  pair.inject(pair.b, path_from(false), codec::serialize(stripped));
  pair.settle();
  EXPECT_TRUE(pair.a.logged("IKE_AUTH")) << "what was chosen is among what was offered";
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  ASSERT_FALSE(pair.b.failures.empty());
  EXPECT_EQ(pair.b.failures.front().kind, FailureKind::authentication_failed);
  ASSERT_FALSE(pair.a.failures.empty());
  EXPECT_EQ(pair.a.failures.front().kind, FailureKind::authentication_failed);
}

// RFC 7296 2.21.1: an error that proves nothing brings no weaker offer about: whoever forges it gains nothing.
TEST_F(Intermediate, NoWeakerOfferAfterAForgedRefusal) {
  auto a = config_of(true);
  a.ike_proposals = model::default_ike_proposals();
  auto b = config_of(false);
  b.ike_proposals = a.ike_proposals;
  pair.fate = [](const Datagram& datagram) {
    return datagram.from_a ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  configure(pair, std::move(a), std::move(b));
  initiate(pair);
  const Bytes first = pair.wire.front().message;
  codec::Message refusal;
  refusal.header = *codec::parse_header(first);
  refusal.header.initiator = false;
  refusal.header.response = true;
  refusal.add_notify(NotifyType::no_proposal_chosen);
  pair.inject(pair.a, path_from(true), codec::serialize(refusal));
  pair.advance(seconds(3));
  ASSERT_GT(pair.wire.size(), 1U) << "sent again";
  for (const Datagram& one : pair.wire) EXPECT_EQ(one.message, first);
}

}  // namespace
}  // namespace culvert::ike::v2
