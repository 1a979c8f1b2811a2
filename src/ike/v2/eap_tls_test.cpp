// Methods built on TLS within IKE_AUTH, and EAP as the only authentication (RFC 5998), end to end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/eap/testing/tls_ends.hpp"
#include "ike/secrets.hpp"
#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using eap::testing::TlsEnd;
using model::EapType;
using model::ExchangeType;
using model::NotifyType;
using model::Role;

constexpr std::string_view kCarol = "carol@example.net";

/// a proves itself as carol; b has a certificate within TLS, and the shared secret.
struct TlsPair {
  explicit TlsPair(EapType type, const EndpointSettings& settings = {}, std::uint64_t seed = 1)
      : a(config_of(true)), b(config_of(false)), pair(seed, settings) {
    const std::vector<model::EapInner> inner{model::EapInner::mschapv2};
    a.eap = model::EapSettings{.client = true, .methods = {type}, .identity = std::string(kCarol), .inner = inner};
    b.eap = model::EapSettings{.client = false, .methods = {type}, .identity = {}, .inner = inner};
    pair.a.users[std::string(kCarol)] = pair.b.users[std::string(kCarol)] = to_bytes(as_bytes("a pass phrase"));
    pair.a.calendar = pair.b.calendar = eap::testing::kToday;
    pair.a.eap_tls = TlsEnd::of(eap::testing::client_certificate()).context(false);
    pair.b.eap_tls = TlsEnd::of(eap::testing::server_certificate()).context(true);
  }
  void run() {
    configure(pair, a, b);
    initiate(pair);
    pair.settle();
  }
  [[nodiscard]] bool nothing_left() {
    pair.advance(std::chrono::minutes(2));
    return pair.a.ike_sas.empty() && pair.b.ike_sas.empty() && no_leaks(pair) && pair.a.eap_sessions.size() == 0 &&
           pair.b.eap_sessions.size() == 0;
  }
  model::ConnectionConfig a;
  model::ConnectionConfig b;
  Pair pair;
};

constexpr EapType kEach[] = {EapType::tls, EapType::ttls, EapType::peap};

TEST(EapTls, EachMethodSetsUp) {
  for (const EapType type : kEach) {
    SCOPED_TRACE(name_of(type));
    TlsPair eap(type);
    eap.run();
    ASSERT_TRUE(in_step(eap.pair)) << (eap.pair.a.failures.empty() ? "" : eap.pair.a.failures[0].detail)
                                   << (eap.pair.b.failures.empty() ? "" : eap.pair.b.failures[0].detail);
    EXPECT_EQ(eap.pair.b.ike_sa().admission.eap_identity(), kCarol);
    EXPECT_EQ(eap.pair.a.eap_sessions.size() + eap.pair.b.eap_sessions.size(), 0u);
  }
}

// RFC 5723 6.2: a ticket is not good for longer than what its holder has proved itself with.
TEST(EapTls, ATicketEndsWithTheClientsCertificate) {
  for (const EapType type : {EapType::tls, EapType::ttls}) {
    TlsPair eap(type);
    eap.a.life.resumption = eap.b.life.resumption = std::chrono::hours(10);
    const auto end = eap::testing::client_certificate().certificate().not_after();
    const auto now = end - 600;
    eap.pair.a.calendar = eap.pair.b.calendar = now;
    auto secrets = std::make_shared<EndpointSecrets>();
    secrets->ticket_keys.push_back(TicketKey{.id = {1}, .made = 0, .key = SecretBytes(32)});
    eap.pair.command(eap.pair.b, UseSecrets{.secrets = std::move(secrets), .calendar = now});
    eap.pair.command(eap.pair.a, UseSecrets{.secrets = std::make_shared<EndpointSecrets>(), .calendar = now});
    eap.run();
    ASSERT_TRUE(in_step(eap.pair));
    const std::string bound = type == EapType::tls ? "good for 600 s" : "good for 14400 s";
    EXPECT_THAT(eap.pair.a.log, ::testing::Contains(::testing::HasSubstr(bound))) << name_of(type);
  }
}

TEST(EapTls, WithLossAndDuplicates) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    TlsPair eap(kEach[seed % 3], {}, seed);
    SeededRandom chance(seed);
    eap.pair.fate = [&](const Datagram&) {
      std::vector<Duration> copies;
      for (int n = 0; n < 2; ++n) {
        if (chance.below(10) < 6) copies.push_back(std::chrono::milliseconds(1 + chance.below(200)));
      }
      return copies;
    };
    configure(eap.pair, eap.a, eap.b);
    initiate(eap.pair);
    eap.pair.advance(std::chrono::minutes(2));
    EXPECT_TRUE(in_step(eap.pair) || !eap.pair.a.failures.empty());
    EXPECT_EQ(eap.pair.a.eap_sessions.size() + eap.pair.b.eap_sessions.size(), 0u);
  }
}

TEST(EapTls, ARefusedServerNamesTheCertificate) {  // CVE-2023-26463
  for (const bool only : {false, true}) {
    for (const EapType type : kEach) {
      TlsPair eap(type);
      eap.a.eap->only = eap.b.eap->only = only;
      eap.pair.b.eap_tls =
          TlsEnd::of(eap::testing::issue(crypto::testing::peer("server", "DNS:b.example"), eap::testing::stranger()))
              .context(true);
      eap.run();
      EXPECT_TRUE(eap.nothing_left());
      ASSERT_EQ(eap.pair.a.failures.size(), 1u);
      ASSERT_TRUE(eap.pair.a.failures[0].refusal) << eap.pair.a.failures[0].detail;
      EXPECT_EQ(eap.pair.a.failures[0].refusal->check, "issuer");
      EXPECT_NE(eap.pair.a.failures[0].detail.find("CN=server"), std::string::npos) << eap.pair.a.failures[0].detail;
      EXPECT_EQ(eap.pair.b.failures.size(), 1u);
    }
  }
}

