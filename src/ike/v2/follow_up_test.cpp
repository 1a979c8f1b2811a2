// Additional key exchanges behind CREATE_CHILD_SA, in IKE_FOLLOWUP_KE (RFC 9370 2.2.4): rekeys and new pairs by either
// side, collisions in their orders, and what is lost. What a peer may try is in follow_up_forgery_test.
#include "ike/v2/follow_up.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include <gtest/gtest.h>

#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::KeyExchangeMethod;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kIke = "aes256gcm16-prfsha256-x25519-ke1_mlkem512";
constexpr const char* kIkeTwo = "aes256gcm16-prfsha256-x25519-ke1_mlkem768-ke2_ecp256";
constexpr const char* kIkePlain = "aes256gcm16-prfsha256-x25519";
constexpr const char* kEsp = "aes128gcm16-x25519-ke1_mlkem512-ke2_ecp384-esn";
constexpr const char* kEspPlain = "aes128gcm16-x25519-esn";
constexpr const char* kEspOptional = "aes128gcm16-x25519-ke1_mlkem512-ke1_none-ke2_ecp384-ke2_none-esn";

model::Proposal parsed(model::ProtocolId protocol, std::string_view text) {
  auto made = model::parse_proposal(protocol, text);
  EXPECT_TRUE(made) << made.error();
  return std::move(*made);
}
model::Proposal ike(std::string_view text) { return parsed(model::ProtocolId::ike, text); }
model::Proposal esp(std::string_view text) { return parsed(model::ProtocolId::esp, text); }

struct Suites {
  std::vector<model::Proposal> ike_a{ike(kIke)};
  std::vector<model::Proposal> ike_b{ike(kIke)};
  std::vector<model::Proposal> esp_a{esp(kEsp)};
  std::vector<model::Proposal> esp_b{esp(kEsp)};
};

void start(Pair& pair, const Suites& suites = {}) {
  auto a = config_of(true);
  auto b = config_of(false);
  a.ike_proposals = suites.ike_a;
  b.ike_proposals = suites.ike_b;
  a.esp_proposals = suites.esp_a;
  b.esp_proposals = suites.esp_b;
  configure(pair, std::move(a), std::move(b));
  initiate(pair);
  pair.settle();
}

std::size_t count(const Pair& pair, ExchangeType exchange, bool response) {
  return static_cast<std::size_t>(std::ranges::count_if(pair.wire, [&](const Datagram& one) {
    return one.header().exchange == exchange && one.header().response == response;
  }));
}

std::vector<Duration> lost() { return {}; }
std::vector<Duration> usual() { return {Pair::kLatency}; }

class FollowUps : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    start(pair);
    ASSERT_TRUE(in_step(pair)) << (pair.a.failures.empty() ? "" : pair.a.failures.front().detail);
    pair.wire.clear();
  }
  Host& one() { return pair.host(GetParam()); }
  Host& other() { return pair.host(!GetParam()); }
  void rekey_child(Host& host) { pair.command(host, RekeyChildSa{host.children.begin()->first}); }
  void rekey_ike(Host& host) { pair.command(host, RekeyIkeSa{host.ike_sa().ike_sa}); }
  [[nodiscard]] bool quiet(Duration limit = minutes(2)) {
    pair.settle();
    return pair.run_until([&] { return in_step(pair); }, limit);
  }
  /// Loses messages of the kind, `times` of them, sent by the host.
  void lose(const Host& from, ExchangeType exchange, bool response, int times = 1) {
    pair.fate = [from_a = &from == &pair.a, exchange, response, left = times](const Datagram& d) mutable {
      const bool meant = d.from_a == from_a && d.header().exchange == exchange && d.header().response == response;
      return meant && left-- > 0 ? lost() : usual();
    };
  }
  void expect_all_kept() {
    EXPECT_TRUE(no_leaks(pair));
    EXPECT_TRUE(pair.a.failures.empty()) << pair.a.failures.front().detail;
    EXPECT_TRUE(pair.b.failures.empty()) << pair.b.failures.front().detail;
    pair.advance(minutes(2));
    EXPECT_TRUE(in_step(pair)) << "and it stays so";
    EXPECT_TRUE(no_leaks(pair));
  }

  Pair pair;
};
INSTANTIATE_TEST_SUITE_P(By, FollowUps, ::testing::Values(true, false),
                         [](const auto& by) { return by.param ? "a" : "b"; });

