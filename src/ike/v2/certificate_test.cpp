// IKE_AUTH by certificate, end to end (RFC 7296 1.2, 2.15, 3.6, 3.7; RFC 7427).
#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "crypto/testing/issuer.hpp"
#include "ike/auth/digital_signature.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2::testing {
namespace {

using crypto::testing::kDay;
using crypto::testing::kToday;
using crypto::testing::TestCertificate;
using crypto::testing::TestKey;
using crypto::testing::Wish;

TestKey key_of(const std::string& kind, int number) {
  static std::map<std::pair<std::string, int>, TestKey> keys;
  const auto found = keys.find({kind, number});
  return found != keys.end() ? found->second : keys.emplace(std::pair(kind, number), TestKey::make(kind)).first->second;
}

const TestCertificate& root() {
  static const auto made = TestCertificate::make(key_of("P-256", 0), crypto::testing::authority("root"));
  return made;
}
const TestCertificate& middle() {
  static const auto made = TestCertificate::make(key_of("P-256", 1), crypto::testing::authority("middle"), &root());
  return made;
}

Credentials credentials(const TestCertificate& own, const TestCertificate& trusted = root(),
                        const std::string& lists = {}) {
  std::vector<crypto::RevocationList> revoked;
  if (!lists.empty()) revoked = *crypto::RevocationList::from_file_content(as_bytes(lists));
  return {.certificates = {own.der(), middle().der()},
          .key = own.key().private_key(),
          .peer = crypto::TrustStore::make(std::vector{trusted.certificate()}, revoked)};
}

TestCertificate issue(const std::string& kind, bool first, const Wish& wish) {
  return TestCertificate::make(key_of(kind, first ? 2 : 3), wish, &middle());
}
Wish wish_of(bool first) { return crypto::testing::peer(first ? "a" : "b", first ? "DNS:a.example" : "DNS:b.example"); }

struct CertificatePair : Pair {
  explicit CertificatePair(const std::string& kind = "P-256") {
    for (Host* one : {&a, &b}) {
      one->calendar = kToday;
      one->credentials.emplace(kConnection, credentials(issue(kind, one == &a, wish_of(one == &a))));
    }
  }
  static model::ConnectionConfig config(bool first) {
    model::ConnectionConfig made = config_of(first);
    made.authentication = model::Authentication::certificate;
    made.authorities = root().certificate().key_digest();
    return made;
  }
  void give(bool first, Credentials held) { host(first).credentials.insert_or_assign(kConnection, std::move(held)); }
  void start(model::ConnectionConfig config_a = config(true), model::ConnectionConfig config_b = config(false)) {
    command(a, ConfigureConnection{std::move(config_a)});
    command(b, ConfigureConnection{std::move(config_b)});
    initiate(*this);
    settle();
  }
  // Both refuse and clean up: no SA, no leak, and the peer hears nothing but AUTHENTICATION_FAILED.
  void expect_refused(bool by_first, const std::string& check) {
    advance(std::chrono::minutes(5));
    EXPECT_TRUE(a.ike_sas.empty() && b.ike_sas.empty());
    EXPECT_TRUE(a.children.empty() && b.children.empty());
    EXPECT_TRUE(no_leaks(*this));
    Host& who = host(by_first);
    ASSERT_FALSE(who.failures.empty());
    const NegotiationFailed& failure = who.failures.front();
    EXPECT_EQ(failure.kind, FailureKind::authentication_failed);
    EXPECT_EQ(failure.notify, model::NotifyType::authentication_failed);
    ASSERT_TRUE(failure.refusal) << failure.detail;
    EXPECT_EQ(failure.refusal->check, check) << failure.detail;
    EXPECT_NE(failure.detail.find(failure.refusal->found), std::string::npos);
    for (const NegotiationFailed& told : host(!by_first).failures) {
      EXPECT_FALSE(told.refusal);
      EXPECT_EQ(told.detail.find(failure.refusal->found), std::string::npos);
    }
  }
};

TEST(Certificates, EachKindOfKeyAuthenticatesBothSides) {
  for (const char* kind : {"RSA:2048", "P-256", "P-384", "P-521", "ED25519", "ED448"}) {
    CertificatePair pair(kind);
    pair.start();
    ASSERT_TRUE(in_step(pair)) << kind << (pair.a.failures.empty() ? "" : pair.a.failures.front().detail)
                               << (pair.b.failures.empty() ? "" : pair.b.failures.front().detail);
    EXPECT_EQ(pair.a.ike_sa().remote_id, model::Identity::parse("b.example"));
    EXPECT_EQ(pair.b.ike_sa().remote_id, model::Identity::parse("a.example"));
    // Of messages in fragments the first ones.
    const auto messages = std::ranges::count_if(pair.wire, [](const Datagram& one) {
      const auto sealed = codec::parse_message(one.message)->sealed;
      return !sealed || !sealed->fragment || sealed->fragment->number == 1;
    });
    EXPECT_EQ(messages, 4);
  }
}

TEST(Certificates, AnIdentityMayBeTheSubjectHoweverItIsWritten) {
  CertificatePair pair;
  auto a = CertificatePair::config(true);
  auto b = CertificatePair::config(false);
  a.local_id = model::Identity{model::IdentificationType::der_asn1_dn,
                               issue("P-256", true, wish_of(true)).certificate().subject_der()};
  b.remote_id = model::Identity::parse("c=ch,o=culvert,cn=A");
  b.peer.reset();  // found by its identity alone
  pair.start(a, b);
  ASSERT_TRUE(in_step(pair));
  EXPECT_EQ(pair.b.ike_sa().remote_id.to_string(), "C=ch, O=culvert, CN=A");
}

// RFC 7427 4, RFC 7296 3.7: what is announced and asked for.
// To look at a certificate may take as long as others take to say whether it is revoked. Whoever waits is told that the
// peer has answered.
TEST(Certificates, ThatOneIsBeingCheckedIsTold) {
  CertificatePair pair;
  pair.start();
  ASSERT_EQ(pair.a.children.size(), 1U);
  EXPECT_EQ(std::ranges::count_if(pair.a.log,
                                  [](const std::string& text) { return text.starts_with("received IKE_AUTH resp"); }),
            1);
}

TEST(Certificates, HashesAndAuthoritiesAreAnnounced) {
  CertificatePair pair;
  pair.start();
  for (const std::size_t index : {0U, 1U}) {
    const auto parsed = codec::parse_message(pair.wire[index].message);
    ASSERT_TRUE(parsed);
    const codec::Message message{.header = parsed->header, .payloads = parsed->payloads};
    const auto* hashes = message.notify(model::NotifyType::signature_hash_algorithms);
    ASSERT_NE(hashes, nullptr) << index;
    EXPECT_EQ(auth::decode_hashes(hashes->data), auth::accepted_hashes());
    EXPECT_EQ(message.count(model::PayloadType::certreq), index);
    if (index == 1) {
      EXPECT_EQ(message.first<codec::CertReqPayload>()->authorities, root().certificate().key_digest());
    }
  }
}

TEST(Certificates, ConnectionsWithSecretsAnnounceNothing) {
  Pair pair;
  bring_up(pair);
  for (const std::size_t index : {0U, 1U}) {
    const auto parsed = codec::parse_message(pair.wire[index].message);
    const codec::Message message{.header = parsed->header, .payloads = parsed->payloads};
    EXPECT_EQ(message.notify(model::NotifyType::signature_hash_algorithms), nullptr);
    EXPECT_EQ(message.count(model::PayloadType::certreq), 0u);
  }
}

// Each fault at either side.
class CertificateRefusal : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Sides, CertificateRefusal, ::testing::Bool(),
                         [](const auto& one) { return one.param ? "Responder" : "Initiator"; });

