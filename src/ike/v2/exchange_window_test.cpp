#include "ike/v2/exchange_window.hpp"

#include <gtest/gtest.h>

namespace culvert::ike::v2 {
namespace {

using model::MessageId;
using std::chrono::seconds;
using Verdict = ExchangeWindow::Verdict;

constexpr RetransmitPolicy kPolicy{.first = seconds(1), .factor = 2.0, .tries = 3};

class Window : public ::testing::Test {
 protected:
  Instant now{seconds(100)};
  SeededRandom random{1};
  ExchangeWindow window;
};

TEST_F(Window, OneRequestAtATime) {  // RFC 7296 2.3
  EXPECT_TRUE(window.may_send());
  window.sent(Outgoing(Bytes{1}), kPolicy, now, random);
  EXPECT_FALSE(window.may_send());
  EXPECT_TRUE(window.awaits(MessageId{0}));
  window.answered(MessageId{0});
  EXPECT_TRUE(window.may_send());
  EXPECT_EQ(window.next_id(), MessageId{1});
}

TEST_F(Window, RetransmissionsGrowApartAndEnd) {  // RFC 7296 2.1, 2.4
  window.sent(Outgoing({1, 2, 3}), kPolicy, now, random);
  std::vector<Duration> waits;
  Instant last = now;
  for (;;) {
    const Instant next = *window.deadline();
    waits.push_back(next - last);
    last = next;
    const auto due = window.handle_timeout(next, random);
    if (due.give_up) break;
    ASSERT_EQ(due.resend, std::vector{MessageId{0}});
    EXPECT_EQ(window.request(MessageId{0})->datagrams, (std::vector<Bytes>{{1, 2, 3}}));
  }
  ASSERT_EQ(waits.size(), 3u);
  for (std::size_t n = 0; n < 3; ++n) {
    EXPECT_GE(waits[n], kPolicy.wait_after(static_cast<unsigned>(n)));
    EXPECT_LE(waits[n], kPolicy.wait_after(static_cast<unsigned>(n)) * 11 / 10);
  }
}

TEST_F(Window, HasteShortensAndNeverLengthens) {
  constexpr RetransmitPolicy kLong{.first = seconds(10), .factor = 2.0, .tries = 3};
  window.sent(Outgoing(Bytes{1}), kLong, now, random);
  window.hasten(kPolicy, now, random);
  EXPECT_LE(*window.deadline() - now, seconds(2));
  const auto before = *window.deadline();
  window.hasten(kLong, now, random);
  EXPECT_EQ(*window.deadline(), before);
}

TEST_F(Window, RequestsOfThePeerAreToldApart) {  // RFC 7296 2.1, 2.2
  EXPECT_EQ(window.classify(MessageId{0}), Verdict::fresh);
  EXPECT_EQ(window.classify(MessageId{1}), Verdict::ahead);
  window.accept(MessageId{0});
  EXPECT_EQ(window.classify(MessageId{0}), Verdict::busy);
  EXPECT_EQ(window.classify(MessageId{1}), Verdict::ahead) << "the one before it has no answer yet";
  window.respond(MessageId{0}, Outgoing(Bytes{9}));
  EXPECT_EQ(window.classify(MessageId{0}), Verdict::repeated);
  EXPECT_EQ(window.response(MessageId{0})->datagrams, (std::vector<Bytes>{{9}}));
  EXPECT_EQ(window.classify(MessageId{1}), Verdict::fresh);
  window.accept(MessageId{1});
  EXPECT_EQ(window.classify(MessageId{0}), Verdict::old) << "forgotten once the next request came";
  EXPECT_EQ(window.response(MessageId{0}), nullptr);
}

TEST_F(Window, OldAnswersAreForgottenButNotTheirNumbers) {  // RFC 7296 2.1
  const auto later = [&](int minutes) { return now + std::chrono::minutes(minutes); };
  window.widen(3);
  for (const unsigned n : {0U, 2U}) {
    window.accept(MessageId{n});
    window.respond(MessageId{n}, Outgoing(Bytes{9}), now);
  }
  window.forget_answers(later(3));
  EXPECT_EQ(window.classify(MessageId{0}), Verdict::repeated) << "several minutes are not over";
  window.forget_answers(later(30));
  EXPECT_EQ(window.classify(MessageId{0}), Verdict::old) << "ignored, as the RFC wants it then";
  EXPECT_EQ(window.response(MessageId{0}), nullptr);
  EXPECT_EQ(window.classify(MessageId{2}), Verdict::repeated) << "the one before it has not come yet";
  EXPECT_EQ(window.classify(MessageId{1}), Verdict::fresh);
  // One that is still being worked on stays.
  window.accept(MessageId{1});
  window.respond(MessageId{1}, Outgoing(Bytes{9}), now);
  window.accept(MessageId{3});
  window.forget_answers(later(60));
  EXPECT_EQ(window.classify(MessageId{1}), Verdict::old);
  EXPECT_EQ(window.classify(MessageId{3}), Verdict::busy);
}

TEST_F(Window, AsManyRequestsAsThePeerGrants) {  // RFC 7296 2.3
  window.grant(3);
  window.grant(2);  // never fewer
  for (std::uint8_t n = 0; n < 3; ++n) {
    EXPECT_TRUE(window.may_send());
    EXPECT_EQ(window.may_send(1), n < 2);
    window.sent(Outgoing(Bytes{n}), kPolicy, now, random);
  }
  EXPECT_FALSE(window.may_send());
  // The oldest without an answer is where it begins.
  window.answered(MessageId{1});
  EXPECT_FALSE(window.may_send());
  window.answered(MessageId{0});
  EXPECT_TRUE(window.may_send(1));
  EXPECT_FALSE(window.may_send(2));
}

TEST_F(Window, RequestsWithinAWiderWindowComeInAnyOrder) {  // RFC 7296 2.1, 2.3
  window.widen(3);
  EXPECT_EQ(window.classify(MessageId{3}), Verdict::ahead);
  for (const unsigned n : {2U, 0U, 1U}) {
    ASSERT_EQ(window.classify(MessageId{n}), Verdict::fresh) << n;
    window.accept(MessageId{n});
    EXPECT_EQ(window.classify(MessageId{n}), Verdict::busy) << n;
  }
  EXPECT_EQ(window.classify(MessageId{3}), Verdict::ahead) << "none of them has its answer";
  window.respond(MessageId{2}, Outgoing(Bytes{2}));
  window.respond(MessageId{1}, Outgoing(Bytes{1}));
  EXPECT_EQ(window.classify(MessageId{3}), Verdict::ahead);
  window.respond(MessageId{0}, Outgoing(Bytes{0}));
  for (std::uint8_t n = 0; n < 3; ++n) {
    EXPECT_EQ(window.classify(MessageId{n}), Verdict::repeated);
    EXPECT_EQ(window.response(MessageId{n})->datagrams, (std::vector<Bytes>{{n}}));
  }
  EXPECT_EQ(window.classify(MessageId{5}), Verdict::fresh);
  EXPECT_EQ(window.classify(MessageId{6}), Verdict::ahead);
  // Three are kept, counted from the newest.
  window.accept(MessageId{4});
  EXPECT_EQ(window.classify(MessageId{0}), Verdict::old);
  EXPECT_EQ(window.classify(MessageId{1}), Verdict::old);
  EXPECT_EQ(window.classify(MessageId{2}), Verdict::repeated);
  EXPECT_EQ(window.classify(MessageId{3}), Verdict::fresh);
  EXPECT_EQ(window.proves(MessageId{4}), MessageId{7});
}

}  // namespace
}  // namespace culvert::ike::v2