TEST_P(FollowUps, AChildSaIsRekeyed) {  // RFC 9370 2.2.4
  rekey_child(one());
  pair.settle();
  ASSERT_TRUE(in_step(pair)) << "the same keys on both sides";
  EXPECT_EQ(model::to_string(one().child().suite), "aes128gcm16-esn-x25519-ke1_mlkem512-ke2_ecp384");
  EXPECT_EQ(other().child().suite, one().child().suite);
  EXPECT_EQ(count(pair, ExchangeType::ike_followup_ke, false), 2U);
  EXPECT_EQ(count(pair, ExchangeType::ike_followup_ke, true), 2U);
  EXPECT_EQ(one().children_made, 2U);
  EXPECT_EQ(one().removed.front().reason, CloseReason::rekeyed);
  EXPECT_EQ(other().removed.front().reason, CloseReason::rekeyed);
  expect_all_kept();
}

TEST_P(FollowUps, TheIkeSaIsRekeyed) {  // RFC 9370 2.2.4
  for (int round = 0; round < 3; ++round) {
    Host& who = round % 2 == 0 ? one() : other();
    const auto before = who.ike_sa().ike_sa;
    rekey_ike(who);
    pair.settle();
    ASSERT_TRUE(in_step(pair)) << round;
    EXPECT_EQ(who.ike_sa().replaces, before);
    EXPECT_EQ(model::to_string(who.ike_sa().suite), kIke);
  }
  EXPECT_EQ(count(pair, ExchangeType::ike_followup_ke, false), 3U);
  // The keys are the same: what follows on the last one is understood.
  rekey_child(other());
  pair.settle();
  EXPECT_TRUE(in_step(pair));
  expect_all_kept();
}

// The secrets of the additional key exchanges are in the keys: with another secret they are others.
TEST(FollowUpKeys, AreOfAllSecrets) {  // RFC 9370 2.2.4
  const Bytes sk_d(32, 1);
  const Bytes shared(32, 2);
  const Bytes nonce_i(32, 3);
  const Bytes nonce_r(32, 4);
  const Bytes further(64, 5);
  const crypto::Prf prf = crypto::HashId::sha2_256;
  // SKEYSEED = prf(SK_d, SK(0) | Ni | Nr | SK(1) | ... SK(n))
  const SecretBytes plain = prf(sk_d, {concat({shared, nonce_i, nonce_r, further})});
  EXPECT_TRUE(equal(skeyseed_rekey(prf, sk_d, shared, nonce_i, nonce_r, further).view(), plain.view()));
  EXPECT_FALSE(equal(skeyseed_rekey(prf, sk_d, shared, nonce_i, nonce_r).view(), plain.view()));
  // KEYMAT = prf+(SK_d, SK(0) | Ni | Nr | SK(1) | ... SK(n))
  const auto suite = *model::packet_suite(model::EncryptionId::aes_gcm_16, 256, model::IntegrityId::none);
  const ChildKeys keys = derive_child_keys(prf, suite, sk_d, shared, nonce_i, nonce_r, model::Role::responder, further);
  const SecretBytes material = prf_plus(prf, sk_d, {shared, nonce_i, nonce_r, further}, 72);
  EXPECT_TRUE(equal(keys.inbound.encryption.view(), material.view().first(36)));
  EXPECT_TRUE(equal(keys.outbound.encryption.view(), material.view().subspan(36)));
}

TEST_P(FollowUps, ThePeerHasNone) {  // RFC 9370 2.2.1: NONE among the choices
  for (const bool theirs : {true, false}) {
    Pair mixed(4);
    Suites suites;
    (theirs ? suites.ike_a : suites.ike_b).push_back(ike(kIkePlain));
    (theirs ? suites.ike_b : suites.ike_a).front() = ike(kIkePlain);
    (theirs ? suites.esp_a : suites.esp_b).front() = esp(kEspOptional);
    (theirs ? suites.esp_b : suites.esp_a).front() = esp(kEspPlain);
    start(mixed, suites);
    ASSERT_TRUE(in_step(mixed));
    Host& who = mixed.host(GetParam());
    mixed.command(who, RekeyChildSa{who.child().id});
    mixed.settle();
    mixed.command(who, RekeyIkeSa{who.ike_sa().ike_sa});
    mixed.settle();
    ASSERT_TRUE(in_step(mixed));
    EXPECT_EQ(mixed.a.children_made, 2U);
    EXPECT_EQ(mixed.a.closed.size(), 1U);
    EXPECT_EQ(count(mixed, ExchangeType::ike_followup_ke, false), 0U);
    EXPECT_EQ(who.child().suite.key_exchange, KeyExchangeMethod::curve25519);
    EXPECT_TRUE(mixed.a.failures.empty() && mixed.b.failures.empty());
  }
}

