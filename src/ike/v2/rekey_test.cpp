// Scenarios of CREATE_CHILD_SA (RFC 7296 1.3, 2.8, 2.18, 2.25): rekeys from either side, and every collision in its
// orders.
#include <gtest/gtest.h>

#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using std::chrono::milliseconds;
using std::chrono::seconds;

model::ChildSaId child_of(const Host& host) { return host.child().id; }

class Rekey : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    bring_up(pair, true);
    ASSERT_TRUE(in_step(pair));
    pair.wire.clear();
  }
  Host& one() { return pair.host(GetParam()); }
  Host& other() { return pair.host(!GetParam()); }
  void rekey_child(Host& host) { pair.command(host, RekeyChildSa{host.children.begin()->first}); }
  void rekey_ike(Host& host) { pair.command(host, RekeyIkeSa{host.ike_sa().ike_sa}); }
  /// Loses the first request of the exchange from this host.
  void lose_first(const Host& from, ExchangeType exchange) {
    pair.fate = [&pair = pair, from_a = &from == &pair.a, exchange, done = false](const Datagram& d) mutable {
      if (!done && d.from_a == from_a && d.header().exchange == exchange && !d.header().response) {
        done = true;
        return std::vector<Duration>{};
      }
      return std::vector<Duration>{Pair::kLatency};
    };
  }
  bool quiet() {
    pair.settle();
    return pair.run_until([&] { return in_step(pair); }, std::chrono::minutes(2));
  }

  Pair pair;
};
INSTANTIATE_TEST_SUITE_P(By, Rekey, ::testing::Values(true, false),
                         [](const auto& by) { return by.param ? "a" : "b"; });

TEST_P(Rekey, AChildSaIsReplacedAndTheOldOneDeletedByTheInitiator) {  // RFC 7296 1.3.3, 2.8
  const auto before = child_of(one());
  const auto before_other = child_of(other());
  rekey_child(one());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.wire.size(), 4u);
  EXPECT_EQ(one().child().replaces, before);
  EXPECT_EQ(other().child().replaces, before_other);
  EXPECT_TRUE(other().child().hold_outbound) << "the responder waits for proof that the initiator has it";
  EXPECT_FALSE(one().child().hold_outbound);
  ASSERT_EQ(one().removed.size(), 1u);
  EXPECT_EQ(one().removed[0].reason, CloseReason::rekeyed);
  EXPECT_EQ(other().removed[0].reason, CloseReason::rekeyed);
  EXPECT_GT(one().removed[0].linger, Duration::zero());
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(Rekey, WithAKeyExchangeTheChildSaHasPerfectForwardSecrecy) {  // RFC 7296 2.17
  rekey_child(one());
  pair.settle();
  EXPECT_EQ(one().child().suite.key_exchange, model::KeyExchangeMethod::curve25519);
  EXPECT_EQ(other().child().suite.key_exchange, model::KeyExchangeMethod::curve25519);
}

TEST_P(Rekey, TheResponderSwitchesEarlyWhenTrafficProvesIt) {  // RFC 7296 2.8 (1)
  pair.fate = [&](const Datagram& d) {
    return d.header().exchange == ExchangeType::informational ? std::vector<Duration>{}
                                                              : std::vector<Duration>{Pair::kLatency};
  };
  rekey_child(one());
  pair.settle();
  ASSERT_EQ(other().children.size(), 2u);
  const auto fresh = other().children.rbegin()->first;
  EXPECT_TRUE(other().children.at(fresh).held);
  pair.command(other(), PeerAlive{fresh});
  EXPECT_FALSE(other().children.at(fresh).held);
}

