// Session resumption (RFC 5723) when the gateway's answer is forged, something else or none; and what it costs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ike/v2/testing/resumption.hpp"

namespace culvert::ike::v2 {
namespace {

using namespace testing;
using model::ExchangeType;
using model::NotifyType;
using std::chrono::minutes;
using std::chrono::seconds;

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
