// What an AGGFRAG SA pair knows of its path (RFC 9347 3, Appendix B; RFC 5348): as receiver the loss event rate of what
// comes in, as sender the round-trip time and the rate that the losses at the other end allow.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/time.hpp"
#include "ipsec/aggfrag_payload.hpp"

namespace culvert::ipsec {

/// RFC 5348 5: losses within one round-trip time are one event; the loss event rate is one over the mean number of
/// packets from event to event, the last eight intervals weighted, the newest more.
class LossHistory {
 public:
  /// `packets` in a row are lost (or one was marked by ECN), seen at `now`, with the peer's `rtt`.
  void lost(std::uint64_t packets, Instant now, Duration rtt);
  void arrived() { ++intervals_[0]; }
  /// Mean packets per loss event, rounded; 0 before the first event.
  [[nodiscard]] std::uint32_t packets_per_event() const;

 private:
  static constexpr std::size_t kIntervals = 9;  // the open one first, then up to eight, newest first
  std::array<std::uint64_t, kIntervals> intervals_{};
  std::size_t closed_ = 0;
  std::optional<Instant> event_began_;
};

class AggfragCongestion {
 public:
  /// `ceiling`: packets per second that are never exceeded; 0 when nothing is sent by rate.
  explicit AggfragCongestion(double ceiling);

  // The receiving direction.

  /// An outer packet, its report if it had one. `marked`: with Congestion Experienced in the outer header.
  void arrived(const std::optional<AggfragReport>& report, bool marked, Instant now);
  void lost(std::uint64_t outer_packets, Instant now);

  // The sending direction.

  /// For the next packet that leaves.
  [[nodiscard]] AggfragReport report(Instant now);
  /// Whether the peer has told something since our last report, and waits for its echo at `now` or later.
  [[nodiscard]] std::optional<Instant> report_due() const;
  void set_ceiling(double packets_per_second) { ceiling_ = packets_per_second; }
  /// RFC 5348 4.4: halves the rate when nothing was heard for four round trips. Call before `interval`.
  void handle_time(Instant now);
  /// Between two packets, by the rate in force.
  [[nodiscard]] Duration interval() const;

  [[nodiscard]] std::optional<Duration> rtt() const { return rtt_; }

 private:
  void learn_rtt(const AggfragReport& report, Instant now);
  void adapt(const AggfragReport& report, Instant now);

  double ceiling_;
  double rate_;  // packets per second
  LossHistory history_;
  bool marks_counted_ = false;

  // The peer's TVal and what goes with it.
  std::uint32_t peer_value_ = 0;
  std::optional<Instant> peer_value_since_;
  Duration peer_rtt_ = Duration::zero();
  bool peer_probing_ = false;
  bool peer_waits_ = false;

  std::optional<Duration> rtt_;
  std::optional<Instant> last_sent_;
  Duration transmit_delay_ = Duration::zero();  // mean
  std::optional<Instant> last_heard_;
  std::optional<Instant> last_adapted_;
};

}  // namespace culvert::ipsec
