// Several authentications one behind the other (RFC 4739): two endpoints in all orders of rounds, peers that know
// nothing of it or stop too soon. Peers that keep to no rule are in auth_rounds_hostile_test.
#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing/issuer.hpp"
#include "ike/eap/packet.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/rounds_pair.hpp"

namespace culvert::ike::v2::testing {
namespace {

using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using model::EapType;
using model::ExchangeType;
using model::NotifyType;
using model::Role;
using ::testing::HasSubstr;

const std::vector<std::vector<Way>> kInitiators = {
    {kSecret},
    {kCertificate},
    {kEap},
    {kCertificate, kEap},
    {kSecret, kEap},
    {kCertificate, kSecret},
    {kSecret, kCertificate},
    {kEap, kCertificate},
    {kEap, kSecret},
    {kCertificate, kSecret, kEap},
    {kEap, kSecret, kCertificate},
    {kSecret, kEap, kCertificate},
};
const std::vector<std::vector<Way>> kResponders = {
    {kSecret}, {kCertificate}, {kCertificate, kSecret}, {kSecret, kCertificate}};

TEST(AuthRounds, AllOrders) {  // RFC 4739 2.1, RFC 4739 2.2 to 2.5
  for (const auto& first : kInitiators) {
    for (const auto& second : kResponders) {
      SCOPED_TRACE(in_words(first) + "/ " + in_words(second));
      RoundsPair pair(first, second);
      pair.start();
      ASSERT_TRUE(in_step(pair)) << pair.faults();
      EXPECT_TRUE(no_leaks(pair));
      const bool eap = std::ranges::find(first, kEap) != first.end();
      EXPECT_EQ(pair.b.ike_sa().admission.eap_identity(), eap ? "carol" : "");
      EXPECT_EQ(pair.b.ike_sa().remote_id.to_string(), "a.example");
      EXPECT_EQ(pair.a.eap_sessions.size() + pair.b.eap_sessions.size(), 0U);
      // A round is one exchange, EAP with MSCHAPv2 is four more; what the responder has left over comes on its own.
      EXPECT_EQ(pair.auth_requests(), std::max(first.size() + (eap ? 4 : 0), second.size()));
    }
  }
}

TEST(AuthRounds, LossDuplicatesAndReordering) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    RoundsPair pair({kCertificate, kEap, kSecret}, {kCertificate, kSecret}, seed);
    SeededRandom chance(seed);
    pair.fate = [&](const Datagram&) {
      std::vector<Duration> copies;
      for (int n = 0; n < 2; ++n) {
        std::array<std::uint8_t, 2> dice{};
        chance.fill(dice);
        if (dice[0] < 150) copies.push_back(std::chrono::milliseconds(5 + dice[1]));
      }
      return copies;
    };
    pair.start();
    EXPECT_TRUE(pair.run_until([&] { return in_step(pair); })) << pair.faults();
    EXPECT_TRUE(no_leaks(pair));
  }
}

// RFC 4739 2.1: the AUTH of a round is over the identity of that round.
TEST(AuthRounds, EachRoundHasItsIdentity) {
  RoundsPair pair({kCertificate, kSecret, kEap}, {kCertificate, kSecret});
  pair.configs[0].own_rounds[0].id = model::Identity::parse("amy@example.net");
  pair.configs[1].peer_rounds[0].pattern = model::IdentityPattern::parse("*@example.net");
  pair.configs[1].peer_rounds[1].id = model::Identity::parse("carol");
  pair.configs[1].own_rounds[0].id = model::Identity::parse("staff.example");
  pair.configs[0].peer_rounds[0].id = model::Identity::parse("staff.example");
  pair.start();
  ASSERT_TRUE(in_step(pair)) << pair.faults();
  EXPECT_EQ(pair.b.ike_sa().admission.eap_identity(), "carol");
}

TEST(AuthRounds, AnotherIdentityInALaterRoundIsRefused) {
  for (const Way& way : {kSecret, kEap}) {
    RoundsPair pair({kCertificate, way}, {kCertificate});
    pair.configs[0].own_rounds[0].id = model::Identity::parse("mallory@example.net");
    pair.configs[1].peer_rounds[0].id = model::Identity::parse("amy@example.net");
    pair.start();
    pair.expect_nothing("b: in round 2 the peer says it is mallory@example.net, connection 'to-a' expects amy@");
    ASSERT_EQ(pair.b.failures.size(), 1U);
    ASSERT_TRUE(pair.b.failures[0].refusal);
    EXPECT_EQ(pair.b.failures[0].refusal->check, "rounds");
  }
  // Without one that is configured: the same as in the first round.
  RoundsPair pair({kCertificate, kSecret}, {kCertificate});
  pair.configs[0].own_rounds[0].id = model::Identity::parse("mallory.example");
  pair.start();
  pair.expect_nothing("b: in round 2 the peer says it is mallory.example, connection 'to-a' expects a.example");
}

