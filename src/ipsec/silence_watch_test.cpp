#include "ipsec/silence_watch.hpp"

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

using namespace std::chrono_literals;

/// Sends every 100 ms for `span`; how often the watch wanted the peer to be asked. `answered` says after which packets
/// one came back.
struct Sender {
  template <typename Answered>
  int questions(Duration span, Answered answered) {
    int asked = 0;
    for (const Instant end = now + span; now < end; now += 100ms) {
      asked += watch.sends(inbound, now) ? 1 : 0;
      if (answered()) ++inbound;
    }
    return asked;
  }
  SilenceWatch watch;
  std::uint64_t inbound = 0;
  Instant now{};
};

TEST(SilenceWatch, IsSilentWhileAnswersCome) {  // RFC 7296 2.4
  Sender sender;
  int sent = 0;
  EXPECT_EQ(sender.questions(60s, [&] { return ++sent % 8 == 0; }), 0);
}

TEST(SilenceWatch, AsksAfterASecondAndThenEverMoreRarely) {  // RFC 7296 2.4
  Sender sender;
  const auto never = [] { return false; };
  EXPECT_EQ(sender.questions(1s, never), 0);
  EXPECT_EQ(sender.questions(200ms, never), 1);
  // 2 + 4 + 8 + 16 seconds later, and from then on every half a minute.
  EXPECT_EQ(sender.questions(31s, never), 4);
  EXPECT_EQ(sender.questions(300s, never), 10);
}

TEST(SilenceWatch, AnAnswerBringsTheFirstPatienceBack) {
  Sender sender;
  EXPECT_EQ(sender.questions(10s, [] { return false; }), 3);
  EXPECT_EQ(sender.questions(200ms, [] { return true; }), 0);
  EXPECT_EQ(sender.questions(1500ms, [] { return false; }), 1);
}

TEST(SilenceWatch, APauseIsNoSilence) {
  SilenceWatch watch;
  std::uint64_t inbound = 0;
  Instant now{};
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(watch.sends(inbound, now));
    EXPECT_FALSE(watch.sends(++inbound, now + 100ms)) << "the last packet before the pause has no answer";
    now += 10s;
  }
}

}  // namespace
}  // namespace culvert::ipsec
