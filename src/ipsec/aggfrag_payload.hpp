// The AGGFRAG payload on the wire (RFC 9347 6.1): its two headers, and the data blocks that follow them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"

namespace culvert::ipsec {

inline constexpr std::size_t kAggfragHeaderSize = 4;             // sub-type 0
inline constexpr std::size_t kAggfragCongestionHeaderSize = 24;  // sub-type 1
/// The longest data block that is taken: an IP packet that TUN takes.
inline constexpr std::size_t kMaxAggfragBlock = 65535;

/// RFC 9347 6.1.2: what the two ends tell each other about the path. Delays are microseconds.
struct AggfragReport {
  static constexpr std::uint32_t kMaxRtt = 0x3f'ffff;    // 22 bits, "or longer"
  static constexpr std::uint32_t kMaxDelay = 0x1f'ffff;  // 21 bits, "or longer"

  bool probing = false;               // P: a PLMTUD probe is under way
  bool ecn_counted = false;           // E: CE marks went into the loss event rate
  std::uint32_t loss_event_rate = 0;  // its inverse, in packets; 0: no loss
  std::uint32_t rtt = 0;              // of the sender of the report; 0: not known
  std::uint32_t echo_delay = 0;       // since `echo` arrived
  std::uint32_t transmit_delay = 0;   // between two packets of the sender of the report
  std::uint32_t value = 0;            // TVal, for the peer to echo
  std::uint32_t echo = 0;             // TEcho, the last new TVal of the peer's
  friend bool operator==(const AggfragReport&, const AggfragReport&) = default;
};

struct AggfragHeader {
  std::uint16_t block_offset = 0;
  std::optional<AggfragReport> report;  // present: sub-type 1
  [[nodiscard]] std::size_t size() const { return report ? kAggfragCongestionHeaderSize : kAggfragHeaderSize; }
  friend bool operator==(const AggfragHeader&, const AggfragHeader&) = default;
};

/// Nothing for a payload shorter than its header, and for other sub-types than 0 and 1. Reserved bits are ignored.
[[nodiscard]] std::optional<AggfragHeader> parse_aggfrag_header(ByteView payload);
/// Writes `header.size()` octets; values that do not fit their fields become the largest that does.
void write_aggfrag_header(const AggfragHeader& header, std::uint8_t* at);

/// What the first octets of a data block say (RFC 9347 6.1.3).
struct AggfragBlock {
  enum class Kind : std::uint8_t {
    packet,   // an IP packet of `length` octets
    pad,      // padding to the end of the payload
    unknown,  // too few octets to tell the length
    bad       // neither IPv4, IPv6 nor padding, or an impossible length
  };
  Kind kind = Kind::bad;
  std::size_t length = 0;
};
/// `octets` begins at the block and is not empty.
[[nodiscard]] AggfragBlock look_at_block(ByteView octets);
/// Octets of a block of the type that `first` shows that are enough for `look_at_block`.
[[nodiscard]] constexpr std::size_t octets_to_length(std::uint8_t first) { return (first >> 4) == 6 ? 6 : 4; }

}  // namespace culvert::ipsec
