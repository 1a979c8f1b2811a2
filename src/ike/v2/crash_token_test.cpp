// Quick crash detection (RFC 6290): a peer that was started anew proves it, and nobody else can.
#include "ike/v2/crash_token.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/secrets.hpp"
#include "ike/v2/life_core.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::NotifyType;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::shared_ptr<const EndpointSecrets> secrets_of(std::string_view text) {
  auto secrets = std::make_shared<EndpointSecrets>();
  secrets->crash_tokens = SecretBytes::copy_of(as_bytes(text));
  return secrets;
}

class CrashTokenTest : public ::testing::Test {
 protected:
  void give_secrets(Host& who) {
    pair->command(who, UseSecrets{secrets_of(&who == &pair->a ? "alice's 32 octets" : "bob's 32 octets")});
  }
  void start(bool a_detects = true, bool b_detects = true) {
    auto config_a = config_of(true);
    auto config_b = config_of(false);
    config_a.life.crash_detection = a_detects;
    config_b.life.crash_detection = b_detects;
    for (Host* one : {&pair->a, &pair->b}) give_secrets(*one);
    configure(*pair, std::move(config_a), std::move(config_b));
    initiate(*pair);
    pair->settle();
    ASSERT_TRUE(in_step(*pair));
  }
  /// The host ends without a word and is there again with its configuration and its secrets.
  void crash(Host& who, bool with_secret = true) {
    const bool first = &who == &pair->a;
    who.restart();
    for (const model::Spi spi : std::set(who.allocator().in_use)) who.allocator().release(spi);
    if (with_secret) give_secrets(who);
    pair->command(who, ConfigureConnection{config_of(first)});
  }
  /// The last message from b, taken apart.
  [[nodiscard]] codec::ParsedMessage last_of_b() const {
    const auto found =
        std::ranges::find_if(pair->wire.rbegin(), pair->wire.rend(), [](const Datagram& one) { return !one.from_a; });
    return *codec::parse_message(found->message);
  }
  [[nodiscard]] static std::vector<Bytes> tokens_in(const codec::ParsedMessage& message) {
    std::vector<Bytes> tokens;
    for (const codec::Payload& payload : message.payloads) {
      const auto* notify = std::get_if<codec::NotifyPayload>(&payload);
      if (notify != nullptr && notify->type == NotifyType::quick_crash_detection) tokens.push_back(notify->data);
    }
    return tokens;
  }
  /// The tokens in what b answers to a sealed request of some length, which nobody can open.
  [[nodiscard]] std::vector<Bytes> tokens_for(model::IkeSpi spi_i, model::IkeSpi spi_r, bool initiator) {
    pair->wire.clear();
    Bytes request(120, 0);
    store_be64(request.data(), spi_i.value());
    store_be64(request.data() + 8, spi_r.value());
    request[16] = 46;  // Encrypted
    request[17] = 0x20;
    request[18] = 37;
    request[19] = initiator ? 0x08 : 0;
    store_be32(request.data() + 20, 2);
    store_be32(request.data() + 24, 120);
    store_be16(request.data() + 30, 92);
    pair->inject(pair->b, path_from(false), request);
    std::vector<Bytes> tokens;
    for (const Datagram& one : pair->wire) {
      const auto parsed = codec::parse_message(one.message);
      CHECK(parsed.has_value());
      for (Bytes& token : tokens_in(*parsed)) tokens.push_back(std::move(token));
    }
    return tokens;
  }
  /// A message in clear to a, as if from b: INVALID_IKE_SPI and these tokens.
  void show(const std::vector<Bytes>& tokens, const net::Path& path = path_from(true)) {
    codec::Message message;
    message.header.spi_i = pair->a.ike_sa().spi_i;
    message.header.spi_r = pair->a.ike_sa().spi_r;
    message.header.exchange = model::ExchangeType::informational;
    message.header.message_id = model::MessageId(1);
    message.header.response = true;
    message.add_notify(NotifyType::invalid_ike_spi);
    for (const Bytes& token : tokens)
      message.add(codec::NotifyPayload{
          .protocol = model::ProtocolId::ike, .spi = {}, .type = NotifyType::quick_crash_detection, .data = token});
    pair->inject(pair->a, path, codec::serialize(message));
  }
  [[nodiscard]] std::uint64_t refused(Host& who) const {
    return who.endpoint().counters().dropped[static_cast<std::size_t>(DatagramDrop::bad_crash_token)];
  }

