// Session resumption (RFC 5723): a ticket is asked for and given, shown after an accident, good once, and void when it
// should be; without it everything goes on in full.
#include "ike/v2/resumption.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/codec/serialize.hpp"
#include "ike/secrets.hpp"
#include "ike/v2/testing/pair.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TicketKey key_of(std::uint8_t id) {
  TicketKey key{.id = {id}, .made = 0, .key = SecretBytes(32)};
  key.key.mutable_view()[0] = id;
  return key;
}

class ResumptionTest : public ::testing::Test {
 protected:
  static model::ConnectionConfig resuming(bool first) {
    auto config = config_of(first);
    config.life.resumption = hours(1);
    return config;
  }
  /// The time of day is that of the pair's clock, as long as nobody sets it.
  void give_secrets(Host& who, std::uint8_t key = 1) {
    auto secrets = std::make_shared<EndpointSecrets>();
    secrets->ticket_keys.push_back(key_of(key));
    pair->command(who, UseSecrets{.secrets = std::move(secrets), .calendar = calendar()});
  }
  [[nodiscard]] std::int64_t calendar() const {
    return std::chrono::duration_cast<seconds>(pair->now.time_since_epoch()).count();
  }
  void start(model::ConnectionConfig a = resuming(true), model::ConnectionConfig b = resuming(false)) {
    config_a = a;
    config_b = b;
    give_secrets(pair->b);
    configure(*pair, std::move(a), std::move(b));
    initiate(*pair);
    pair->settle();
    ASSERT_TRUE(in_step(*pair));
  }
  /// Ends without a word and is there again, with what the state folder has.
  void crash(Host& who, std::uint8_t key = 1) {
    const bool first = &who == &pair->a;
    who.restart();
    for (const model::Spi spi : std::set(who.allocator().in_use)) who.allocator().release(spi);
    give_secrets(who, key);
    pair->command(who, ConfigureConnection{first ? config_a : config_b});
  }
  /// a notices that b is silent, and closes its IKE SA.
  void wait_until_lost(Host& who) {
    cut = true;
    pair->command(who, CheckLiveness{who.ike_sa().ike_sa});
    ASSERT_TRUE(pair->run_until([&] { return who.ike_sas.empty(); }));
    cut = false;
  }
  ResumptionTest() { renew(); }
  void renew(const EndpointSettings& settings = {}) {
    pair = std::make_unique<Pair>(3, settings);
    pair->fate = [this](const Datagram& one) {
      const bool held = hold && one.from_a && one.header().exchange == ExchangeType::ike_auth;
      return cut || held ? std::vector<Duration>() : std::vector<Duration>{Pair::kLatency};
    };
  }
  [[nodiscard]] std::vector<Datagram> sent(ExchangeType exchange, bool from_a) const {
    std::vector<Datagram> found;
    for (const Datagram& one : pair->wire)
      if (one.from_a == from_a && one.header().exchange == exchange) found.push_back(one);
    return found;
  }
  [[nodiscard]] std::uint64_t refused() {
    return pair->b.endpoint().counters().dropped[static_cast<std::size_t>(DatagramDrop::bad_ticket)];
  }
  /// a, which has lost its IKE SA, shows its ticket to nobody; the answer is the test's, in the clear.
  void begin_and_answer(NotifyType type, ByteView data = {}) {
    wait_until_lost(pair->a);
    pair->wire.clear();
    cut = true;
    initiate(*pair);
    const auto request = codec::parse_header(pair->wire.back().message);
    cut = false;
    codec::Message answer;
    answer.header = *request;
    answer.header.initiator = false;
    answer.header.response = true;
    answer.add_notify(type, data);
    pair->inject(pair->a, path_from(true), codec::serialize(answer));
    pair->settle();
  }
  void resume() {
    pair->wire.clear();
    initiate(*pair);
    pair->settle();
  }

  std::unique_ptr<Pair> pair;
  model::ConnectionConfig config_a, config_b;
  bool cut = false;
  bool hold = false;  // IKE_AUTH of a
};

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