TEST_P(FollowUps, ANewChildSa) {  // RFC 9370 2.2.4, "creating additional Child SAs"
  pair.command(one(), DeleteChildSa{one().child().id});
  pair.settle();
  ASSERT_TRUE(one().children.empty());
  ChildWish wish{.local = GetParam() ? subnet("10.1.0.0/16") : subnet("10.2.0.0/16"),
                 .remote = GetParam() ? subnet("10.2.0.0/16") : subnet("10.1.0.0/16"),
                 .packet = {.source = *net::IpAddress::parse(GetParam() ? "10.1.0.5" : "10.2.0.5"),
                            .destination = *net::IpAddress::parse(GetParam() ? "10.2.0.5" : "10.1.0.5")}};
  pair.command(one(), CreateChildSa{.connection = kConnection, .wish = wish});
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(count(pair, ExchangeType::ike_followup_ke, false), 2U);
  expect_all_kept();
}

// Each message of the series is lost, in turn; and each comes twice.
TEST_P(FollowUps, LossAndDuplication) {  // RFC 7296 2.1
  for (const bool whole : {true, false}) {
    for (const bool response : {true, false}) {
      for (const ExchangeType exchange : {ExchangeType::create_child_sa, ExchangeType::ike_followup_ke}) {
        lose(response ? other() : one(), exchange, response, 2);
        whole ? rekey_ike(one()) : rekey_child(one());
        ASSERT_TRUE(pair.run_until([&] { return (whole ? one().closed : std::vector<IkeSaClosed>(1)).size() > 0; }));
        pair.advance(seconds(10));
        ASSERT_TRUE(in_step(pair));
      }
    }
    pair.fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency, Pair::kLatency * 3}; };
    whole ? rekey_ike(one()) : rekey_child(one());
    pair.advance(seconds(10));
    ASSERT_TRUE(in_step(pair));
  }
  EXPECT_EQ(one().children_made, 1U + 5);
  EXPECT_EQ(one().closed.size(), 5U);
  expect_all_kept();
}

TEST_P(FollowUps, UnderHeavyLoss) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Pair lossy(seed);
    auto dice = std::make_shared<SeededRandom>(seed);
    Suites suites;
    if (seed % 2 == 0) suites.ike_a = suites.ike_b = {ike(kIkeTwo)};
    start(lossy, suites);
    ASSERT_TRUE(in_step(lossy)) << seed;
    lossy.fate = [dice](const Datagram&) {
      std::vector<Duration> copies;
      for (int copy = 0; copy < 2; ++copy) {
        if (dice->below(100) < (copy == 0 ? 75U : 20U)) copies.emplace_back(milliseconds(5 + dice->below(700)));
      }
      return copies;
    };
    Host& mine = lossy.host(GetParam());
    for (int round = 0; round < 4; ++round) {
      const std::size_t closed = mine.closed.size();
      const std::size_t made = mine.children_made;
      if (round % 2 == 0) {
        lossy.command(mine, RekeyIkeSa{mine.ike_sa().ike_sa});
      } else {
        lossy.command(mine, RekeyChildSa{mine.children.begin()->first});
      }
      ASSERT_TRUE(lossy.run_until(
          [&] { return in_step(lossy) && (round % 2 == 0 ? mine.closed.size() > closed : mine.children_made > made); },
          minutes(6)))
          << seed << " " << round;
    }
    EXPECT_TRUE(no_leaks(lossy)) << seed;
  }
}

// ---- both sides at once