  std::unique_ptr<Pair> pair = std::make_unique<Pair>();
};

// RFC 6290 3, 4.5: one request into the void, one answer, and the IKE SA is gone at the other end.
TEST_F(CrashTokenTest, APeerThatWasStartedAnewIsNoticedAtOnce) {  // RFC 6290 3: without a word to the peer
  for (const bool responder_dies : {true, false}) {
    pair = std::make_unique<Pair>(5);
    start();
    Host& dead = pair->host(!responder_dies);
    Host& left = pair->host(responder_dies);
    crash(dead);
    pair->command(left, CheckLiveness{left.ike_sa().ike_sa});
    pair->settle();
    EXPECT_TRUE(left.ike_sas.empty() && left.children.empty());
    ASSERT_FALSE(left.closed.empty());
    EXPECT_EQ(left.closed[0].reason, CloseReason::peer_restarted);
    EXPECT_TRUE(no_leaks(*pair));
    initiate(*pair, responder_dies);
    pair->settle();
    EXPECT_TRUE(in_step(*pair));
  }
}

// RFC 7296 1.5 and RFC 6290 8.2: ESP of ours is what reaches it first.
TEST_F(CrashTokenTest, EspThatNobodyKnowsLeadsToIt) {
  start();
  const model::Spi spi = pair->a.child().spi_outbound;
  crash(pair->b);
  pair->command(pair->b, UnknownEspSpi{.path = path_from(false), .spi = spi});
  pair->settle();
  EXPECT_TRUE(pair->a.ike_sas.empty());
}

TEST_F(CrashTokenTest, WithoutTheSecretItTakesLonger) {
  start();
  crash(pair->b, false);
  pair->command(pair->a, CheckLiveness{pair->a.ike_sa().ike_sa});
  pair->settle();
  EXPECT_EQ(pair->a.ike_sas.size(), 1u) << "INVALID_IKE_SPI alone proves nothing";
  pair->advance(seconds(10));
  EXPECT_TRUE(pair->a.ike_sas.empty());
  EXPECT_EQ(pair->a.closed[0].reason, CloseReason::peer_dead);
}

TEST_F(CrashTokenTest, IsOffWhereOneOfThemDoesNotWantIt) {
  for (const bool taker_wants : {true, false}) {
    pair = std::make_unique<Pair>(5);
    start(taker_wants, !taker_wants);
    crash(pair->b);
    pair->command(pair->a, CheckLiveness{pair->a.ike_sa().ike_sa});
    pair->settle();
    EXPECT_EQ(pair->a.ike_sas.size(), 1u);
  }
}

// RFC 6290 4.3: a rekey changes the SPIs, and so the token; whoever has begun it.
TEST_F(CrashTokenTest, ARekeyedIkeSaHasATokenOfItsOwn) {
  for (const bool by_a : {true, false}) {
    for (const bool b_dies : {true, false}) {
      pair = std::make_unique<Pair>(9);
      start();
      Host& who = pair->host(by_a);
      pair->command(who, RekeyIkeSa{who.ike_sa().ike_sa});
      pair->settle();
      ASSERT_TRUE(in_step(*pair));
      Host& left = pair->host(b_dies);
      crash(pair->host(!b_dies));
      pair->command(left, CheckLiveness{left.ike_sa().ike_sa});
      pair->settle();
      EXPECT_TRUE(left.ike_sas.empty()) << by_a << b_dies;
    }
  }
}