TEST_P(CertificateRefusal, Expired) {
  CertificatePair pair;
  Wish wish = wish_of(GetParam());
  wish.until = kToday - kDay;
  pair.give(GetParam(), credentials(issue("P-256", GetParam(), wish)));
  pair.start();
  pair.expect_refused(!GetParam(), "expired");
}

TEST_P(CertificateRefusal, OfAnotherAuthority) {
  CertificatePair pair;
  const auto other = TestCertificate::make(key_of("P-256", 4), crypto::testing::authority("root"));
  pair.give(!GetParam(), credentials(issue("P-256", !GetParam(), wish_of(!GetParam())), other));
  pair.start();
  pair.expect_refused(!GetParam(), pair.host(!GetParam()).failures.front().refusal->check);
  EXPECT_NE(pair.host(!GetParam()).failures.front().refusal->check, "identity");
}

TEST_P(CertificateRefusal, Revoked) {
  CertificatePair pair;
  pair.give(!GetParam(), credentials(issue("P-256", !GetParam(), wish_of(!GetParam())), root(),
                                     root().revocation_list({}) + middle().revocation_list({4660})));
  pair.start();
  pair.expect_refused(!GetParam(), "revoked");
}

TEST_P(CertificateRefusal, OfAnotherIdentity) {
  CertificatePair pair;
  pair.give(GetParam(), credentials(issue("P-256", GetParam(), crypto::testing::peer("x", "DNS:x.example"))));
  pair.start();
  pair.expect_refused(!GetParam(), "identity");
}