// A forged answer in clear: nothing is gained by it.
TEST_F(ResumptionTest, AForgedRefusalLeadsToAFullSetUp) {
  start();
  begin_and_answer(NotifyType::ticket_nack);
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(pair->a.ike_sa().resumed);
}

// Who shows a ticket that it has overheard cannot prove that it has the keys (RFC 5723 9.1).
TEST_F(ResumptionTest, AStolenTicketEndsNothing) {
  start();
  wait_until_lost(pair->a);
  cut = true;
  pair->wire.clear();
  initiate(*pair);
  const Bytes shown = pair->wire.back().message;
  cut = false;
  const auto before = pair->b.ike_sa().ike_sa;
  pair->inject(pair->b, path_from(false), shown);
  EXPECT_EQ(pair->b.endpoint().counters().half_open, 1u);
  pair->advance(seconds(40));
  EXPECT_EQ(pair->b.endpoint().counters().half_open, 0u);
  EXPECT_TRUE(pair->b.ike_sas.contains(before) || pair->b.ike_sa().resumed);
  // The honest initiator, whose request went out again meanwhile, is resumed.
  ASSERT_TRUE(pair->run_until([&] { return in_step(*pair); }, minutes(5)));
  EXPECT_TRUE(pair->a.ike_sa().resumed);
}

TEST_F(ResumptionTest, WhoSaysNothingToTheTicketIsAskedWithoutItNextTime) {
  start();
  pair->fate = [this](const Datagram& one) {
    const bool resume = one.header().exchange == ExchangeType::ike_session_resume;
    return cut || resume ? std::vector<Duration>() : std::vector<Duration>{Pair::kLatency};
  };
  wait_until_lost(pair->a);
  initiate(*pair);
  ASSERT_TRUE(pair->run_until([&] { return !pair->a.failures.empty(); }));
  EXPECT_EQ(pair->a.failures.back().kind, FailureKind::no_answer);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(pair->a.ike_sa().resumed);
}

TEST_F(ResumptionTest, WhoSaysNothingToTheProofIsAskedWithoutTheTicketNextTime) {
  start();
  wait_until_lost(pair->a);
  hold = true;
  initiate(*pair);
  ASSERT_TRUE(pair->run_until([&] { return !pair->a.failures.empty(); }));
  EXPECT_EQ(pair->a.failures.back().kind, FailureKind::no_answer);
  EXPECT_THAT(pair->a.failures.back().detail, ::testing::HasSubstr("answered IKE_SESSION_RESUME but not IKE_AUTH"));
  hold = false;
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(pair->a.ike_sa().resumed);
}

// RFC 5685 3 is for IKE_SA_INIT, where it is checked.
TEST_F(ResumptionTest, WhoIsSentElsewhereInsteadBeginsInFull) {
  start();
  begin_and_answer(NotifyType::redirect, Bytes{1, 4, 192, 0, 2, 77});
  ASSERT_TRUE(in_step(*pair));
  EXPECT_FALSE(pair->a.ike_sa().resumed);
  EXPECT_EQ(sent(ExchangeType::ike_session_resume, true).size(), 1u);
}

// RFC 7296 2.6, RFC 5723 4.3.2: under load a cookie comes first.
TEST_F(ResumptionTest, UnderLoadACookieComesFirst) {
  EndpointSettings settings;
  settings.cookie_threshold = 0;
  renew(settings);
  start();
  wait_until_lost(pair->a);
  resume();
  ASSERT_TRUE(in_step(*pair));
  EXPECT_TRUE(pair->a.ike_sa().resumed);
  EXPECT_EQ(sent(ExchangeType::ike_session_resume, true).size(), 2u);
}

// Nothing that answers a stranger is longer than what the stranger sent.
TEST_F(ResumptionTest, TheAnswerIsNoLongerThanTheRequest) {
  start();
  wait_until_lost(pair->a);
  resume();
  EXPECT_LE(sent(ExchangeType::ike_session_resume, false).at(0).message.size(),
            sent(ExchangeType::ike_session_resume, true).at(0).message.size());
}

}  // namespace
}  // namespace culvert::ike::v2
