// What whoever runs this end is told to do.
#include "control/advice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert::control {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ike::NegotiationFailed refused(std::string check) {
  ike::NegotiationFailed failure;
  failure.kind = ike::FailureKind::authentication_failed;
  failure.refusal = model::AuthenticationRefusal{.subject = {}, .serial = {}, .check = std::move(check), .found = "x"};
  return failure;
}

// RFC 4739: neither the secret nor the certificate is wrong then, also where there is EAP.
TEST(Advice, RoundsThatDoNotAgreeAreCompared) {
  model::ConnectionConfig config;
  config.name = "office";
  config.place = {.file = "office.toml", .line = 3};
  for (const bool eap : {false, true}) {
    if (eap) config.eap = model::EapSettings{.client = true, .methods = {}, .identity = "carol"};
    EXPECT_THAT(advice(refused("rounds"), config), HasSubstr("\"peer_auth\" at the other, round by round"));
    EXPECT_THAT(advice(refused("rounds"), config), HasSubstr("office.toml:3"));
    EXPECT_THAT(advice(refused("password"), config), Not(HasSubstr("peer_auth")));
  }
}

// RFC 7296 2.21.2: all that a client hears is that it failed, be it the password or a gateway that has not asked for
// one.
TEST(Advice, AClientOfEapIsNotSentToItsPasswordAlone) {
  model::ConnectionConfig config;
  config.name = "work";
  config.eap = model::EapSettings{.client = true, .methods = {}, .identity = "carol"};
  ike::NegotiationFailed failure;
  failure.kind = ike::FailureKind::authentication_failed;
  failure.notify = model::NotifyType::authentication_failed;
  EXPECT_THAT(advice(failure, config), HasSubstr("The gateway's log tells why"));
  EXPECT_THAT(advice(refused("password"), config), Not(HasSubstr("gateway")));
  EXPECT_THAT(advice(refused("password"), config), HasSubstr("eap_secret"));
}

// Who is silent may be down, or not know us.
TEST(Advice, ASilentRadiusServerIsLookedForFirst) {
  model::ConnectionConfig config;
  config.eap = model::EapSettings{.client = false, .methods = {}, .radius = "office", .identity = {}};
  EXPECT_THAT(advice(refused("radius"), config), HasSubstr("runs and can be reached"));
  EXPECT_THAT(advice(refused("radius"), config), HasSubstr("[radius.office]"));
}

}  // namespace
}  // namespace culvert::control
