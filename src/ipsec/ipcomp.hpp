// IPComp (RFC 3173) with DEFLATE (RFC 2394): the header, the two directions of the algorithm, and when not to try.
// Stands between the inner packet and ESP or AH: outbound before them, inbound after them. The only file that sees zlib
// is ipcomp.cpp.
//
// What is compressed depends on the mode, and not on this file: the whole inner packet in tunnel mode (next header 4 or
// 41), what follows the IP header in transport and BEET mode (next header: the upper-layer protocol).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "ipsec/drop_reason.hpp"

namespace culvert::ipsec {

inline constexpr std::size_t kIpCompHeaderSize = 4;
/// RFC 3173 3.3: CPIs 0 to 63 name an algorithm themselves; 2 is DEFLATE (RFC 2407 4.4.5).
inline constexpr std::uint16_t kDeflateCpi = 2;
/// RFC 2394 3: shorter payloads are not worth the attempt.
inline constexpr std::size_t kIpCompThreshold = 90;

/// Whether a CPI may stand for DEFLATE: the well-known 2, a negotiated one (256 to 61,439), a private one (61,440 on).
[[nodiscard]] constexpr bool cpi_is_usable(std::uint16_t cpi) { return cpi == kDeflateCpi || cpi >= 256; }

/// Where an IPComp payload begins to pay: remembers the flows of one SA whose packets did not shrink, and leaves them
/// alone for a while, longer each time (RFC 3173 2.2). Flows that fall together share their luck.
class CompressionBackoff {
 public:
  /// Whether to try this packet of the flow that `flow_hash` stands for. A "no" counts down towards the next attempt.
  [[nodiscard]] bool should_try(std::uint64_t flow_hash) {
    Slot& slot = slot_of(flow_hash);
    if (slot.skip == 0) return true;
    --slot.skip;
    return false;
  }
  /// What came of an attempt.
  void tell(std::uint64_t flow_hash, bool shrank);

 private:
  static constexpr std::size_t kSlots = 64;
  static constexpr std::uint8_t kFailures = 4;         // in a row, before a flow is left alone
  static constexpr std::uint16_t kFirstPause = 8;      // packets
  static constexpr std::uint16_t kLongestPause = 512;  // packets
  struct Slot {
    std::uint8_t failures = 0;
    std::uint16_t skip = 0;
    std::uint16_t pause = 0;
  };
  [[nodiscard]] Slot& slot_of(std::uint64_t flow_hash) { return slots_[(flow_hash * 0x9e37'79b9'7f4a'7c15U) >> 58]; }
  std::array<Slot, kSlots> slots_{};
};

/// The compressor and decompressor of one engine. Their memory is taken at the first use and kept; nothing of one
/// packet reaches into the next (RFC 2394 2).
class IpComp {
 public:
  IpComp();
  ~IpComp();
  IpComp(const IpComp&) = delete;
  IpComp& operator=(const IpComp&) = delete;

  /// Writes the IPComp header with `next_header` and `cpi` and the compressed `payload` to `out`, which has room for
  /// `payload.size()` octets and does not overlap it. Answers the octets written, always fewer than the payload has;
  /// nothing when it would not shrink (RFC 3173 2.2): then `out` holds rubbish.
  [[nodiscard]] std::optional<std::size_t> compress(ByteView payload, std::uint8_t next_header, std::uint16_t cpi,
                                                    std::uint8_t* out);

  struct Decompressed {
    std::uint8_t next_header = 0;
    std::size_t length = 0;
  };
  /// Takes an IPComp header and what follows it apart; the payload goes to `out`, never more than fits there. Octets
  /// behind the end of the DEFLATE data are padding. `ipcomp_malformed` for a header cut short, a CPI other than `cpi`,
  /// or bad data; `ipcomp_too_long` when the payload does not fit.
  [[nodiscard]] Result<Decompressed, DropReason> decompress(ByteView datagram, std::uint16_t cpi, MutableByteView out);

 private:
  struct Streams;
  std::unique_ptr<Streams> streams_;
};

}  // namespace culvert::ipsec
