// What the path of an SA takes (RFC 4301 8.2, RFC 1191, RFC 8201): its value, how unauthenticated errors lower it, how
// it rises again; and which of those errors are believed.
//
// Such an error is never proof. It is believed when it quotes an SPI of ours towards that very peer with a sequence
// number that was sent just now: whoever can do that sees our packets, and could drop the long ones just as well. The
// value never falls below a floor, and comes back after a while. Asking the path instead (padded dummy packets) would
// tell nothing: ESP and AH acknowledge nothing, so what arrives stays unknown to us.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "model/child_sa.hpp"
#include "model/ids.hpp"

namespace culvert::ipsec {

struct PathMtuOptions {
  /// RFC 4301 6.1.1: whether unauthenticated errors are listened to at all.
  bool believe_errors = true;
  /// RFC 4301 6.1.1: the least value that they can bring about, for outer IPv4 and IPv6.
  std::uint16_t floor_v4 = 576;
  std::uint16_t floor_v6 = 1280;
  /// RFC 1191 6.3, RFC 4301 8.2.2: after so long the path may have become wider again.
  Duration age = std::chrono::minutes(10);
};

/// The path MTU of one SA: octets that an outer IP packet may have; 0 when unknown.
class PathMtu {
 public:
  explicit PathMtu(std::uint16_t first_hop = 0) : first_hop_(first_hop), value_(first_hop) {}

  [[nodiscard]] std::uint16_t value() const { return value_; }
  /// A router says that it takes packets of `reported` octets. True when the value falls.
  [[nodiscard]] bool lower(std::uint16_t reported, std::uint16_t floor, Instant until);
  /// True when the time of a lowered value is over and the first hop's counts again.
  [[nodiscard]] bool age(Instant now);
  /// The value as it was before any error.
  void reset() {
    value_ = first_hop_;
    lowered_until_.reset();
  }
  /// For a new path, with what is known of it (0: nothing).
  void reset(std::uint16_t first_hop) {
    first_hop_ = first_hop;
    reset();
  }
  [[nodiscard]] std::optional<Instant> lowered_until() const { return lowered_until_; }

 private:
  OptionalInstant lowered_until_;
  std::uint16_t first_hop_;
  std::uint16_t value_;
};

/// What an ICMP error quotes of an ESP or AH packet.
struct QuotedHeader {
  std::uint32_t spi = 0;
  std::uint32_t sequence = 0;  // the low 32 bits
};

/// From `quoted`, the octets from the ESP or AH header on. Nothing when too few are quoted; an error that shows no SPI
/// and no sequence number can be anybody's.
[[nodiscard]] std::optional<QuotedHeader> quoted_header(ByteView quoted, model::ProtocolId protocol);

/// How far back a quoted sequence number may lie: a second's worth at a million packets each.
inline constexpr std::uint32_t kRecentPackets = 1U << 20;

/// True when the number with these low bits was used, and not long before `last`.
[[nodiscard]] constexpr bool recently_sent(std::uint64_t last, std::uint32_t low) {
  const std::uint32_t back = static_cast<std::uint32_t>(last) - low;
  return back < kRecentPackets && back < last;
}

}  // namespace culvert::ipsec