TEST_P(FollowUps, BothRekeyTheChildSa) {  // RFC 9370 2.2.4: whose exchange has the lowest nonce stops
  std::array<unsigned, 2> won{};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair crossing(seed);
    start(crossing);
    crossing.wire.clear();
    for (const bool first : {GetParam(), !GetParam()})
      crossing.command(crossing.host(first), RekeyChildSa{crossing.host(first).children.begin()->first});
    crossing.settle();
    ASSERT_TRUE(in_step(crossing)) << seed;
    EXPECT_EQ(crossing.a.children_made, 2U) << "one pair, not two of which one is deleted";
    EXPECT_EQ(count(crossing, ExchangeType::create_child_sa, false), 2U);
    EXPECT_EQ(count(crossing, ExchangeType::ike_followup_ke, false), 2U);
    const auto first = std::ranges::find_if(
        crossing.wire, [](const Datagram& one) { return one.header().exchange == ExchangeType::ike_followup_ke; });
    ++won[first->from_a ? 0 : 1];
    EXPECT_TRUE(no_leaks(crossing));
    EXPECT_TRUE(crossing.a.failures.empty() && crossing.b.failures.empty());
    crossing.advance(minutes(2));
    EXPECT_TRUE(in_step(crossing));
    EXPECT_EQ(crossing.a.children_made, 2U) << "the other's is not due any more";
  }
  EXPECT_GT(won[0], 0U);
  EXPECT_GT(won[1], 0U);
}

TEST_P(FollowUps, BothRekeyTheIkeSa) {  // RFC 9370 2.2.4
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair crossing(seed);
    start(crossing);
    crossing.wire.clear();
    for (const bool first : {GetParam(), !GetParam()})
      crossing.command(crossing.host(first), RekeyIkeSa{crossing.host(first).ike_sa().ike_sa});
    crossing.settle();
    ASSERT_TRUE(in_step(crossing)) << seed;
    EXPECT_EQ(crossing.a.closed.size(), 1U);
    EXPECT_EQ(count(crossing, ExchangeType::ike_followup_ke, false), 1U);
    EXPECT_TRUE(crossing.a.failures.empty() && crossing.b.failures.empty());
    crossing.advance(minutes(10));
    EXPECT_TRUE(in_step(crossing)) << seed;
    EXPECT_EQ(crossing.a.closed.size(), 1U);
  }
}

// RFC 9370 2.2.4: a request that is late meets a series that is under way: TEMPORARY_FAILURE.
TEST_P(FollowUps, BothRekeyAndOneRequestIsLate) {
  for (const bool whole : {true, false}) {
    lose(one(), ExchangeType::create_child_sa, false);
    // The other's series lasts until the late request has come again.
    other().postpones = [](const Request& request) {
      const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
      return exchange != nullptr && exchange->method == crypto::KeyExchangeId::ml_kem_512;
    };
    const std::size_t made = one().children_made;
    for (Host* who : {&one(), &other()}) whole ? rekey_ike(*who) : rekey_child(*who);
    pair.advance(seconds(2));
    ASSERT_FALSE(other().postponed.empty());
    EXPECT_EQ(one().children_made, made);
    other().postpones = {};
    while (!other().postponed.empty()) pair.answer_postponed(other());
    ASSERT_TRUE(quiet());
    pair.advance(minutes(1));
    EXPECT_EQ(one().children_made, made + (whole ? 0U : 1U));
  }
  EXPECT_EQ(one().closed.size(), 1U);
  expect_all_kept();
}

// One of the two rekeys has additional key exchanges, the other has none: by which side, and who wins.
TEST_P(FollowUps, BothRekeyAndOneHasNone) {
  for (const bool whole : {true, false}) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      Pair crossing(seed);
      Suites suites;
      // Whoever offers decides here: each takes both.
      suites.ike_a = suites.ike_b = {ike(kIke), ike(kIkePlain)};
      suites.esp_a = suites.esp_b = {esp(kEsp), esp(kEspPlain)};
      start(crossing, suites);
      ASSERT_TRUE(in_step(crossing));
      Host& plain = crossing.host(GetParam());
      Host& hybrid = crossing.host(!GetParam());
      auto config = config_of(GetParam());
      config.ike_proposals = {ike(kIkePlain)};
      config.esp_proposals = {esp(kEspPlain)};
      if (whole) {
        crossing.command(hybrid, RekeyIkeSa{hybrid.ike_sa().ike_sa});
      } else {
        crossing.command(hybrid, RekeyChildSa{hybrid.children.begin()->first});
      }
      // This one offers none in its own request, and takes them in the other's.
      auto both = config_of(GetParam());
      both.ike_proposals = suites.ike_a;
      both.esp_proposals = suites.esp_a;
      crossing.command(plain, ConfigureConnection{config});
      if (whole) {
        crossing.command(plain, RekeyIkeSa{plain.ike_sa().ike_sa});
      } else {
        crossing.command(plain, RekeyChildSa{plain.children.begin()->first});
      }
      crossing.command(plain, ConfigureConnection{both});
      crossing.settle();
      ASSERT_TRUE(crossing.run_until([&] { return in_step(crossing); }, minutes(2))) << seed;
      EXPECT_TRUE(no_leaks(crossing)) << seed;
      EXPECT_TRUE(crossing.a.failures.empty() && crossing.b.failures.empty()) << seed;
      crossing.advance(minutes(2));
      EXPECT_TRUE(in_step(crossing)) << seed;
      EXPECT_TRUE(no_leaks(crossing)) << seed;
    }
  }
}

