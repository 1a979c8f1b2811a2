// The sending half of an AGGFRAG SA (RFC 9347 2.2): inner packets laid one behind the other into payloads of one size,
// cut where a payload ends. AggfragPacker fills payloads where they stand, AggfragQueue holds packets until a payload
// has room for them, AggfragPacer says when a payload is due.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "ipsec/aggfrag_payload.hpp"

namespace culvert::ipsec {

/// Fills one payload after the other, in the order of their sequence numbers. Knows how much of a packet that was cut
/// is still to come, and so every BlockOffset.
class AggfragPacker {
 public:
  /// No first piece is shorter than this; it holds the packet's length, so that the receiver always knows what it waits
  /// for.
  static constexpr std::size_t kMinPiece = 8;

  explicit AggfragPacker(bool congestion_control)
      : header_(congestion_control ? kAggfragCongestionHeaderSize : kAggfragHeaderSize) {}

  [[nodiscard]] std::size_t header_size() const { return header_; }

  /// Begins a payload of up to `capacity` octets, header included, at `payload`, which stays the packer's until
  /// `close`.
  void open(std::uint8_t* payload, std::size_t capacity);
  [[nodiscard]] bool is_open() const { return payload_ != nullptr; }
  [[nodiscard]] std::size_t room() const { return capacity_ - used_; }
  /// True when nothing but the header is in the open payload.
  [[nodiscard]] bool blank() const { return used_ == header_; }

  /// Room for a whole packet of `length` octets, at most `room()`; the caller writes it there. Not while a cut packet
  /// waits for its rest.
  [[nodiscard]] std::uint8_t* claim(std::size_t length);
  /// Begins a packet of `length` octets that `put` brings in pieces.
  void cut(std::size_t length);
  /// Octets of it that are still to come.
  [[nodiscard]] std::size_t cut_left() const { return cut_left_; }
  /// Takes as much of `rest` as there is room for; answers how much.
  std::size_t put(ByteView rest);
  /// Forgets the rest of a cut packet: it never comes.
  void abandon_cut() { cut_left_ = 0; }

  static constexpr std::size_t kFull = static_cast<std::size_t>(-1);
  /// Ends the payload: writes the header (sub-type 1 has `report`) and answers the payload's octets. It is padded to
  /// `at_least`, or to its capacity where that is less.
  std::size_t close(const AggfragReport& report, std::size_t at_least);

 private:
  std::size_t header_;
  std::uint8_t* payload_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
  std::uint16_t block_offset_ = 0;
  std::size_t cut_left_ = 0;
};

/// Whole inner packets in order, bounded in octets. Its memory grows with need up to the bound and is kept.
class AggfragQueue {
 public:
  explicit AggfragQueue(std::size_t bound) : bound_(bound) {}

  [[nodiscard]] bool has_room(std::size_t length) const { return size() + length <= bound_; }
  /// Room at the end for a whole IP packet of `length` octets, which the caller writes there at once. Only where there
  /// is room.
  [[nodiscard]] std::uint8_t* push(std::size_t length);
  [[nodiscard]] bool empty() const { return head_ == bytes_.size(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size() - head_; }
  /// How many packets wait, the one that was begun included.
  [[nodiscard]] std::size_t packets() const { return packets_; }

  /// Moves packets into the open payload of `packer` until it is full or nothing is left. Answers how many were
  /// dropped: those that must not be cut and that not even an empty payload holds.
  [[nodiscard]] std::size_t fill(AggfragPacker& packer, bool dont_fragment);
  /// Drops everything; answers the packets dropped.
  std::size_t clear();

 private:
  void take(std::size_t octets);

  std::size_t bound_;
  Bytes bytes_;
  std::size_t head_ = 0;
  std::size_t packets_ = 0;
};

/// A clock of equal ticks whose interval may change. Ticks that were missed are made up for, but only so many.
class AggfragPacer {
 public:
  static constexpr Duration kCatchUp = std::chrono::milliseconds(20);  // how far behind it may fall

  /// The interval between ticks; the first one comes one interval after the first call of `due`.
  void set_interval(Duration interval);
  [[nodiscard]] Duration interval() const { return interval_; }
  /// Ticks since the last call, all those made up for included, at most `limit`; those beyond stay due.
  [[nodiscard]] std::uint32_t due(Instant now, std::uint32_t limit);
  [[nodiscard]] std::optional<Instant> next() const { return next_; }

 private:
  Duration interval_ = std::chrono::seconds(1);
  std::optional<Instant> next_;
};

}  // namespace culvert::ipsec
