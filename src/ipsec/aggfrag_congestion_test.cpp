#include "ipsec/aggfrag_congestion.hpp"

#include <cmath>

#include <gtest/gtest.h>

namespace culvert::ipsec {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Instant at(Duration since) { return Instant{} + std::chrono::hours(3) + since; }

// RFC 5348 5.4 by hand: intervals of 10 and weights give 10; the newest weigh more.
TEST(LossHistory, WeightedMean) {
  LossHistory history;
  EXPECT_EQ(history.packets_per_event(), 0U);
  Instant now{};
  const auto interval = [&](int packets) {
    for (int i = 0; i + 1 < packets; ++i) history.arrived();
    now += seconds(1);
    history.lost(1, now, milliseconds(100));
  };
  for (int i = 0; i < 10; ++i) interval(10);
  EXPECT_EQ(history.packets_per_event(), 10U);
  // The one lost packet that opens an interval counts towards it: 100 packets from event to event.
  interval(100);
  // (100 + 3*10 + (0.8 + 0.6 + 0.4 + 0.2) * 10) / 6 = 25
  EXPECT_EQ(history.packets_per_event(), 25U);
  // RFC 5348 5.4: the open interval counts only once it says less loss.
  for (int i = 0; i < 200; ++i) history.arrived();
  // (201 + 100 + 2*10 + 20) / 6 = 56.8
  EXPECT_EQ(history.packets_per_event(), 57U);
}

// RFC 5348 5.2: losses within one round trip are one event.
TEST(LossHistory, LossesOfARoundTripAreOneEvent) {
  LossHistory history;
  for (int i = 0; i < 50; ++i) history.arrived();
  history.lost(1, at(seconds(1)), milliseconds(100));
  EXPECT_EQ(history.packets_per_event(), 50U);
  history.lost(3, at(seconds(1) + milliseconds(99)), milliseconds(100));
  EXPECT_EQ(history.packets_per_event(), 50U);
  history.lost(1, at(seconds(1) + milliseconds(100)), milliseconds(100));
  EXPECT_EQ(history.packets_per_event(), 27U) << "the mean of 50 and the 4 of the second event";
}

// RFC 9347 3: the actual delay, without the time that the echo waited at the peer.
TEST(AggfragCongestion, RoundTripTime) {
  AggfragCongestion alice(1000);
  AggfragCongestion bob(1000);
  const Instant sent = at(seconds(1));
  bob.arrived(alice.report(sent), false, sent + milliseconds(30));
  const Instant answered = sent + milliseconds(100);  // 70 ms later
  alice.arrived(bob.report(answered), false, answered + milliseconds(50));
  ASSERT_TRUE(alice.rtt());
  EXPECT_EQ(*alice.rtt(), milliseconds(80));
  EXPECT_FALSE(bob.rtt());
  EXPECT_EQ(alice.report(answered + milliseconds(60)).rtt, 80'000U);
}

// RFC 9347 3: the round trip is never taken for shorter than what both ends wait between packets.
TEST(AggfragCongestion, RoundTripTimeCountsTheTransmitDelays) {
  AggfragCongestion alice(1000);
  (void)alice.report(at(seconds(1)));
  AggfragReport answer = alice.report(at(seconds(1) + milliseconds(20)));  // transmit delay 20 ms
  EXPECT_EQ(answer.transmit_delay, 20'000U);
  const AggfragReport peer{.echo_delay = 0, .transmit_delay = 30'000, .value = 7, .echo = answer.value};
  alice.arrived(peer, false, at(seconds(1) + milliseconds(25)));
  EXPECT_EQ(alice.rtt(), Duration(milliseconds(50)));
}

// RFC 9347 3: a TVal that comes again does not move its time.
TEST(AggfragCongestion, EchoDelayCountsFromTheFirstReceipt) {
  AggfragCongestion bob(1000);
  const AggfragReport report{.value = 77};
  bob.arrived(report, false, at(seconds(1)));
  bob.arrived(report, false, at(seconds(1) + milliseconds(5)));
  const AggfragReport answer = bob.report(at(seconds(1) + milliseconds(9)));
  EXPECT_EQ(answer.echo, 77U);
  EXPECT_EQ(answer.echo_delay, 9000U);
  EXPECT_EQ(bob.report(at(seconds(10))).echo_delay, AggfragReport::kMaxDelay);
}

TEST(AggfragCongestion, EchoesOfNothingTeachNothing) {
  AggfragCongestion alice(1000);
  const Instant now = at(seconds(5));
  const std::uint32_t value = alice.report(now).value;
  alice.arrived(AggfragReport{.echo = 0}, false, now);
  alice.arrived(AggfragReport{.echo = value + 1000}, false, now);                                 // of the future
  alice.arrived(AggfragReport{.echo = value - 60'000'000}, false, now);                           // a minute ago
  alice.arrived(AggfragReport{.echo_delay = 5000, .echo = value}, false, now + milliseconds(4));  // waited too long
  alice.arrived(AggfragReport{.echo_delay = AggfragReport::kMaxDelay, .echo = value}, false, now + seconds(3));
  EXPECT_FALSE(alice.rtt());
}

// One sender, its peer's reports made by hand.
struct Sender {
  explicit Sender(double ceiling) : congestion(ceiling) {}
  void hear(std::uint32_t loss_event_rate) {
    const AggfragReport sent = congestion.report(now);
    now += milliseconds(100);
    congestion.arrived(AggfragReport{.loss_event_rate = loss_event_rate, .value = 1, .echo = sent.value}, false, now);
  }
  [[nodiscard]] double rate() const { return 1 / std::chrono::duration<double>(congestion.interval()).count(); }
  AggfragCongestion congestion;
  Instant now = at(seconds(1));
};

// RFC 5348 4.3: doubles per round trip without loss, up to what the operator allows.
TEST(AggfragCongestion, SlowStartUpToTheCeiling) {
  Sender sender(5000);
  EXPECT_NEAR(sender.rate(), 8, 0.01);
  sender.hear(0);
  const double first = sender.rate();
  EXPECT_NEAR(first, 40, 1) << "four packets per round trip of 100 ms";
  for (int i = 0; i < 3; ++i) sender.hear(0);
  EXPECT_GT(sender.rate(), first * 3.9);
  for (int i = 0; i < 20; ++i) sender.hear(0);
  EXPECT_NEAR(sender.rate(), 5000, 1);
}

// RFC 9347 Appendix B's formula with R = 0.1 s: p = 1/100 gives 112.2 packets per second, p = 1/1000 gives 382.9.
TEST(AggfragCongestion, LossBringsTheRateDownToTheFormula) {
  Sender sender(5000);
  for (int i = 0; i < 20; ++i) sender.hear(0);
  for (int i = 0; i < 100; ++i) sender.hear(100);
  const auto formula = [](double p) {
    return 1 / (0.1 * (std::sqrt(2 * p / 3) + 12 * std::sqrt(3 * p / 8) * p * (1 + 32 * p * p)));
  };
  // The estimate of R includes the transmit delay of this test: 100 ms.
  EXPECT_NEAR(sender.rate(), formula(0.01), 3);
  EXPECT_NEAR(formula(0.01), 112.2, 0.2);
  for (int i = 0; i < 100; ++i) sender.hear(1000);
  EXPECT_NEAR(sender.rate(), formula(0.001), 8);
  for (int i = 0; i < 100; ++i) sender.hear(1);
  EXPECT_LT(sender.rate(), 2) << "a peer that reports nothing but loss";
  EXPECT_GE(sender.rate(), 0.99);
}

// RFC 9347 2.4.2: silence for four round trips halves the rate, each time.
TEST(AggfragCongestion, SilenceHalvesTheRate) {
  Sender sender(5000);
  for (int i = 0; i < 20; ++i) sender.hear(0);
  sender.congestion.handle_time(sender.now + milliseconds(390));
  EXPECT_NEAR(sender.rate(), 5000, 1);
  sender.congestion.handle_time(sender.now + milliseconds(410));
  EXPECT_NEAR(sender.rate(), 2500, 1);
  sender.congestion.handle_time(sender.now + milliseconds(420));
  EXPECT_NEAR(sender.rate(), 2500, 1);
  for (int i = 1; i < 100; ++i) sender.congestion.handle_time(sender.now + seconds(10 * i));
  EXPECT_NEAR(sender.rate(), 1, 0.01);
}

// RFC 9347 3.1: a packet marked by the network counts as lost, and the report has the E bit.
TEST(AggfragCongestion, MarksCountAsLoss) {
  AggfragCongestion bob(0);
  for (int i = 0; i < 20; ++i) bob.arrived(AggfragReport{.value = 1}, false, at(seconds(1)));
  EXPECT_EQ(bob.report(at(seconds(1))).loss_event_rate, 0U);
  bob.arrived(AggfragReport{.value = 1}, true, at(seconds(2)));
  const AggfragReport report = bob.report(at(seconds(2)));
  EXPECT_TRUE(report.ecn_counted);
  EXPECT_EQ(report.loss_event_rate, 21U);
}

// RFC 9347 6.1.2, P: what is lost while the peer probes its path is no congestion.
TEST(AggfragCongestion, LostProbesDoNotCount) {
  AggfragCongestion bob(0);
  bob.arrived(AggfragReport{.probing = true, .value = 1}, false, at(seconds(1)));
  bob.lost(1, at(seconds(1)));
  EXPECT_EQ(bob.report(at(seconds(1))).loss_event_rate, 0U);
  bob.arrived(AggfragReport{.value = 2}, false, at(seconds(1)));
  bob.lost(1, at(seconds(1)));
  EXPECT_NE(bob.report(at(seconds(1))).loss_event_rate, 0U);
}

// RFC 9347 2.4.2: information leaves at least once per round trip, where there is some to give.
TEST(AggfragCongestion, ReportIsDueOncePerRoundTrip) {
  Sender sender(1000);
  EXPECT_FALSE(sender.congestion.report_due());
  sender.hear(0);
  ASSERT_TRUE(sender.congestion.report_due());
  EXPECT_LE(*sender.congestion.report_due(), sender.now);
  (void)sender.congestion.report(sender.now);
  EXPECT_FALSE(sender.congestion.report_due());
  sender.congestion.arrived(AggfragReport{.value = 9}, false, sender.now + milliseconds(1));
  ASSERT_TRUE(sender.congestion.report_due());
  EXPECT_EQ(*sender.congestion.report_due(), sender.now + *sender.congestion.rtt());
}

}  // namespace
}  // namespace culvert::ipsec
