// Additional key exchanges behind CREATE_CHILD_SA, in IKE_FOLLOWUP_KE (RFC 9370 2.2.4): rekeys and new pairs by either
// side, and what is lost. Collisions are in follow_up_collision_test, what a peer may try in follow_up_forgery_test.
#include "ike/v2/follow_up.hpp"

#include <gtest/gtest.h>

#include "ike/v2/testing/follow_ups.hpp"
#include "ike/v2/testing/loss.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::KeyExchangeMethod;
using std::chrono::minutes;
using std::chrono::seconds;

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
    Suites suites;
    if (seed % 2 == 0) suites.ike_a = suites.ike_b = {ike(kIkeTwo)};
    start(lossy, suites);
    ASSERT_TRUE(in_step(lossy)) << seed;
    lossy.fate = bad_network(seed, 700);
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
