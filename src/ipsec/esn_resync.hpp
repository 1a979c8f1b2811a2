// EsnResync: finds an SA's extended sequence numbers again after 2^32 or more packets were lost in a row (RFC 4303
// Appendix A3, RFC 4302 Appendix B3). The high half is not in the packet, so from then on every packet looks forged.
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace culvert::ipsec {

/// Counts one SA's consecutive failures and says when a packet is worth trying with higher halves. The trial itself is
/// the path's; it costs up to `kTries` integrity checks, so it is rare whatever arrives.
class EsnResync {
 public:
  /// RFC 4303 A3.1: the number of consecutive failures that sets it off is a local matter. No honest peer has as many.
  static constexpr std::uint8_t kTrigger = 64;
  /// RFC 4303 A3.2: how many successive values of the high half are tried.
  static constexpr std::uint32_t kTries = 8;
  static constexpr Duration kInterval = std::chrono::seconds(1);

  void note_failure() {
    if (failures_ < kTrigger) ++failures_;
  }
  /// A packet was authentic.
  void note_success() {
    if (failures_ != 0) failures_ = 0;  // most packets need not write
  }
  [[nodiscard]] bool has_failed() const { return failures_ != 0; }
  [[nodiscard]] bool failing() const { return failures_ >= kTrigger; }
  /// True when the packet at hand is to be tried; at most once per interval.
  [[nodiscard]] bool wants_trial(Instant now) {
    if (!failing()) return false;
    if (last_.within(kInterval, now)) return false;
    last_ = now;
    return true;
  }

 private:
  CoarseInstant last_;
  std::uint8_t failures_ = 0;
};

}  // namespace culvert::ipsec