TEST_P(Rekey, TheIkeSaIsReplacedAndTheChildSaMoves) {  // RFC 7296 1.3.2, 2.18
  const auto before = one().ike_sa().ike_sa;
  const auto child = child_of(one());
  rekey_ike(one());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(one().ike_sa().replaces, before);
  EXPECT_EQ(one().ike_sa().role, model::Role::initiator);
  EXPECT_EQ(other().ike_sa().role, model::Role::responder);
  EXPECT_EQ(child_of(one()), child) << "the Child SA itself stays";
  EXPECT_EQ(one().child().ike_sa, one().ike_sa().ike_sa);
  ASSERT_EQ(one().closed.size(), 1u);
  EXPECT_EQ(one().closed[0].reason, CloseReason::rekeyed);
  EXPECT_EQ(other().closed[0].reason, CloseReason::rekeyed);
  // RFC 7296 1.3.2: message ids begin at 0 again.
  pair.wire.clear();
  rekey_child(other());
  EXPECT_EQ(pair.wire.front().header().message_id.value(), 0u);
  pair.settle();
  EXPECT_TRUE(in_step(pair));
}

TEST_P(Rekey, TimersDoItUnaskedAndTheTunnelNeverExpires) {  // RFC 7296 2.8
  Pair fresh(3);
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).child_lifetime.time = seconds(60);
  (GetParam() ? a : b).ike_lifetime = seconds(150);
  configure(fresh, a, b);
  initiate(fresh);
  fresh.advance(std::chrono::minutes(30));
  EXPECT_TRUE(in_step(fresh));
  EXPECT_GE(fresh.a.children_made, 30u);
  EXPECT_GE(fresh.a.closed.size(), 11u);
  for (const IkeSaClosed& closed : fresh.a.closed) EXPECT_EQ(closed.reason, CloseReason::rekeyed);
  for (const ChildSaRemoved& removed : fresh.a.removed) EXPECT_EQ(removed.reason, CloseReason::rekeyed);
  EXPECT_TRUE(no_leaks(fresh));
}

TEST_P(Rekey, AnotherKeyExchangeMethodIsTriedOnDemand) {  // RFC 7296 1.3, INVALID_KE_PAYLOAD
  Pair fresh(8);
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).esp_proposals = {
      *model::parse_proposal(model::ProtocolId::esp, "aes128gcm16-x25519-ecp256-esn")};
  (GetParam() ? b : a).esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, "aes128gcm16-ecp256-esn")};
  configure(fresh, a, b);
  initiate(fresh);
  fresh.settle();
  Host& mine = fresh.host(GetParam());
  fresh.command(mine, RekeyChildSa{mine.child().id});
  fresh.settle();
  ASSERT_TRUE(in_step(fresh));
  EXPECT_EQ(mine.child().suite.key_exchange, model::KeyExchangeMethod::ecp_256);
  EXPECT_TRUE(mine.failures.empty());
}

TEST_P(Rekey, TransportModeStaysTransportMode) {  // RFC 7296 1.3.1, 1.3.3
  Pair fresh(9);
  auto a = config_of(true);
  auto b = config_of(false);
  a.mode = b.mode = model::Mode::transport;
  configure(fresh, a, b);
  initiate(fresh);
  fresh.settle();
  ASSERT_TRUE(in_step(fresh));
  EXPECT_EQ(fresh.a.child().mode, model::Mode::transport);
  Host& mine = fresh.host(GetParam());
  fresh.command(mine, RekeyChildSa{mine.child().id});
  fresh.settle();
  ASSERT_TRUE(in_step(fresh));
  EXPECT_EQ(mine.child().mode, model::Mode::transport);
}

TEST_P(Rekey, TransportModeThatThePeerDeclinesIsNoTunnel) {  // RFC 7296 1.3.1
  Pair fresh(9);
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).mode = model::Mode::transport;
  configure(fresh, a, b);
  initiate(fresh, GetParam());
  fresh.settle();
  EXPECT_TRUE(fresh.a.children.empty() && fresh.b.children.empty());
  ASSERT_EQ(fresh.host(GetParam()).failures.size(), 1u);
  EXPECT_EQ(fresh.host(GetParam()).failures[0].kind, FailureKind::peer_refused);
  EXPECT_TRUE(no_leaks(fresh));
}