TEST_P(CertificateRefusal, SignedByAnotherKey) {
  CertificatePair pair;
  Credentials held = credentials(issue("P-256", GetParam(), wish_of(GetParam())));
  held.key = key_of("P-256", 7).private_key();
  pair.give(GetParam(), std::move(held));
  pair.start();
  pair.expect_refused(!GetParam(), "signature");
}

TEST_P(CertificateRefusal, WithoutACertificate) {
  CertificatePair pair;
  Credentials held = credentials(issue("P-256", GetParam(), wish_of(GetParam())));
  held.certificates.clear();
  pair.give(GetParam(), std::move(held));
  pair.start();
  pair.expect_refused(!GetParam(), "certificate");
}

TEST_P(CertificateRefusal, WithMoreCertificatesThanAnybodyNeeds) {
  CertificatePair pair;
  Credentials held = credentials(issue("P-256", GetParam(), wish_of(GetParam())));
  held.certificates.resize(9, middle().der());
  pair.give(GetParam(), std::move(held));
  pair.start();
  pair.expect_refused(!GetParam(), "certificate");
}

TEST(Certificates, SecretsAndCertificatesDoNotMix) {
  for (const bool first : {true, false}) {
    CertificatePair pair;
    pair.a.secrets[kConnection] = pair.b.secrets[kConnection] = to_bytes(as_bytes("a shared secret"));
    auto a = CertificatePair::config(true);
    auto b = CertificatePair::config(false);
    (first ? a : b).authentication = model::Authentication::shared_key;
    pair.start(a, b);
    pair.advance(std::chrono::minutes(5));
    EXPECT_TRUE(pair.a.ike_sas.empty() && pair.b.ike_sas.empty());
    ASSERT_FALSE(pair.b.failures.empty());
    EXPECT_NE(pair.b.failures.front().detail.find(first ? "expects a certificate, not a secret"
                                                        : "expects a secret, not a certificate"),
              std::string::npos)
        << pair.b.failures.front().detail;
  }
}

TEST(Certificates, WithoutAKeyNothingGoesOut) {
  CertificatePair pair;
  pair.a.credentials.clear();
  pair.start();
  ASSERT_EQ(pair.a.failures.size(), 1u);
  EXPECT_EQ(pair.a.failures.front().kind, FailureKind::local_error);
  EXPECT_EQ(pair.wire.size(), 2u);  // IKE_SA_INIT only
}

// RFC 7296 2.15: the messages of IKE_SA_INIT are signed, so that nobody on the way can take hashes off the list.
TEST(Certificates, TheAnnouncementIsUnderTheSignature) {
  CertificatePair pair;
  pair.command(pair.a, ConfigureConnection{CertificatePair::config(true)});
  pair.command(pair.b, ConfigureConnection{CertificatePair::config(false)});
  bool changed = false;
  pair.fate = [&](const Datagram& datagram) {
    auto& octets = const_cast<Datagram&>(datagram).message;
    // The hashes of the notification, behind its type.
    for (std::size_t at = 0; !changed && at + 4 < octets.size(); ++at) {
      if (load_be16(&octets[at]) != 16431 || load_be16(&octets[at + 2]) != 2) continue;
      octets[at + 3] = 4;
      changed = true;
    }
    return std::vector<Duration>{Pair::kLatency};
  };
  initiate(pair);
  pair.settle();
  ASSERT_TRUE(changed);
  pair.expect_refused(false, "signature");
}