// The certificate of a round must have the identity of that round, not of the first.
TEST(AuthRounds, TheCertificateOfALaterRoundIsForItsIdentity) {
  RoundsPair pair({kSecret, kCertificate}, {kCertificate});
  pair.configs[0].own_rounds[0].id = model::Identity::parse("c.example");
  pair.configs[1].peer_rounds[0].id = model::Identity::parse("c.example");
  pair.start();
  pair.expect_nothing("identity");
}

// ---- two certificates, one behind the other: the machine's, then its user's

struct CertificatesPair : RoundsPair {
  explicit CertificatesPair(const TestCertificate& users = rounds_world().root)
      : RoundsPair({kCertificate, kCertificate}, {kCertificate}) {
    const TestCertificate amy =
        TestCertificate::make(TestKey::make("P-256"), crypto::testing::peer("amy", "email:amy@example.net"), &users);
    Credentials& own = a.credentials.at(kConnection);
    own.chain_identity = model::Identity::parse("a.example");
    own.others.push_back({.certificates = {amy.der()}, .key = amy.key().private_key(), .identity = kAmy});
    configs[0].own_rounds[0].id = kAmy;
    configs[1].peer_rounds[0].pattern = model::IdentityPattern::parse("*@example.net");
  }
  const model::Identity kAmy = model::Identity::parse("amy@example.net");
};

TEST(AuthRounds, TwoCertificates) {
  CertificatesPair pair;
  pair.start();
  ASSERT_TRUE(in_step(pair)) << pair.faults();
  EXPECT_EQ(pair.b.ike_sa().remote_id.to_string(), "a.example");
  EXPECT_TRUE(pair.b.logged("round 2 of 2 of the authentication of amy@example.net has gone well"));
  EXPECT_EQ(pair.auth_requests(), 2U);
}

// One of them is no proof of the other's name, and twice the same is not two.
TEST(AuthRounds, OneCertificateIsNotTwo) {
  CertificatesPair pair;
  pair.a.credentials.at(kConnection) = rounds_credentials(true);
  pair.start();
  pair.expect_nothing("identity");
  CertificatesPair same;
  same.configs[0].own_rounds[0].id.reset();
  same.start();
  same.expect_nothing("b: in round 2 the peer says it is a.example, connection 'to-a' expects *@example.net");
}

// Each round may have authorities of its own, and those of the other do not count in it.
TEST(AuthRounds, EachRoundHasItsAuthorities) {
  const TestCertificate users = TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("users"));
  CertificatesPair without(users);
  without.start();
  without.expect_nothing("issuer");
  CertificatesPair with(users);
  with.b.credentials.at(kConnection)
      .round_peers.emplace(1, crypto::TrustStore::make(std::vector{users.certificate()}, {}));
  with.start();
  ASSERT_TRUE(in_step(with)) << with.faults();
  CertificatesPair other;
  other.b.credentials.at(kConnection)
      .round_peers.emplace(1, crypto::TrustStore::make(std::vector{users.certificate()}, {}));
  other.start();
  other.expect_nothing("issuer");
}

TEST(AuthRounds, TheResponderIsJudgedInEachRound) {
  // In the last message, when b takes the IKE SA for established: b is told.
  RoundsPair named({kCertificate}, {kCertificate, kSecret});
  named.configs[1].own_rounds[0].id = model::Identity::parse("other.example");
  named.start();
  named.expect_nothing("a: in round 2 the peer says it is other.example, connection 'to-b' expects b.example");
  ASSERT_EQ(named.b.closed.size(), 1U);
  // Another secret: AUTH is wrong in the second round only.
  RoundsPair wrong({kCertificate}, {kCertificate, kSecret});
  wrong.b.secrets[kConnection] = octets("not that secret");
  wrong.start();
  wrong.expect_nothing("a: the peer b.example at 192.0.2.2:4500 does not have our secret");
  // Before the end, while b has more to ask for: nothing of the rounds to come is shown.
  RoundsPair early({kCertificate, kSecret, kEap}, {kCertificate, kSecret});
  early.b.secrets[kConnection] = octets("not that secret");
  early.start();
  early.expect_nothing("b: the peer a.example at 192.0.2.1:4500 does not have our secret");
  EXPECT_EQ(early.auth_requests(), 2U);
}