// RFC 7296 2.25.2: while the IKE SA is rekeyed no Child SA is; and the other way round.
TEST_P(FollowUps, AChildSaIsRekeyedWhileThePeerRekeysTheIkeSa) {
  rekey_child(one());
  rekey_ike(other());
  pair.settle();
  pair.advance(seconds(40));
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(one().children_made, 2U);
  EXPECT_EQ(one().closed.size(), 1U);
  expect_all_kept();
}

// What would collide with the peer's series waits for its end.
TEST_P(FollowUps, OwnRekeysWaitForThePeersSeries) {
  for (const bool whole : {true, false}) {
    other().postpones = [](const Request& request) {
      const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
      return exchange != nullptr && exchange->method == crypto::KeyExchangeId::ml_kem_512;
    };
    whole ? rekey_ike(other()) : rekey_child(other());
    pair.advance(seconds(1));
    ASSERT_FALSE(other().postponed.empty());
    pair.wire.clear();
    rekey_child(one());
    if (whole) rekey_ike(one());
    pair.advance(seconds(1));
    EXPECT_EQ(count(pair, ExchangeType::create_child_sa, false), 0U) << whole;
    other().postpones = {};
    while (!other().postponed.empty()) pair.answer_postponed(other());
    pair.advance(seconds(5));
    ASSERT_TRUE(in_step(pair));
  }
  EXPECT_EQ(one().children_made, 3U)
      << "after the IKE SA; with the peer's rekey of the pair itself there was none left";
  EXPECT_EQ(one().closed.size(), 1U);
  expect_all_kept();
}