TEST_P(Rekey, ATunnelIsNotWhatTransportModeIsConfiguredFor) {
  Pair fresh(9);
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? b : a).mode = model::Mode::transport;
  configure(fresh, a, b);
  initiate(fresh, GetParam());
  fresh.settle();
  EXPECT_TRUE(fresh.a.children.empty() && fresh.b.children.empty());
  ASSERT_EQ(fresh.host(!GetParam()).failures.size(), 1u);
  EXPECT_EQ(fresh.host(!GetParam()).failures[0].kind, FailureKind::no_proposal_chosen);
  EXPECT_NE(fresh.host(!GetParam()).failures[0].detail.find("transport mode"), std::string::npos);
  ASSERT_EQ(fresh.host(GetParam()).failures.size(), 1u);
  EXPECT_EQ(fresh.host(GetParam()).failures[0].kind, FailureKind::no_proposal_chosen);
  EXPECT_TRUE(no_leaks(fresh));
}

// ---- RFC 7296 2.8.1 and 2.25.1: Child SAs

TEST_P(Rekey, BothRekeyTheChildSaAndNoticeIt) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {  // each side loses now and then
    Pair crossing(seed);
    bring_up(crossing);
    crossing.command(crossing.host(GetParam()), RekeyChildSa{crossing.host(GetParam()).children.begin()->first});
    crossing.command(crossing.host(!GetParam()), RekeyChildSa{crossing.host(!GetParam()).children.begin()->first});
    crossing.settle();
    ASSERT_TRUE(in_step(crossing)) << seed;
    EXPECT_EQ(crossing.a.children_made, 3u);
    EXPECT_TRUE(crossing.a.failures.empty());
    EXPECT_TRUE(no_leaks(crossing));
  }
}

TEST_P(Rekey, BothRekeyTheChildSaAndOneRequestIsLate) {  // the second drawing of RFC 7296 2.8.1
  lose_first(one(), ExchangeType::create_child_sa);
  rekey_child(one());
  rekey_child(other());
  ASSERT_TRUE(quiet());
  EXPECT_EQ(one().children_made, 2u) << "CHILD_SA_NOT_FOUND or TEMPORARY_FAILURE ended the late one";
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
  pair.advance(seconds(120));
  EXPECT_TRUE(in_step(pair));
  EXPECT_EQ(one().children_made, 2u);
}

TEST_P(Rekey, AChildSaIsRekeyedWhileThePeerDeletesIt) {
  pair.command(other(), DeleteChildSa{child_of(other())});
  rekey_child(one());
  pair.settle();
  pair.advance(seconds(30));
  EXPECT_TRUE(one().children.empty());
  EXPECT_TRUE(other().children.empty());
  EXPECT_EQ(pair.a.ike_sas.size(), 1u);
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(Rekey, ARekeyOfAnUnknownChildSaMakesANewOne) {  // RFC 7296 2.25: CHILD_SA_NOT_FOUND
  // The peer's DELETE and its answer pass, but only at the other side the pair is gone: emulated by a delete that is
  // never told.
  pair.fate = [&](const Datagram& d) {
    const bool loses = d.from_a != GetParam() && d.header().exchange == ExchangeType::informational;
    return loses ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
  };
  pair.command(other(), DeleteChildSa{child_of(other())});
  rekey_child(one());  // crosses: TEMPORARY_FAILURE, retried
  ASSERT_TRUE(pair.run_until([&] { return one().logged("rekeying Child SA"); }));
  pair.fate = [](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
  pair.advance(seconds(30));
  EXPECT_EQ(one().children.size(), other().children.size());
}

TEST_P(Rekey, BothDeleteTheChildSa) {  // RFC 7296 1.4.1: neither response names it
  pair.command(one(), DeleteChildSa{child_of(one())});
  pair.command(other(), DeleteChildSa{child_of(other())});
  pair.settle();
  EXPECT_TRUE(pair.a.children.empty() && pair.b.children.empty());
  EXPECT_EQ(pair.a.ike_sas.size(), 1u);
  EXPECT_EQ(pair.a.removed.size(), 1u);
  EXPECT_EQ(pair.wire.size(), 4u);
}

TEST_P(Rekey, ANewChildSaIsDeletedOrRekeyedAtOnce) {
  rekey_child(one());
  pair.settle();
  rekey_child(other());
  pair.settle();
  ASSERT_TRUE(in_step(pair));
  pair.command(other(), DeleteChildSa{child_of(other())});
  pair.settle();
  EXPECT_TRUE(pair.a.children.empty() && pair.b.children.empty());
}

// ---- RFC 7296 2.8.2 and 2.25.2: the IKE SA

TEST_P(Rekey, BothRekeyTheIkeSaAndNoticeIt) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair crossing(seed);
    bring_up(crossing);
    crossing.command(crossing.host(GetParam()), RekeyIkeSa{crossing.host(GetParam()).ike_sa().ike_sa});
    crossing.command(crossing.host(!GetParam()), RekeyIkeSa{crossing.host(!GetParam()).ike_sa().ike_sa});
    crossing.settle();
    ASSERT_TRUE(in_step(crossing)) << seed;
    EXPECT_EQ(crossing.a.closed.size(), 1u);
    EXPECT_EQ(crossing.a.children_made, 1u);
    crossing.advance(std::chrono::minutes(10));
    EXPECT_TRUE(in_step(crossing)) << seed;
  }
}