TEST(AuthRounds, AFaultInEachRoundEndsIt) {
  for (const auto& ways : kInitiators) {
    for (std::size_t bad = 0; bad < ways.size(); ++bad) {
      SCOPED_TRACE(in_words(ways) + std::to_string(bad));
      RoundsPair pair(ways, {kCertificate});
      if (ways[bad] == kSecret) pair.a.secrets[kConnection] = octets("not that secret");
      if (ways[bad] == kEap) pair.a.users["carol"] = octets("not that pass phrase");
      if (ways[bad] == kCertificate) {
        const TestCertificate stranger =
            TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("stranger"));
        const TestCertificate own =
            TestCertificate::make(rounds_world().key, crypto::testing::peer("a", "DNS:a.example"), &stranger);
        pair.a.credentials.at(kConnection).certificates = {own.der()};
      }
      pair.start();
      pair.expect_nothing("b: the peer a.example at 192.0.2.1:4500");
      EXPECT_TRUE(pair.b.closed.empty()) << "it was established";
      EXPECT_EQ(pair.a.failures.size(), 1U);
      EXPECT_EQ(pair.b.failures.size(), 1U);
    }
  }
}

// ---------------------------------------------------------------- what the peer does not know, or does not do

TEST(AuthRounds, AResponderWithoutSupportHearsNothingOfUs) {
  RoundsPair pair({kCertificate, kEap}, {kCertificate});
  pair.configs[1].peer_rounds.clear();
  pair.configs[1].eap.reset();
  pair.start();
  pair.expect_nothing("a: 192.0.2.2:4500 does not know of several rounds");
  EXPECT_EQ(pair.auth_requests(), 0U) << "who we are was said";
}

TEST(AuthRounds, AnInitiatorWithoutSupportIsRefused) {
  RoundsPair pair({kCertificate, kEap}, {kCertificate});
  pair.configs[0].own_rounds.clear();
  pair.configs[0].eap.reset();
  pair.start();
  pair.expect_nothing("has several rounds of authentication, of which the peer knows nothing");
  EXPECT_TRUE(pair.b.closed.empty());
}

// RFC 4739 2.1: only when all have gone well is the IKE SA there; who stops before has nothing.
TEST(AuthRounds, WhoStopsAfterTheFirstIsNotLetIn) {
  RoundsPair pair({kCertificate}, {kCertificate, kSecret});  // it knows of rounds
  RoundsPair strict({kCertificate, kEap}, {kCertificate, kSecret});
  pair.configs[1] = strict.configs[1];
  pair.start();
  pair.expect_nothing(
      "b: the peer a.example is refused: the peer stops after round 1 of 2; connection 'to-a' then "
      "expects EAP");
  EXPECT_TRUE(pair.b.closed.empty());
}

TEST(AuthRounds, WhoStopsAfterTheFirstByEapIsNotLetIn) {
  RoundsPair pair({kEap}, {kCertificate, kSecret});
  RoundsPair strict({kEap, kCertificate}, {kCertificate, kSecret});
  pair.configs[1] = strict.configs[1];
  pair.start();
  pair.expect_nothing("b: the peer stops after round 1 of 2; connection 'to-a' then expects a certificate");
  EXPECT_TRUE(pair.b.closed.empty());
}

TEST(AuthRounds, WhoGoesOnIsRefused) {
  RoundsPair pair({kCertificate, kEap}, {kCertificate, kSecret});
  RoundsPair lax({kCertificate}, {kCertificate, kSecret});
  pair.configs[1] = lax.configs[1];
  pair.start();
  pair.expect_nothing("b: the peer a.example is refused: the peer wants to prove itself once more after round 1");
}

