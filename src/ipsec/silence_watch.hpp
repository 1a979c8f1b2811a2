// SilenceWatch: notices that an SA sends and nothing comes back, as when the peer was started anew and says nothing
// about the SPIs it no longer knows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/time.hpp"

namespace culvert::ipsec {

class SilenceWatch {
 public:
  /// The first question comes after this much sending without a packet back; each further one waits twice as long, up
  /// to `kMost`, since traffic may well go one way only.
  static constexpr Duration kFirst = std::chrono::seconds(1);
  static constexpr Duration kMost = std::chrono::seconds(30);
  /// What is sent after a pause begins anew: the last packet before it (an acknowledgement, say) may have wanted no
  /// answer.
  static constexpr Duration kPause = std::chrono::seconds(3);

  /// A packet goes out; `inbound_packets` counts all that ever came in. RFC 7296 2.4: true when it is time to ask
  /// whether the peer lives.
  [[nodiscard]] bool sends(std::uint64_t inbound_packets, Instant now) {
    const bool answered = inbound_packets != inbound_packets_;
    const bool anew = answered || !last_ || now - *last_ >= kPause;
    last_ = now;
    if (answered) {
      inbound_packets_ = inbound_packets;
      waits_ = 0;
    }
    if (anew) {
      since_ = now;
      return false;
    }
    if (now - since_ < std::min<Duration>(kFirst * (1U << waits_), kMost)) return false;
    since_ = now;
    if (kFirst * (1U << waits_) < kMost) ++waits_;
    return true;
  }

  /// When the last packet went out.
  [[nodiscard]] std::optional<Instant> last_sent() const { return last_; }

 private:
  OptionalInstant last_;
  Instant since_{};
  std::uint64_t inbound_packets_ = 0;
  std::uint32_t waits_ = 0;  // how often the patience was doubled
};

}  // namespace culvert::ipsec