TEST_P(Rekey, BothRekeyTheIkeSaAndOneRequestIsLate) {  // the drawing of RFC 7296 2.8.2
  lose_first(one(), ExchangeType::create_child_sa);
  rekey_ike(one());
  rekey_ike(other());
  ASSERT_TRUE(quiet());
  EXPECT_TRUE(pair.a.failures.empty() && pair.b.failures.empty());
  pair.advance(std::chrono::minutes(10));
  EXPECT_TRUE(in_step(pair));
}

TEST_P(Rekey, BothRekeyTheIkeSaAndOneResponseIsLate) {
  pair.fate = [&, done = false](const Datagram& d) mutable {
    if (!done && d.header().exchange == ExchangeType::create_child_sa && d.header().response &&
        d.from_a != GetParam()) {
      done = true;
      return std::vector<Duration>{};
    }
    return std::vector<Duration>{Pair::kLatency};
  };
  rekey_ike(one());
  rekey_ike(other());
  ASSERT_TRUE(quiet());
  pair.advance(std::chrono::minutes(10));
  EXPECT_TRUE(in_step(pair));
}

// The peer's IKE SA was to stay, and the peer closes it before our own rekey is answered: that answer, late, makes
// nothing that only we have (an order that tests/model/ike_collisions.pml found).
TEST_P(Rekey, BothRekeyTheIkeSaAndTheWinnerIsClosedMeanwhile) {
  unsigned found = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair crossing(seed);
    bring_up(crossing);
    Host& late = crossing.host(GetParam());
    Host& early = crossing.host(!GetParam());
    const auto old_spi = late.ike_sa().spi_i;
    crossing.fate = [&, open = crossing.now + milliseconds(500)](const Datagram& d) {
      const codec::Header header = d.header();
      const bool on_the_old = d.from_a != GetParam() && header.spi_i == old_spi && crossing.now < open;
      if (on_the_old && header.exchange == ExchangeType::informational) return std::vector<Duration>{};
      const bool answer = on_the_old && header.exchange == ExchangeType::create_child_sa && header.response;
      return std::vector<Duration>{answer ? milliseconds(300) : Pair::kLatency};
    };
    crossing.command(late, RekeyIkeSa{late.ike_sa().ike_sa});
    crossing.command(early, RekeyIkeSa{early.ike_sa().ike_sa});
    crossing.advance(milliseconds(50));
    crossing.command(early, Terminate{kConnection});
    crossing.advance(seconds(2));
    EXPECT_TRUE(crossing.a.children.empty() && crossing.b.children.empty()) << seed;
    EXPECT_TRUE(crossing.a.ike_sas.empty() && crossing.b.ike_sas.empty()) << seed;
    EXPECT_TRUE(no_leaks(crossing)) << seed;
    if (late.logged("the peer has deleted the IKE SA that its rekey made")) ++found;
  }
  EXPECT_GT(found, 3u);
}