// RFC 6290 4.5: four tokens are looked at; one of them must be right, be it from another address (3).
TEST_F(CrashTokenTest, OneOfFourTokensIsEnough) {
  start();
  const model::IkeSaId id = pair->a.ike_sa().ike_sa;
  crash(pair->b);
  pair->fate = [](const Datagram& one) {
    return one.from_a ? std::vector<Duration>{Pair::kLatency} : std::vector<Duration>{};
  };
  pair->command(pair->a, CheckLiveness{id});
  pair->settle();
  const auto shown = tokens_in(last_of_b());
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_GE(shown[0].size(), 16u);
  const Bytes wrong(16, 0x55);
  show({wrong, wrong, wrong, wrong, shown[0]});
  EXPECT_EQ(pair->a.ike_sas.size(), 1u) << "a fifth is not looked at";
  show({wrong});
  show({Bytes(shown[0].begin(), shown[0].begin() + 15)});
  show({Bytes(129, 0)});
  EXPECT_EQ(pair->a.ike_sas.size(), 1u);
  EXPECT_EQ(refused(pair->a), 2u);
  show({wrong, wrong, wrong, shown[0]}, {{address_of(true), 4500}, {*net::IpAddress::parse("198.51.100.9"), 4500}});
  EXPECT_TRUE(pair->a.ike_sas.empty());
}

// RFC 6290 8.2: a peer that knows which IKE SA an ESP SPI belonged to shows the token along with INVALID_SPI.
TEST_F(CrashTokenTest, ATokenMayComeWithInvalidSpi) {
  for (const bool right : {false, true}) {
    pair = std::make_unique<Pair>(21);
    start();
    SeededRandom random(1);
    TestSpiAllocator spis(1);
    Core bob({}, random, spis);
    bob.life->secrets = secrets_of("bob's 32 octets");
    Bytes token = crash_token(bob, pair->a.ike_sa().spi_i, pair->a.ike_sa().spi_r);
    if (!right) token[0] ^= 1;
    ByteWriter spi;
    spi.u32(pair->a.child().spi_outbound.value());
    codec::Message message;
    message.header.spi_i = model::IkeSpi(0x77);
    message.header.exchange = model::ExchangeType::informational;
    message.header.initiator = true;
    message.add_notify(NotifyType::invalid_spi, spi.view());
    message.add(codec::NotifyPayload{
        .protocol = model::ProtocolId::ike, .spi = {}, .type = NotifyType::quick_crash_detection, .data = token});
    pair->inject(pair->a, path_from(true), codec::serialize(message));
    EXPECT_EQ(pair->a.ike_sas.empty(), right);
    EXPECT_EQ(refused(pair->a), right ? 0u : 1u);
  }
}

// RFC 6290 8.1: guesses are looked at, at a bounded rate only.
TEST_F(CrashTokenTest, GuessesAreBounded) {
  start();
  for (std::uint32_t guess = 0; guess < 500; ++guess) {
    Bytes token(16);
    store_be32(token.data(), guess);
    show({token});
  }
  EXPECT_EQ(pair->a.ike_sas.size(), 1u);
  EXPECT_LE(refused(pair->a), 60u);
}

// RFC 6290 9.2: no token of an IKE SA that stands, however one asks for it.
TEST_F(CrashTokenTest, NobodyIsShownTheTokenOfALivingIkeSa) {
  start();
  const auto& ours = pair->b.ike_sa();
  struct Case {
    model::IkeSpi spi_i, spi_r;
    bool initiator;
  };
  const model::IkeSpi strange(0x1234567890);
  for (const auto& [spi_i, spi_r, initiator] :
       {Case{ours.spi_i, ours.spi_r, false}, Case{ours.spi_r, ours.spi_i, true}, Case{ours.spi_r, ours.spi_i, false},
        Case{strange, ours.spi_r, true}, Case{strange, ours.spi_r, false}, Case{ours.spi_i, ours.spi_r, true}}) {
    EXPECT_TRUE(tokens_for(spi_i, spi_r, initiator).empty());
  }
  ASSERT_TRUE(in_step(*pair));
}