TEST(AuthRounds, AResponderThatStopsOrGoesOnIsRefused) {
  RoundsPair pair({kCertificate, kSecret}, {kCertificate});
  RoundsPair strict({kCertificate, kSecret}, {kCertificate, kSecret});
  pair.configs[0] = strict.configs[0];
  pair.start();
  pair.expect_nothing("a: the peer stops after round 1 of 2; connection 'to-b' then expects a secret");
  RoundsPair more({kCertificate, kSecret}, {kCertificate, kSecret});
  RoundsPair lax({kCertificate, kSecret}, {kCertificate});
  more.configs[0] = lax.configs[0];
  more.start();
  more.expect_nothing("a: the peer wants to prove itself once more after round 1; connection 'to-b' expects no other");
}

TEST(AuthRounds, AnotherWayThanExpectedIsRefused) {
  RoundsPair pair({kCertificate, kSecret}, {kCertificate});
  RoundsPair other({kCertificate, kEap}, {kCertificate});
  pair.configs[1] = other.configs[1];
  pair.start();
  pair.expect_nothing(
      "b: in round 2 the peer authenticates by method 2 (SHARED_KEY_MIC), connection 'to-a' expects EAP");
}

// The connection is found by the first round; one that has as many rounds as the peer is taken.
TEST(AuthRounds, AConnectionForEachNumberOfRounds) {
  RoundsPair pair({kCertificate, kSecret}, {kCertificate});
  model::ConnectionConfig single = pair.configs[1];
  single.id = model::ConnectionId{2};
  single.name = "single";
  single.peer_rounds.clear();
  pair.b.credentials.emplace(single.id, rounds_credentials(false));
  pair.command(pair.b, ConfigureConnection{single});
  pair.start();
  ASSERT_TRUE(in_step(pair)) << pair.faults();
  EXPECT_EQ(pair.b.ike_sa().connection, kConnection);
  // And the other one for a peer with one round.
  RoundsPair plain({kCertificate}, {kCertificate});
  model::ConnectionConfig several = pair.configs[1];
  several.id = model::ConnectionId{2};
  several.name = "several";
  plain.b.credentials.emplace(several.id, rounds_credentials(false));
  plain.command(plain.b, ConfigureConnection{several});
  plain.start();
  ASSERT_TRUE(in_step(plain)) << plain.faults();
  EXPECT_EQ(plain.b.ike_sa().connection, kConnection);
}

TEST(AuthRounds, OneRoundIsSaidNothingOf) {
  RoundsPair pair({kCertificate}, {kCertificate});
  pair.start();
  ASSERT_TRUE(in_step(pair));
  const auto parsed = codec::parse_message(pair.wire.at(1).message);
  ASSERT_TRUE(parsed);
  codec::Message answer{.header = parsed->header, .payloads = parsed->payloads};
  EXPECT_EQ(answer.notify(NotifyType::multiple_auth_supported), nullptr);
}

// RFC 7296 1.2 and RFC 4739 2.4: the last answer has no AUTH, and may still say that there is no Child SA.
TEST(AuthRounds, AChildSaThatFailsLeavesTheIkeSa) {
  RoundsPair pair({kCertificate, kSecret}, {kCertificate});
  pair.configs[1].local = subnet("10.77.0.0/16");
  pair.start();
  ASSERT_EQ(pair.a.ike_sas.size(), 1U) << pair.faults();
  ASSERT_EQ(pair.b.ike_sas.size(), 1U);
  EXPECT_TRUE(pair.a.children.empty() && pair.b.children.empty());
  ASSERT_EQ(pair.a.failures.size(), 1U);
  EXPECT_TRUE(pair.a.failures[0].child_only);
  EXPECT_EQ(pair.a.failures[0].notify, NotifyType::ts_unacceptable);
  EXPECT_EQ(pair.a.failures[0].detail.find("aes"), std::string::npos) << "it is not the suites";
}

TEST(AuthRounds, GivenUpInTheMiddleNothingStays) {
  for (std::size_t seen = 1; seen < 18; ++seen) {
    SCOPED_TRACE(seen);
    RoundsPair pair({kCertificate, kEap, kSecret}, {kCertificate, kSecret});
    std::size_t count = 0;
    pair.fate = [&](const Datagram&) {
      return ++count > seen ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
    pair.start();
    pair.fate = [&](const Datagram&) { return std::vector<Duration>{Pair::kLatency}; };
    pair.command(pair.a, Terminate{kConnection});
    pair.advance(std::chrono::minutes(5));
    EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
    EXPECT_EQ(pair.a.eap_sessions.size() + pair.b.eap_sessions.size(), 0U);
    EXPECT_TRUE(no_leaks(pair));
  }
}

}  // namespace
}  // namespace culvert::ike::v2::testing