TEST(EapTls, ARefusedClientNamesTheCertificate) {  // CVE-2023-26463
  TlsPair eap(EapType::tls);
  eap.pair.a.eap_tls =
      TlsEnd::of(eap::testing::issue(crypto::testing::peer("dave", "email:dave@example.net"))).context(false);
  eap.run();
  EXPECT_TRUE(eap.nothing_left());
  ASSERT_EQ(eap.pair.b.failures.size(), 1u);
  ASSERT_TRUE(eap.pair.b.failures[0].refusal);
  EXPECT_EQ(eap.pair.b.failures[0].refusal->check, "eap_identity");
  EXPECT_NE(eap.pair.b.failures[0].detail.find("dave@example.net"), std::string::npos);
}

// Whose certificate the server of TLS must have: the responder's own, where nothing else is configured.
TEST(EapTls, TheServerIsTheResponderUnlessConfigured) {
  TlsPair eap(EapType::ttls);
  eap.pair.b.eap_tls =
      TlsEnd::of(eap::testing::issue(crypto::testing::peer("server", "DNS:radius.example"))).context(true);
  eap.run();
  ASSERT_EQ(eap.pair.a.failures.size(), 1u);
  EXPECT_EQ(eap.pair.a.failures[0].refusal->check, "eap_server");
  TlsPair other(EapType::ttls);
  other.pair.b.eap_tls = eap.pair.b.eap_tls;
  other.a.eap->server = model::Identity::parse("radius.example");
  other.run();
  EXPECT_TRUE(in_step(other.pair));
}

TEST(EapOnly, NoProofBesideEap) {  // RFC 5998 3
  for (const EapType type : kEach) {
    SCOPED_TRACE(name_of(type));
    TlsPair eap(type);
    eap.a.eap->only = eap.b.eap->only = true;
    // Neither has the secret that the responder's own AUTH would need.
    configure(eap.pair, eap.a, eap.b);
    eap.pair.a.secrets.clear();
    eap.pair.b.secrets.clear();
    initiate(eap.pair);
    eap.pair.settle();
    ASSERT_TRUE(in_step(eap.pair)) << (eap.pair.a.failures.empty() ? "" : eap.pair.a.failures[0].detail)
                                   << (eap.pair.b.failures.empty() ? "" : eap.pair.b.failures[0].detail);
    EXPECT_EQ(eap.pair.b.ike_sa().admission.eap_identity(), kCarol);
  }
}

// RFC 5998 3: a responder that does not know of it has AUTH, which is judged as ever.
TEST(EapOnly, AResponderThatDoesNotTakePart) {
  TlsPair eap(EapType::ttls);
  eap.a.eap->only = true;
  eap.run();
  EXPECT_TRUE(in_step(eap.pair));
  TlsPair wrong(EapType::ttls);
  wrong.a.eap->only = true;
  configure(wrong.pair, wrong.a, wrong.b);
  wrong.pair.b.secrets[kConnection] = to_bytes(as_bytes("not the shared secret"));
  initiate(wrong.pair);
  wrong.pair.settle();
  EXPECT_TRUE(wrong.pair.a.ike_sas.empty());
  ASSERT_EQ(wrong.pair.a.failures.size(), 1u);
  EXPECT_EQ(wrong.pair.a.failures[0].kind, FailureKind::authentication_failed);
  EXPECT_TRUE(wrong.nothing_left());
}

TEST(EapOnly, NobodyIsSparedItWithoutAsking) {
  TlsPair eap(EapType::ttls);
  eap.b.eap->only = true;
  configure(eap.pair, eap.a, eap.b);
  eap.pair.b.secrets[kConnection] = to_bytes(as_bytes("not the shared secret"));
  initiate(eap.pair);
  eap.pair.settle();
  EXPECT_TRUE(eap.pair.a.ike_sas.empty()) << "the responder's AUTH was to be judged, and is wrong";
  EXPECT_TRUE(eap.nothing_left());
}

// RFC 5998 3, 4: a method that proves one side only proves nobody to the client.
TEST(EapOnly, MethodsThatProveOneSideAreNotTaken) {
  for (const EapType type : {EapType::mschapv2, EapType::md5_challenge, EapType::gtc}) {
    SCOPED_TRACE(name_of(type));
    TlsPair eap(type);
    eap.a.eap->only = eap.b.eap->only = true;
    eap.run();
    EXPECT_TRUE(eap.nothing_left());
    EXPECT_FALSE(eap.pair.b.failures.empty());
  }
}

TEST(EapOnly, OfSeveralMethodsOneThatProvesBothSidesIsTaken) {
  TlsPair eap(EapType::ttls);
  eap.a.eap->only = eap.b.eap->only = true;
  eap.b.eap->methods = {EapType::mschapv2, EapType::ttls};
  eap.run();
  ASSERT_TRUE(in_step(eap.pair));
  EXPECT_TRUE(eap.pair.b.logged("by TTLS"));
}

// A client that has asked for it, and a responder that offers what does not prove it: the client says no.
TEST(EapOnly, TheClientTakesNoWeakMethodFromAResponderWithoutProof) {
  TlsPair eap(EapType::mschapv2);
  eap.a.eap->methods = {EapType::mschapv2, EapType::ttls};
  eap.a.eap->only = eap.b.eap->only = true;
  eap.b.eap->methods = {EapType::ttls};
  eap.run();
  ASSERT_TRUE(in_step(eap.pair));
  EXPECT_TRUE(eap.pair.a.logged("by TTLS"));
}

}  // namespace
}  // namespace culvert::ike::v2