TEST_P(Rekey, AChildSaIsRekeyedWhileThePeerRekeysTheIkeSa) {  // RFC 7296 2.25.2: TEMPORARY_FAILURE both ways
  rekey_child(one());
  rekey_ike(other());
  pair.settle();
  pair.advance(seconds(30));
  ASSERT_TRUE(in_step(pair));
  EXPECT_GE(one().children_made, 2u);
  EXPECT_EQ(one().closed.size(), 1u);
}

TEST_P(Rekey, AChildSaIsDeletedWhileThePeerRekeysTheIkeSa) {
  pair.command(one(), DeleteChildSa{child_of(one())});
  rekey_ike(other());
  pair.settle();
  pair.advance(seconds(30));
  EXPECT_TRUE(pair.a.children.empty() && pair.b.children.empty());
  EXPECT_EQ(pair.a.ike_sas.size(), 1u);
  EXPECT_EQ(pair.a.closed.size(), 1u) << "the rekey came about later";
}

TEST_P(Rekey, TheIkeSaIsRekeyedWhileThePeerDeletesIt) {
  pair.command(other(), Terminate{kConnection});
  rekey_ike(one());
  pair.settle();
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  EXPECT_TRUE(no_leaks(pair));
  pair.advance(std::chrono::minutes(10));
  EXPECT_FALSE(pair.a.endpoint().poll_timeout() || pair.b.endpoint().poll_timeout());
}

TEST_P(Rekey, TheIkeSaIsDeletedByTheSideThatRekeysIt) {
  rekey_ike(one());
  pair.command(one(), Terminate{kConnection});
  EXPECT_TRUE(one().ike_sas.empty()) << "at once for the user";
  pair.settle();
  pair.advance(seconds(5));
  EXPECT_TRUE(other().ike_sas.empty()) << "the successor that the peer had made is deleted too";
  EXPECT_TRUE(no_leaks(pair));
}

TEST_P(Rekey, BothDeleteTheIkeSa) {  // RFC 7296 2.25.2
  pair.command(one(), Terminate{kConnection});
  pair.command(other(), Terminate{kConnection});
  pair.settle();
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  EXPECT_EQ(pair.a.closed.size(), 1u);
  EXPECT_EQ(pair.wire.size(), 4u);
}

TEST_P(Rekey, EitherSideDeletesTheIkeSa) {  // RFC 7296 1.4.1
  pair.command(one(), Terminate{kConnection});
  pair.settle();
  EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
  EXPECT_EQ(one().closed[0].reason, CloseReason::local_request);
  EXPECT_EQ(other().closed[0].reason, CloseReason::peer_deleted);
  EXPECT_EQ(other().removed[0].reason, CloseReason::peer_deleted);
  EXPECT_EQ(pair.wire.size(), 2u);
}

TEST_P(Rekey, ARekeyThatThePeerRefusesIsTriedAgainAndThenTheIkeSaEnds) {  // RFC 7296 2.8
  Pair fresh(5);
  auto a = config_of(true);
  auto b = config_of(false);
  (GetParam() ? a : b).child_lifetime.time = seconds(100);
  // Good enough for IKE_AUTH, where no key exchange is negotiated, but never for a rekey.
  (GetParam() ? a : b).esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, "aes128gcm16-x25519-esn")};
  (GetParam() ? b : a).esp_proposals = {*model::parse_proposal(model::ProtocolId::esp, "aes128gcm16-esn")};
  configure(fresh, a, b);
  initiate(fresh);
  fresh.settle();
  ASSERT_TRUE(in_step(fresh));
  fresh.advance(seconds(105));
  Host& mine = fresh.host(GetParam());
  EXPECT_GE(mine.failures.size(), 2u);
  EXPECT_EQ(mine.failures[0].kind, FailureKind::no_proposal_chosen);
  EXPECT_TRUE(mine.failures[0].child_only);
  ASSERT_EQ(mine.closed.size(), 1u);
  EXPECT_EQ(mine.closed[0].reason, CloseReason::lifetime_expired);
  EXPECT_TRUE(fresh.a.ike_sas.empty() && fresh.b.ike_sas.empty());
}

}  // namespace
}  // namespace culvert::ike::v2
