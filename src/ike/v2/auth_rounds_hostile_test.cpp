// Several authentications one behind the other (RFC 4739), with peers that keep to no rule.
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/v2/testing/forger.hpp"
#include "ike/v2/testing/rounds_pair.hpp"

namespace culvert::ike::v2::testing {
namespace {

using model::ExchangeType;
using model::NotifyType;
using model::Role;
using ::testing::HasSubstr;

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
