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

}  // namespace
}  // namespace culvert::ike::v2