TEST(Certificates, RekeysAndLivenessGoOnAsWithSecrets) {
  CertificatePair pair;
  pair.start();
  pair.command(pair.a, RekeyIkeSa{pair.a.ike_sa().ike_sa});
  pair.settle();
  pair.advance(std::chrono::seconds(10));
  EXPECT_TRUE(in_step(pair));
}

// RFC 7670: each knows the other's key, or one of them sends a certificate.
TEST(RawKeys, AuthenticateBothWays) {
  for (const char* kind : {"RSA:2048", "P-256", "P-384", "ED25519", "ED448"}) {
    for (const bool a_has_certificate : {false, true}) {
      CertificatePair pair;
      const auto keys = std::array{key_of(kind, 2), key_of(kind, 3)};
      const auto by_key = [&](bool first) {
        auto config = CertificatePair::config(first);
        config.authorities.clear();
        config.peer_by_key = true;
        return config;
      };
      if (!a_has_certificate) {
        pair.give(true, {.certificates = {}, .key = keys[0].private_key(), .peer = keys[1].private_key().public_key()});
        pair.give(false,
                  {.certificates = {}, .key = keys[1].private_key(), .peer = keys[0].private_key().public_key()});
        pair.start(by_key(true), by_key(false));
      } else {
        // a proves itself by certificate and knows the key of b.
        auto held = credentials(issue(kind, true, wish_of(true)));
        held.peer = keys[1].private_key().public_key();
        pair.give(true, std::move(held));
        pair.give(false, {.certificates = {},
                          .key = keys[1].private_key(),
                          .peer = crypto::TrustStore::make(std::vector{root().certificate()}, {})});
        pair.start(by_key(true));
      }
      EXPECT_EQ(pair.a.children.size(), 1U) << kind << a_has_certificate;
      EXPECT_EQ(pair.b.children.size(), 1U) << kind << a_has_certificate;
    }
  }
}

// CVE-2020-16088: a key that nobody has configured proves nobody.
TEST(RawKeys, AnotherKeyIsRefused) {
  for (const bool by_first : {false, true}) {
    CertificatePair pair;
    const auto keys = std::array{key_of("ED25519", 2), key_of("ED25519", 3)};
    const auto stranger = key_of("ED25519", 7).private_key().public_key();
    for (const bool first : {true, false}) {
      pair.give(first, {.certificates = {},
                        .key = keys[first ? 0 : 1].private_key(),
                        .peer = first == by_first ? stranger : keys[first ? 1 : 0].private_key().public_key()});
    }
    auto config_a = CertificatePair::config(true);
    auto config_b = CertificatePair::config(false);
    config_a.peer_by_key = config_b.peer_by_key = true;
    pair.start(std::move(config_a), std::move(config_b));
    pair.expect_refused(by_first, "public_key");
  }
}

// A certificate vouches for nothing where one key is expected, and a raw key for nothing where a certificate is.
TEST(RawKeys, OneIsNotTakenForTheOther) {
  CertificatePair pair;
  pair.give(true, {.certificates = {},
                   .key = key_of("P-256", 2).private_key(),
                   .peer = crypto::TrustStore::make(std::vector{root().certificate()}, {})});
  pair.start();
  pair.expect_refused(false, "certificate");

  CertificatePair other;
  auto held = credentials(issue("P-256", false, wish_of(false)));
  held.peer = key_of("P-256", 7).private_key().public_key();
  other.give(false, std::move(held));
  auto config = CertificatePair::config(false);
  config.peer_by_key = true;
  other.start(CertificatePair::config(true), std::move(config));
  other.expect_refused(false, "signature");
}

}  // namespace
}  // namespace culvert::ike::v2::testing