// RFC 7296 2.25.2: nor is a Child SA deleted in the middle of it, for the answer would come to the wrong IKE SA.
TEST_P(FollowUps, OwnDeletesWaitForThePeersSeries) {
  other().postpones = [](const Request& request) {
    const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
    return exchange != nullptr && exchange->method == crypto::KeyExchangeId::ml_kem_512;
  };
  rekey_ike(other());
  pair.advance(seconds(1));
  ASSERT_EQ(other().postponed.size(), 1U);
  pair.command(one(), DeleteChildSa{one().child().id});
  // The answer to a DELETE that did not wait would be lost till the IKE SA has its successor.
  pair.fate = [&](const Datagram& d) {
    return d.header().exchange == ExchangeType::informational && d.header().response && other().closed.empty()
               ? lost()
               : usual();
  };
  other().postpones = {};
  while (!other().postponed.empty()) pair.answer_postponed(other());
  pair.advance(seconds(30));
  EXPECT_TRUE(one().children.empty() && other().children.empty());
  EXPECT_EQ(one().closed.size(), 1U);
  EXPECT_EQ(one().ike_sas.size(), 1U);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(FollowUps, TheIkeSaIsDeletedMeanwhile) {  // by either side, at each step
  for (const bool by_one : {true, false}) {
    for (const bool whole : {true, false}) {
      for (const std::uint32_t after : {5, 15, 25, 35, 45}) {
        Pair fresh(after);
        start(fresh);
        Host& mine = fresh.host(GetParam());
        if (whole) {
          fresh.command(mine, RekeyIkeSa{mine.ike_sa().ike_sa});
        } else {
          fresh.command(mine, RekeyChildSa{mine.children.begin()->first});
        }
        fresh.advance(milliseconds(after));
        fresh.command(fresh.host(GetParam() == by_one), Terminate{kConnection});
        fresh.advance(seconds(30));
        EXPECT_TRUE(fresh.a.ike_sas.empty() && fresh.b.ike_sas.empty()) << whole << after;
        EXPECT_TRUE(no_leaks(fresh)) << whole << after;
        fresh.advance(minutes(10));
        EXPECT_FALSE(fresh.a.endpoint().poll_timeout() || fresh.b.endpoint().poll_timeout());
      }
    }
  }
}

TEST_P(FollowUps, TheChildSaIsDeletedMeanwhile) {
  for (const std::uint32_t after : {5, 15, 25, 35, 45}) {
    for (const bool by_one : {true, false}) {
      Pair fresh(after);
      start(fresh);
      Host& mine = fresh.host(GetParam());
      fresh.command(mine, RekeyChildSa{mine.children.begin()->first});
      fresh.advance(milliseconds(after));
      Host& deletes = fresh.host(GetParam() == by_one);
      fresh.command(deletes, DeleteChildSa{deletes.children.begin()->first});
      fresh.advance(seconds(60));
      EXPECT_EQ(fresh.a.children.size(), fresh.b.children.size()) << after << by_one;
      EXPECT_LE(fresh.a.children.size(), 1U) << after << by_one;
      EXPECT_EQ(fresh.a.ike_sas.size(), 1U);
      EXPECT_TRUE(no_leaks(fresh)) << after << by_one;
    }
  }
}

// ---- what is forgotten

// RFC 9370 2.2.4: the responder forgets what is not followed up, says so, and the initiator begins anew.
TEST_P(FollowUps, AForgottenBeginningIsBegunAnew) {
  for (const bool whole : {true, false}) {
    one().postpones = [](const Request& request) {
      const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
      return exchange != nullptr && exchange->method == crypto::KeyExchangeId::ml_kem_512 && !exchange->peer_value;
    };
    const std::size_t made = one().children_made;
    whole ? rekey_ike(one()) : rekey_child(one());
    pair.advance(kFollowUpPatience + seconds(1));
    EXPECT_TRUE(other().logged("left out its additional key exchanges"));
    EXPECT_TRUE(no_leaks(pair) || !whole) << "the responder's SPI is back";
    EXPECT_EQ(other().allocator().in_use.size(), 1U);
    one().postpones = {};
    ASSERT_EQ(one().postponed.size(), 1U);
    pair.answer_postponed(one());
    pair.advance(seconds(5));
    EXPECT_TRUE(one().logged("with STATE_NOT_FOUND"));
    ASSERT_TRUE(in_step(pair));
    EXPECT_EQ(one().children_made, made + (whole ? 0U : 1U));
  }
  EXPECT_EQ(one().closed.size(), 1U);
  expect_all_kept();
}

// RFC 9370 2.2.4: whoever never finds it is not worth more tries than a few.
TEST_P(FollowUps, AlwaysForgottenEndsTheIkeSa) {
  for (const bool whole : {true, false}) {
    Pair fresh(3);
    start(fresh);
    Host& mine = fresh.host(GetParam());
    mine.postpones = [](const Request& request) {
      const auto* exchange = std::get_if<KeyExchangeRequest>(&request);
      return exchange != nullptr && exchange->method == crypto::KeyExchangeId::ml_kem_512 && !exchange->peer_value;
    };
    if (whole) {
      fresh.command(mine, RekeyIkeSa{mine.ike_sa().ike_sa});
    } else {
      fresh.command(mine, RekeyChildSa{mine.children.begin()->first});
    }
    for (int round = 0; round < 4; ++round) {
      fresh.advance(kFollowUpPatience + seconds(1));
      ASSERT_EQ(mine.postponed.size(), 1U) << round;
      fresh.answer_postponed(mine);
      fresh.settle();
    }
    ASSERT_EQ(mine.closed.size(), 1U);
    EXPECT_EQ(mine.closed.front().reason, CloseReason::protocol_error);
    fresh.settle();
    EXPECT_TRUE(fresh.a.ike_sas.empty() && fresh.b.ike_sas.empty());
    EXPECT_TRUE(no_leaks(fresh));
  }
}

TEST_P(FollowUps, ASilentPeerIsGone) {
  pair.fate = [](const Datagram& d) { return d.header().exchange == ExchangeType::ike_followup_ke ? lost() : usual(); };
  rekey_child(one());
  pair.advance(minutes(3));
  ASSERT_EQ(one().closed.size(), 1U);
  EXPECT_EQ(one().closed.front().reason, CloseReason::peer_dead);
  EXPECT_EQ(one().allocator().in_use.size(), one().children.size());
}

}  // namespace
}  // namespace culvert::ike::v2
