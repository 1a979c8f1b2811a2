// Session resumption (RFC 5723): a ticket is asked for and given, shown after an accident, good once, and void when it
// should be; without it everything goes on in full.
#include "ike/v2/resumption.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/v2/testing/resumption.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// RFC 8784 3, RFC 5723 5.1: what the PPK brought is in SK_d, and so in the keys that come of it, here and in what is
// resumed from that.
TEST_F(ResumptionTest, ThePpkIsInTheKeysStill) {
  for (const auto exchange : {model::PpkExchange::ike_auth, model::PpkExchange::intermediate}) {
    renew();
    auto a = resuming(true);
    auto b = resuming(false);
    a.ppk = b.ppk = model::Ppk{.id = "office", .required = true, .exchange = exchange};
    pair->a.ppks[kConnection] = pair->b.ppks[kConnection] = to_bytes(as_bytes("32 octets that no computer guesses"));
    start(a, b);
    const PpkUse use = exchange == model::PpkExchange::ike_auth ? PpkUse::ike_auth : PpkUse::intermediate;
    for (int times = 0; times < 3; ++times) {
      EXPECT_EQ(pair->a.ike_sa().ppk, use) << times;
      EXPECT_EQ(pair->b.ike_sa().ppk, use) << times;
      EXPECT_EQ(pair->b.ike_sa().resumed, times > 0);
      crash(pair->b);
      wait_until_lost(pair->a);
      resume();
      ASSERT_TRUE(in_step(*pair));
    }
  }
}

// RFC 5723 4.1 to 4.3: the ticket comes with IKE_AUTH; two round trips bring the IKE SA and its Child SA back.
TEST_F(ResumptionTest, AfterACrashOfTheGateway) {
  start();
  EXPECT_EQ(pair->b.endpoint().counters().tickets, 1u);
  EXPECT_FALSE(pair->a.ike_sa().resumed);
  const model::IkeSuite suite = pair->a.ike_sa().suite;
  crash(pair->b);
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_TRUE(pair->a.ike_sa().resumed && pair->b.ike_sa().resumed);
  EXPECT_EQ(pair->a.ike_sa().suite, suite);
  EXPECT_EQ(pair->b.ike_sa().remote_id, model::Identity::parse("a.example"));
  EXPECT_TRUE(sent(ExchangeType::ike_sa_init, true).empty());
  EXPECT_EQ(sent(ExchangeType::ike_session_resume, true).size(), 1u);
  EXPECT_EQ(sent(ExchangeType::ike_auth, true).size(), 1u);
  EXPECT_TRUE(no_leaks(*pair));
  // And once more: the resumed IKE SA has a ticket of its own.
  crash(pair->b);
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_TRUE(pair->a.ike_sa().resumed);
}

// RFC 5723 4.3.4: the gateway still has the old IKE SA; it goes without a word.
TEST_F(ResumptionTest, TheOldIkeSaOfTheGatewayGoesSilently) {
  start();
  const auto old = pair->b.ike_sa().ike_sa;
  wait_until_lost(pair->a);
  ASSERT_EQ(pair->b.ike_sas.size(), 1u);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_NE(pair->b.ike_sa().ike_sa, old);
  EXPECT_TRUE(sent(ExchangeType::informational, false).empty());
  EXPECT_TRUE(no_leaks(*pair));
}

// RFC 5723 5.1: keys of their own for each IKE SA, from both nonces.
TEST_F(ResumptionTest, TheKeysAreNewEachTime) {
  start();
  const Bytes first = to_bytes(pair->a.child().outbound.encryption.view());
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(equal(first, pair->a.child().outbound.encryption.view()));
  const SecretBytes sk_d = SecretBytes::copy_of(Bytes(32, 1));
  const Bytes ni(32, 2);
  const Bytes nr(32, 3);
  const crypto::Prf prf = crypto::HashId::sha2_256;
  EXPECT_TRUE(equal(skeyseed_resumed(prf, sk_d.view(), ni, nr).view(),
                    crypto::hmac(crypto::HashId::sha2_256, sk_d.view(), {as_bytes("Resumption"), ni, nr}).view()));
}

TEST_F(ResumptionTest, ATicketIsGoodOnce) {  // RFC 5723 4.3.1
  start();
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(in_step(*pair));
  const Datagram shown = sent(ExchangeType::ike_session_resume, true).at(0);
  // The very request again is answered as long as IKE_AUTH has not come; now it is an old one. With another SPI it is
  // a new one with the same ticket.
  Bytes again = shown.message;
  again[7] ^= 0x55;
  pair->wire.clear();
  pair->inject(pair->b, path_from(false), again);
  ASSERT_EQ(pair->wire.size(), 1u);
  const auto answer = codec::parse_message(pair->wire[0].message);
  ASSERT_TRUE(answer);
  EXPECT_EQ(codec::first_of<codec::NotifyPayload>(answer->payloads)->type, NotifyType::ticket_nack);
  EXPECT_EQ(answer->header.spi_r.value(), 0u);
  EXPECT_EQ(refused(), 1u);
  EXPECT_EQ(pair->b.endpoint().counters().half_open, 0u);
  EXPECT_TRUE(in_step(*pair));
}

