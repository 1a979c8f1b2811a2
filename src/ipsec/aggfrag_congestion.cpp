#include "ipsec/aggfrag_congestion.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace culvert::ipsec {
namespace {

using std::chrono::microseconds;

constexpr Duration kAssumedRtt = std::chrono::milliseconds(500);  // until it is known
constexpr double kInitialWindow = 4;                              // packets per round trip (RFC 5348 4.2)
constexpr double kSlowest = 1;                                    // packets per second
constexpr Duration kLongestRtt = std::chrono::seconds(4);         // the field has 22 bits of microseconds

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::uint32_t to_microseconds(Duration duration, std::uint32_t most) {
  const auto count = std::chrono::duration_cast<microseconds>(duration).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, most));
}

// 32 bits of the clock; never 0, which stands for "nothing to echo".
std::uint32_t stamp(Instant now) {
  const auto count =
      static_cast<std::uint32_t>(std::chrono::duration_cast<microseconds>(now.time_since_epoch()).count());
  return count == 0 ? 1 : count;
}

// RFC 5348 3.1 in packets per second, as RFC 9347 Appendix B has it.
double tcp_friendly_rate(double rtt, double p) {
  return 1 / (rtt * (std::sqrt(2 * p / 3) + 12 * std::sqrt(3 * p / 8) * p * (1 + 32 * p * p)));
}

}  // namespace

void LossHistory::lost(std::uint64_t packets, Instant now, Duration rtt) {
  // RFC 5348 5.2: what is lost within a round trip of an event's beginning belongs to it.
  if (event_began_ && now - *event_began_ < rtt) {
    intervals_[0] += packets;
    return;
  }
  event_began_ = now;
  std::copy_backward(intervals_.begin(), intervals_.end() - 1, intervals_.end());
  intervals_[1] = std::max<std::uint64_t>(intervals_[1], 1);
  intervals_[0] = packets;
  closed_ = std::min(closed_ + 1, kIntervals - 1);
}

std::uint32_t LossHistory::packets_per_event() const {
  if (closed_ == 0) return 0;
  // RFC 5348 5.4: with and without the open interval, whichever says less loss.
  static constexpr std::array kWeights = {1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2};
  double with_open = 0;
  double without_open = 0;
  double weights = 0;
  for (std::size_t i = 0; i < closed_; ++i) {
    with_open += static_cast<double>(intervals_[i]) * kWeights[i];
    without_open += static_cast<double>(intervals_[i + 1]) * kWeights[i];
    weights += kWeights[i];
  }
  const double mean = std::max(with_open, without_open) / weights;
  return static_cast<std::uint32_t>(std::clamp(std::round(mean), 1.0, 4294967295.0));
}

AggfragCongestion::AggfragCongestion(double ceiling)
    : ceiling_(ceiling), rate_(std::min(std::max(ceiling, kSlowest), kInitialWindow / seconds(kAssumedRtt))) {}

void AggfragCongestion::arrived(const std::optional<AggfragReport>& report, bool marked, Instant now) {
  history_.arrived();
  if (marked) {
    // RFC 9347 3.1: a mark counts as a loss, and the report says so.
    history_.lost(1, now, peer_rtt_);
    marks_counted_ = true;
  }
  if (!report) return;
  peer_probing_ = report->probing;
  peer_rtt_ = microseconds(report->rtt);
  peer_waits_ = true;
  // RFC 9347 3: the time belongs to the first packet that had the value.
  if (report->value != peer_value_ || !peer_value_since_) {
    peer_value_ = report->value;
    peer_value_since_ = now;
  }
  if (!last_heard_ || *last_heard_ < now) last_heard_ = now;
  learn_rtt(*report, now);
  adapt(*report, now);
}

void AggfragCongestion::lost(std::uint64_t outer_packets, Instant now) {
  // RFC 9347 6.1.2: a probe that is too long for the path is no sign of congestion.
  if (peer_probing_) return;
  history_.lost(outer_packets, now, peer_rtt_ == Duration::zero() ? kAssumedRtt : peer_rtt_);
}

AggfragReport AggfragCongestion::report(Instant now) {
  if (last_sent_) {
    const Duration gap = std::min<Duration>(now - *last_sent_, std::chrono::seconds(2));
    transmit_delay_ = transmit_delay_ == Duration::zero() ? gap : (transmit_delay_ * 7 + gap) / 8;
  }
  last_sent_ = now;
  peer_waits_ = false;
  AggfragReport report;
  report.ecn_counted = marks_counted_;
  report.loss_event_rate = history_.packets_per_event();
  report.rtt = rtt_ ? to_microseconds(*rtt_, AggfragReport::kMaxRtt) : 0;
  report.transmit_delay = to_microseconds(transmit_delay_, AggfragReport::kMaxDelay);
  report.value = stamp(now);
  if (peer_value_since_) {
    report.echo = peer_value_;
    report.echo_delay = to_microseconds(now - *peer_value_since_, AggfragReport::kMaxDelay);
  }
  return report;
}

std::optional<Instant> AggfragCongestion::report_due() const {
  if (!peer_waits_ || !last_sent_) return peer_waits_ ? last_heard_ : std::nullopt;
  // RFC 9347 2.4.2: at least once per round trip.
  return std::max(*last_heard_, *last_sent_ + std::max<Duration>(rtt_.value_or(kAssumedRtt), microseconds(1000)));
}

void AggfragCongestion::learn_rtt(const AggfragReport& report, Instant now) {
  if (report.echo == 0 || report.echo_delay == AggfragReport::kMaxDelay) return;
  const std::uint32_t passed = stamp(now) - report.echo;  // modulo 2^32, like the stamp
  const Duration actual = microseconds(passed) - microseconds(report.echo_delay);
  // An echo of nothing that we sent lately, or a delay longer than all the time that passed.
  if (actual < Duration::zero() || actual > kLongestRtt) return;
  // RFC 9347 3: never less than what both ends wait between packets.
  const Duration sample =
      std::max<Duration>({actual, microseconds(report.transmit_delay) + transmit_delay_, microseconds(1)});
  // RFC 5348 4.3, step 2.
  rtt_ = rtt_ ? (*rtt_ * 9 + sample) / 10 : sample;
}

void AggfragCongestion::adapt(const AggfragReport& report, Instant now) {
  if (!rtt_ || ceiling_ == 0) return;
  const double rtt = seconds(*rtt_);
  if (!last_adapted_) {
    rate_ = std::max(rate_, kInitialWindow / rtt);
  } else if (now - *last_adapted_ < *rtt_) {
    return;
  } else if (report.loss_event_rate == 0) {
    rate_ *= 2;  // RFC 5348 4.3: slow start
  } else {
    rate_ = std::min(tcp_friendly_rate(rtt, 1.0 / report.loss_event_rate), 2 * rate_);
  }
  last_adapted_ = now;
  rate_ = std::clamp(rate_, std::min(kSlowest, ceiling_), ceiling_);
}

void AggfragCongestion::handle_time(Instant now) {
  if (!last_heard_) last_heard_ = now;
  const Duration patience = std::max<Duration>(rtt_.value_or(kAssumedRtt) * 4, interval() * 2);
  if (now - *last_heard_ < patience) return;
  rate_ = std::max(rate_ / 2, std::min(kSlowest, std::max(ceiling_, kSlowest)));
  last_heard_ = now;
}

Duration AggfragCongestion::interval() const {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / rate_));
}

}  // namespace culvert::ipsec
