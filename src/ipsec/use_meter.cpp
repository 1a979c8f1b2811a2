#include "ipsec/use_meter.hpp"

#include <algorithm>

namespace culvert::ipsec {

UseMeter::UseMeter(const UseBounds& bounds)
    : quiet_packets_(std::min(bounds.soft_packets, bounds.hard_packets)),
      quiet_bytes_(std::min(bounds.soft_bytes, bounds.hard_bytes)) {
  if (quiet_packets_ != UseBounds::kNone) --quiet_packets_;
  if (quiet_bytes_ != UseBounds::kNone) --quiet_bytes_;
}

void UseMeter::raise(ExpiryNews level) {
  if (level <= raised_) return;
  raised_ = level;
  news_ = level;
}

void UseMeter::shut() {
  closed_ = true;
  quiet_packets_ = 0;
  quiet_bytes_ = 0;
  raise(ExpiryNews::hard);
}

bool UseMeter::admit_near_bound(std::uint64_t packets, std::uint64_t bytes, const UseBounds& bounds) {
  const std::uint64_t packets_after = packets_ + packets;
  const std::uint64_t bytes_after = bytes_ + bytes;
  // RFC 4301 4.4.2.1: a hard bound ends the SA; the packet that would pass it does not go.
  if (closed_ || packets_after > bounds.hard_packets || bytes_after > bounds.hard_bytes) {
    shut();
    return false;
  }
  if (packets_after == bounds.hard_packets || bytes_after == bounds.hard_bytes) {
    shut();
  } else if (packets_after >= bounds.soft_packets || bytes_after >= bounds.soft_bytes) {
    raise(ExpiryNews::soft);
    quiet_packets_ = bounds.hard_packets == UseBounds::kNone ? UseBounds::kNone : bounds.hard_packets - 1;
    quiet_bytes_ = bounds.hard_bytes == UseBounds::kNone ? UseBounds::kNone : bounds.hard_bytes - 1;
  }
  return true;
}

}  // namespace culvert::ipsec