// Two requests with one ticket, both answered before either has proved itself: one is resumed, the other comes to
// nothing.
TEST_F(ResumptionTest, OfTwoThatShowOneTicketOneIsResumed) {
  start();
  wait_until_lost(pair->a);
  hold = true;
  resume();  // its IKE_AUTH does not arrive
  EXPECT_EQ(pair->b.endpoint().counters().half_open, 1u);
  // Given up here, while the gateway still has it half-open; the ticket counts as unused (4.3.1).
  pair->command(pair->a, Terminate{kConnection});
  ASSERT_TRUE(pair->run_until([&] { return !pair->a.endpoint().poll_timeout(); }, seconds(20)));
  hold = false;
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_TRUE(pair->a.ike_sa().resumed);
  pair->advance(seconds(40));
  EXPECT_EQ(pair->b.endpoint().counters().half_open, 0u);
  EXPECT_TRUE(in_step(*pair));
}

// RFC 5723 4.3.2: TICKET_NACK, and the IKE SA is set up in full at once.
TEST_F(ResumptionTest, WithoutTheKeyItGoesOnInFull) {
  start();
  crash(pair->b, 9);
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(pair->a.ike_sa().resumed || pair->b.ike_sa().resumed);
  EXPECT_EQ(refused(), 1u);
  EXPECT_EQ(sent(ExchangeType::ike_session_resume, true).size(), 1u);
  EXPECT_TRUE(pair->a.failures.empty());
  EXPECT_TRUE(no_leaks(*pair));
  // The new IKE SA has a new ticket.
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_TRUE(pair->a.ike_sa().resumed);
}

TEST_F(ResumptionTest, ATicketEndsByItsTime) {
  start();
  crash(pair->b);
  cut = true;
  pair->advance(hours(2));
  cut = false;
  // The initiator does not show it any more.
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_TRUE(sent(ExchangeType::ike_session_resume, true).empty());
  EXPECT_FALSE(pair->a.ike_sa().resumed);
}

// The clock of the gateway went on: what is shown in good faith is refused.
TEST_F(ResumptionTest, TheGatewaysClockDecides) {
  start();
  wait_until_lost(pair->a);
  auto secrets = std::make_shared<EndpointSecrets>();
  secrets->ticket_keys.push_back(key_of(1));
  pair->command(pair->b, UseSecrets{.secrets = std::move(secrets), .calendar = calendar() + 3600});
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(pair->b.ike_sa().resumed);
  EXPECT_EQ(refused(), 1u);
}

TEST_F(ResumptionTest, AnIkeSaThatWasDeletedIsNotResumed) {  // RFC 5723 6.2
  for (const bool by_gateway : {true, false}) {
    renew();
    start();
    pair->command(pair->host(!by_gateway), Terminate{kConnection});
    pair->settle();
    resume();
    ASSERT_TRUE(in_step(*pair));
    EXPECT_TRUE(sent(ExchangeType::ike_session_resume, true).empty());
    EXPECT_FALSE(pair->a.ike_sa().resumed);
  }
}

// The gateway deletes it, and the initiator never hears of that.
TEST_F(ResumptionTest, TheGatewayKnowsWhatItHasDeleted) {
  start();
  cut = true;
  pair->command(pair->b, Terminate{kConnection});
  pair->advance(seconds(10));
  cut = false;
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_EQ(refused(), 1u);
  EXPECT_FALSE(pair->a.ike_sa().resumed);
}

TEST_F(ResumptionTest, ATunnelThatHasChangedIsNotResumed) {
  for (const int change : {0, 1, 2, 3, 4, 5}) {
    renew();
    start();
    wait_until_lost(pair->a);
    auto b = resuming(false);
    if (change == 0) b.life.resumption = Duration::zero();
    if (change == 1) b.name = "another";
    if (change == 2) b.authorities = Bytes(20, 1);
    if (change == 3) std::erase_if(b.ike_proposals, [&](const model::Proposal& one) { return one.number < 255; });
    if (change == 4) b.credential_group = 9;
    if (change == 5) b.life.reauthentication = hours(3);
    pair->command(pair->b, ConfigureConnection{b});
    resume();
    EXPECT_EQ(refused(), 1u) << change;
    EXPECT_EQ(in_step(*pair), change != 3) << change;
  }
}

