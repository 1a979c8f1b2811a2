// Several authentications one behind the other (RFC 4739): two endpoints in all orders of rounds, peers that know
// nothing of it or stop too soon, and peers that keep to no rule.
#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing/issuer.hpp"
#include "ike/eap/packet.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {
namespace {

using crypto::testing::kToday;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using model::Authentication;
using model::AuthRound;
using model::EapType;
using model::ExchangeType;
using model::NotifyType;
using model::Role;
using ::testing::HasSubstr;

Bytes octets(std::string_view text) { return to_bytes(as_bytes(text)); }

struct World {
  TestCertificate root = TestCertificate::make(TestKey::make("P-256"), crypto::testing::authority("root"));
  TestKey key = TestKey::make("P-256");
};
const World& world() {
  static const World made;
  return made;
}

Credentials credentials(bool first) {
  const TestCertificate own = TestCertificate::make(
      world().key, crypto::testing::peer(first ? "a" : "b", first ? "DNS:a.example" : "DNS:b.example"), &world().root);
  return {.certificates = {own.der()},
          .key = own.key().private_key(),
          .peer = crypto::TrustStore::make(std::vector{world().root.certificate()}, {})};
}

using Way = std::optional<Authentication>;  // nothing: EAP
constexpr Way kSecret = Authentication::shared_key;
constexpr Way kCertificate = Authentication::certificate;
constexpr Way kEap = std::nullopt;

std::string in_words(const std::vector<Way>& ways) {
  std::string out;
  for (const Way& way : ways) out += std::string(way ? name_of(*way) : "eap") + " ";
  return out;
}

/// a proves itself by the one list, b by the other; only a by EAP, as carol.
struct RoundsPair : Pair {
  RoundsPair(std::vector<Way> first, std::vector<Way> second, std::uint64_t seed = 1, EndpointSettings settings = {})
      : Pair(seed, settings), ways_a(std::move(first)), ways_b(std::move(second)) {
    for (Host* one : {&a, &b}) {
      const bool is_a = one == &a;
      one->calendar = kToday;
      one->credentials.emplace(kConnection, credentials(is_a));
      one->secrets[kConnection] = octets("a shared secret");
      one->users["carol"] = octets("a pass phrase");
      model::ConnectionConfig config = config_of(is_a);
      config.authorities = world().root.certificate().key_digest();
      const bool eap = std::ranges::find(ways_a, kEap) != ways_a.end();
      if (eap) config.eap = model::EapSettings{.client = is_a, .methods = {EapType::mschapv2}, .identity = "carol"};
      set(config, is_a ? ways_a : ways_b, true);
      set(config, is_a ? ways_b : ways_a, false);
      if (is_a) name_eap(config);
      configs[is_a ? 0 : 1] = std::move(config);
    }
  }
  static void set(model::ConnectionConfig& config, const std::vector<Way>& ways, bool own) {
    const Authentication begin = ways.front().value_or(Authentication::shared_key);
    if (own) {
      config.authentication = begin;
    } else {
      config.peer_authentication = begin;
    }
    auto& more = own ? config.own_rounds : config.peer_rounds;
    for (std::size_t i = 1; i < ways.size(); ++i) more.push_back({.by = ways[i]});
  }
  static void name_eap(model::ConnectionConfig& config) {
    for (AuthRound& round : config.own_rounds) {
      if (!round.by) round.id = model::Identity::parse("carol");
    }
  }
  void start() {
    command(a, ConfigureConnection{configs[0]});
    command(b, ConfigureConnection{configs[1]});
    initiate(*this);
    settle();
  }
  [[nodiscard]] std::string faults() const {
    std::string all;
    for (const Host* one : {&a, &b}) {
      for (const NegotiationFailed& failure : one->failures) all += one->name + ": " + failure.detail + "\n";
    }
    return all;
  }
  /// Long after: neither end has anything, and b has never had an IKE SA.
  void expect_nothing(std::string_view reason) {
    advance(std::chrono::minutes(5));
    EXPECT_TRUE(a.ike_sas.empty() && b.ike_sas.empty());
    EXPECT_TRUE(no_leaks(*this));
    EXPECT_EQ(a.eap_sessions.size() + b.eap_sessions.size(), 0U);
    EXPECT_THAT(faults(), HasSubstr(std::string(reason)));
  }
  [[nodiscard]] std::size_t auth_requests() const {
    std::set<std::uint32_t> seen;
    for (const Datagram& one : wire) {
      const codec::Header header = one.header();
      if (one.from_a && header.exchange == ExchangeType::ike_auth) seen.insert(header.message_id.value());
    }
    return seen.size();
  }
  std::vector<Way> ways_a, ways_b;
  std::array<model::ConnectionConfig, 2> configs;
};

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
  explicit CertificatesPair(const TestCertificate& users = world().root)
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
  pair.a.credentials.at(kConnection) = credentials(true);
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
            TestCertificate::make(world().key, crypto::testing::peer("a", "DNS:a.example"), &stranger);
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
  pair.b.credentials.emplace(single.id, credentials(false));
  pair.command(pair.b, ConfigureConnection{single});
  pair.start();
  ASSERT_TRUE(in_step(pair)) << pair.faults();
  EXPECT_EQ(pair.b.ike_sa().connection, kConnection);
  // And the other one for a peer with one round.
  RoundsPair plain({kCertificate}, {kCertificate});
  model::ConnectionConfig several = pair.configs[1];
  several.id = model::ConnectionId{2};
  several.name = "several";
  plain.b.credentials.emplace(several.id, credentials(false));
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

// ---------------------------------------------------------------- peers that keep to no rule

/// a goes as far as `requests` of IKE_AUTH, then somebody with its keys goes on.
struct Takeover : RoundsPair {
  Takeover(std::vector<Way> first, std::vector<Way> second, std::size_t requests)
      : RoundsPair(std::move(first), std::move(second), 1, exporting()) {
    fate = [this, requests](const Datagram& datagram) {
      const codec::Header header = datagram.header();
      const bool lost = datagram.from_a && header.message_id.value() > requests;
      return lost ? std::vector<Duration>{} : std::vector<Duration>{Pair::kLatency};
    };
    start();
    CHECK(b.ike_sas.empty());
    forger.emplace(b.exported.at(0), static_cast<std::uint32_t>(requests + 1));
  }
  void expect_refused(std::vector<codec::Payload> payloads, NotifyType type) {
    const codec::Message answer = forger->ask(*this, ExchangeType::ike_auth, std::move(payloads));
    ASSERT_NE(answer.error_notify(), nullptr);
    EXPECT_EQ(answer.error_notify()->type, type);
    EXPECT_EQ(answer.first<codec::AuthPayload>(), nullptr);
    EXPECT_EQ(answer.first<codec::SaPayload>(), nullptr);
    EXPECT_TRUE(b.ike_sas.empty());
    ASSERT_EQ(b.failures.size(), 1U);
    EXPECT_EQ(b.eap_sessions.size(), 0U);
    // It is the end: the next request is not heard.
    const std::size_t sent = wire.size();
    inject(b, path_from(false, 4500), forger->request(ExchangeType::ike_auth, {}));
    EXPECT_EQ(wire.size(), sent);
  }
  std::optional<Forger> forger;
};

codec::Payload id_payload(std::string_view name = "a.example") {
  return codec::IdPayload{.side = Role::initiator, .identity = model::Identity::parse(name), .reserved = {}};
}
codec::Payload auth_payload(model::AuthenticationMethod method = model::AuthenticationMethod::shared_key_mic) {
  return codec::AuthPayload{.method = method, .data = Bytes(32, 0x5a)};
}
codec::Payload eap_payload() { return codec::EapPayload{Bytes{2, 0, 0, 5, 1}}; }

TEST(AuthRoundsHostile, NothingButTheNextRoundBehindTheFirst) {
  const std::vector<std::pair<std::vector<codec::Payload>, NotifyType>> tries = {
      {{}, NotifyType::authentication_failed},                              // as if there was no more
      {{auth_payload()}, NotifyType::authentication_failed},                // without an identity
      {{eap_payload()}, NotifyType::authentication_failed},                 // EAP that nobody began
      {{id_payload(), auth_payload()}, NotifyType::authentication_failed},  // the secret instead of EAP
      {{id_payload(), eap_payload()}, NotifyType::invalid_syntax},          // EAP is begun by the server
      {{id_payload(), id_payload()}, NotifyType::invalid_syntax},
      {{id_payload(), auth_payload(model::AuthenticationMethod::null)}, NotifyType::authentication_failed},
  };
  for (std::size_t i = 0; i < tries.size(); ++i) {
    SCOPED_TRACE(i);
    Takeover peer({kCertificate, kEap}, {kCertificate}, 1);
    peer.expect_refused(tries[i].first, tries[i].second);
  }
}

TEST(AuthRoundsHostile, TheSecondRoundIsNoExcuseForAWrongAuth) {
  Takeover peer({kCertificate, kSecret}, {kCertificate}, 1);
  peer.expect_refused({id_payload(), auth_payload()}, NotifyType::authentication_failed);
  EXPECT_THAT(peer.b.failures[0].detail, HasSubstr("does not have our secret"));
}

TEST(AuthRoundsHostile, ARoundWithinEap) {
  for (const auto& payloads : {std::vector<codec::Payload>{id_payload(), auth_payload()},
                               std::vector<codec::Payload>{id_payload()}, std::vector<codec::Payload>{}}) {
    Takeover peer({kSecret, kEap, kCertificate}, {kCertificate}, 2);
    ASSERT_EQ(peer.b.eap_sessions.size(), 1U);
    peer.expect_refused(payloads, NotifyType::invalid_syntax);
  }
}

// The responder has more to prove; the initiator does not begin again meanwhile.
TEST(AuthRoundsHostile, ARoundThatIsNotExpectedAnyMore) {
  for (const auto& payloads :
       {std::vector<codec::Payload>{id_payload(), auth_payload()}, std::vector<codec::Payload>{id_payload()},
        std::vector<codec::Payload>{auth_payload()}, std::vector<codec::Payload>{eap_payload()}}) {
    Takeover peer({kSecret}, {kCertificate, kSecret}, 1);
    peer.expect_refused(payloads, NotifyType::authentication_failed);
    EXPECT_THAT(peer.b.failures[0].detail, HasSubstr("goes on after round 1"));
  }
}

// Whoever lets the round that it announced never come is half-open, and goes like all that are.
TEST(AuthRoundsHostile, TheNextRoundNeverComes) {
  Takeover peer({kCertificate, kEap}, {kCertificate}, 1);
  EXPECT_EQ(peer.b.endpoint().counters().half_open, 1U);
  peer.advance(std::chrono::minutes(2));
  EXPECT_TRUE(peer.b.ike_sas.empty());
  EXPECT_EQ(peer.b.endpoint().counters().half_open, 0U);
}

}  // namespace
}  // namespace culvert::ike::v2::testing