// Nor of one that the peer has already, and we are about to have: its first message may be here before our key
// exchange is computed.
TEST_F(CrashTokenTest, NobodyIsShownTheTokenOfAComingIkeSa) {
  for (const char* suite : {"aes256gcm16-prfsha256-x25519", "aes256gcm16-prfsha256-x25519-ke1_mlkem512"}) {
    pair = std::make_unique<Pair>(9);
    auto configs = std::pair(config_of(true), config_of(false));
    for (auto* config : {&configs.first, &configs.second})
      config->ike_proposals = {*model::parse_proposal(model::ProtocolId::ike, suite)};
    for (Host* one : {&pair->a, &pair->b}) give_secrets(*one);
    configure(*pair, std::move(configs.first), std::move(configs.second));
    initiate(*pair);
    pair->settle();
    ASSERT_TRUE(in_step(*pair));
    const model::IkeSaId old = pair->a.ike_sa().ike_sa;
    const bool last = suite == std::string_view("aes256gcm16-prfsha256-x25519");
    pair->b.postpones = [&](const Request& request) {
      const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
      return exchange != nullptr && exchange->peer_value &&
             (last || exchange->method == crypto::KeyExchangeId::ml_kem_512);
    };
    pair->command(pair->b, RekeyIkeSa{pair->b.ike_sa().ike_sa});
    pair->settle();
    ASSERT_EQ(pair->b.postponed.size(), 1U) << suite;
    for (const auto& [id, sa] : pair->a.ike_sas) {
      if (id == old) continue;
      EXPECT_TRUE(tokens_for(sa.spi_i, sa.spi_r, false).empty()) << suite;
    }
    pair->b.postpones = {};
    pair->answer_postponed(pair->b);
    pair->settle();
    ASSERT_TRUE(in_step(*pair)) << suite;
    EXPECT_TRUE(pair->a.closed.empty() || pair->a.closed.front().reason == CloseReason::rekeyed) << suite;
  }
}

// The answer in clear is never longer than the request, whose source may be forged.
TEST_F(CrashTokenTest, TheAnswerAmplifiesNothing) {
  start();
  crash(pair->b);
  pair->wire.clear();
  pair->command(pair->a, CheckLiveness{pair->a.ike_sa().ike_sa});
  pair->settle();
  ASSERT_GE(pair->wire.size(), 2u);
  EXPECT_EQ(tokens_in(*codec::parse_message(pair->wire[1].message)).size(), 1u);
  EXPECT_LE(pair->wire[1].message.size(), pair->wire[0].message.size());
}

// RFC 6290 5: the same again from the same secret and SPIs, and from nothing else.
TEST_F(CrashTokenTest, TokensDifferBySecretAndSpis) {
  using model::IkeSpi;
  SeededRandom random(1);
  TestSpiAllocator spis(1);
  Core core({}, random, spis);
  EXPECT_TRUE(crash_token(core, IkeSpi(1), IkeSpi(2)).empty());
  core.life->secrets = secrets_of("one secret");
  const Bytes token = crash_token(core, IkeSpi(1), IkeSpi(2));
  EXPECT_EQ(token.size(), 16u);
  EXPECT_EQ(crash_token(core, IkeSpi(1), IkeSpi(2)), token);
  EXPECT_NE(crash_token(core, IkeSpi(2), IkeSpi(1)), token);
  EXPECT_NE(crash_token(core, IkeSpi(1), IkeSpi(3)), token);
  core.life->secrets = secrets_of("another");
  EXPECT_NE(crash_token(core, IkeSpi(1), IkeSpi(2)), token);
}

}  // namespace
}  // namespace culvert::ike::v2