// RFC 5723 6.2: a rekey voids the ticket, and the initiator asks for another, whoever rekeyed.
TEST_F(ResumptionTest, ARekeyBringsAnotherTicket) {
  for (const bool by_a : {true, false}) {
    renew();
    start();
    Host& who = pair->host(by_a);
    pair->command(who, RekeyIkeSa{who.ike_sa().ike_sa});
    pair->settle();
    ASSERT_TRUE(in_step(*pair) || pair->a.ike_sa().spi_i == pair->b.ike_sa().spi_i);
    EXPECT_EQ(pair->b.endpoint().counters().tickets, 2u);
    wait_until_lost(pair->a);
    resume();
    EXPECT_TRUE(pair->a.ike_sa().resumed) << by_a;
    EXPECT_EQ(refused(), 0u);
  }
}

TEST_F(ResumptionTest, BeforeItEndsThereIsAnother) {  // RFC 5723 4.1
  auto a = resuming(true);
  auto b = resuming(false);
  for (auto* one : {&a, &b}) one->life.resumption = minutes(2);
  start(a, b);
  pair->advance(minutes(10));
  EXPECT_GE(pair->b.endpoint().counters().tickets, 5u);
  EXPECT_LE(pair->b.endpoint().counters().tickets, 9u);
  crash(pair->b);
  wait_until_lost(pair->a);
  resume();
  EXPECT_TRUE(pair->a.ike_sa().resumed);
}

TEST_F(ResumptionTest, WhoDoesNotWantItAsksForNothingAndGivesNothing) {
  for (const bool a_wants : {true, false}) {
    renew();
    start(a_wants ? resuming(true) : config_of(true), a_wants ? config_of(false) : resuming(false));
    EXPECT_EQ(pair->b.endpoint().counters().tickets, 0u);
    crash(pair->b);
    wait_until_lost(pair->a);
    resume();
    ASSERT_TRUE(in_step(*pair));
    EXPECT_TRUE(sent(ExchangeType::ike_session_resume, true).empty());
  }
}

// RFC 4478, 5723 6.2: no longer than the authentication.
TEST_F(ResumptionTest, ATicketDoesNotOutliveTheAuthentication) {
  auto b = resuming(false);
  b.life.reauthentication = minutes(5);
  start(resuming(true), b);
  EXPECT_TRUE(pair->a.logged("a ticket to resume from, good for 2"));
}

// Nor does it begin anew with each IKE SA that is resumed: the responder says what is left of it.
TEST_F(ResumptionTest, AChainOfResumptionsDoesNotOutliveTheAuthentication) {
  auto b = resuming(false);
  b.life.reauthentication = minutes(40);
  start(resuming(true), b);
  for (const bool first : {true, false}) {
    pair->advance(minutes(10));
    ASSERT_TRUE(in_step(*pair));
    wait_until_lost(pair->a);
    resume();
    ASSERT_TRUE(in_step(*pair));
    EXPECT_TRUE(pair->a.ike_sa().resumed) << first;
    EXPECT_TRUE(sent(ExchangeType::ike_sa_init, true).empty());
  }
  pair->advance(minutes(13));
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(sent(ExchangeType::ike_sa_init, true).empty());
  EXPECT_TRUE(sent(ExchangeType::ike_session_resume, true).size() == 1u);
}

TEST_F(ResumptionTest, AChainOfResumptionsEndsADayAfterTheLastThatWasProved) {
  auto a = resuming(true);
  auto b = resuming(false);
  for (auto* one : {&a, &b}) {
    one->life.resumption = hours(24);
    one->liveness_interval = minutes(30);
  }
  start(a, b);
  for (const int round : {1, 2, 3}) {
    pair->advance(hours(13));
    ASSERT_TRUE(in_step(*pair));
    wait_until_lost(pair->a);
    resume();
    ASSERT_TRUE(in_step(*pair));
    EXPECT_EQ(pair->a.ike_sa().resumed, round < 3) << round;
  }
}

// A ticket is for what was proved, not for what is asked for now.
TEST_F(ResumptionTest, NewCredentialsGiveNoTicketForAnOldProof) {
  start();
  auto b = resuming(false);
  b.credential_group = 9;
  pair->command(pair->b, ConfigureConnection{b});
  pair->command(pair->a, RekeyIkeSa{pair->a.ike_sa().ike_sa});
  pair->settle();
  EXPECT_EQ(pair->b.endpoint().counters().tickets, 1u);
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(pair->a.ike_sa().resumed);
  EXPECT_EQ(pair->b.endpoint().counters().tickets, 2u);
}

TEST_F(ResumptionTest, AfterwardsThereAreFreshKeys) {
  start();
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(pair->a.ike_sa().resumed);
  const auto spi = pair->a.ike_sa().spi_i;
  pair->advance(minutes(11));
  ASSERT_TRUE(in_step(*pair));
  EXPECT_NE(pair->a.ike_sa().spi_i, spi);
  EXPECT_FALSE(pair->a.ike_sa().resumed);
  EXPECT_FALSE(sent(ExchangeType::create_child_sa, true).empty());
}

}  // namespace
}  // namespace culvert::ike::v2
