// EventQueue: what the engine has to tell control. Of fixed size: when control does not keep up, hints are lost (they
// come again with the traffic), expiries wait in their SA until there is room.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "ipsec/data_plane.hpp"

namespace culvert::ipsec {

class EventQueue {
 public:
  explicit EventQueue(std::size_t capacity) : ring_(capacity) {}

  /// False when the queue is full.
  bool push(DataPlaneEvent event) {
    if (count_ == ring_.size()) return false;
    ring_[(first_ + count_) % ring_.size()] = std::move(event);
    ++count_;
    return true;
  }
  /// An expiry found no room and waits in its SA's meter.
  void defer_expiry() { expiry_deferred_ = true; }
  /// True once after `defer_expiry`.
  [[nodiscard]] bool take_deferred() { return std::exchange(expiry_deferred_, false); }

  [[nodiscard]] std::optional<DataPlaneEvent> pop() {
    if (count_ == 0) return std::nullopt;
    DataPlaneEvent event = std::move(ring_[first_]);
    first_ = (first_ + 1) % ring_.size();
    --count_;
    return event;
  }

 private:
  std::vector<DataPlaneEvent> ring_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  bool expiry_deferred_ = false;
};

/// Lets through at most `per_second` in any one second that starts with the first of them.
class RateLimit {
 public:
  explicit RateLimit(unsigned per_second) : per_second_(per_second) {}
  [[nodiscard]] bool allow(Instant now) {
    if (!started_ || now - *started_ >= std::chrono::seconds(1)) {
      started_ = now;
      used_ = 0;
    }
    return used_ < per_second_ && ++used_ != 0;
  }

 private:
  unsigned per_second_;
  unsigned used_ = 0;
  std::optional<Instant> started_;
};

}  // namespace culvert::ipsec
