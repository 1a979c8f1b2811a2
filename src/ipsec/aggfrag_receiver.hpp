// The receiving half of an AGGFRAG SA (RFC 9347 2.5): puts payloads into the order of their sequence numbers, finds
// what is lost, takes inner packets out and joins those that were cut. Its peer is authenticated and not believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "ipsec/aggfrag_payload.hpp"
#include "ipsec/drop_reason.hpp"

namespace culvert::ipsec {

/// What a receiver has to say, in the order of the stream.
class AggfragOutput {
 public:
  virtual ~AggfragOutput() = default;
  /// An inner packet; its first octet and length were looked at and nothing else. `in_place`: it lies in the payload
  /// that `receive` was given. Else it lies in memory of the receiver's, and only until this call returns.
  virtual void inner_packet(MutableByteView packet, bool in_place) = 0;
  virtual void dropped(DropReason reason) = 0;
  /// So many outer packets in a row did not come.
  virtual void lost(std::uint64_t outer_packets) = 0;
};

class AggfragReceiver {
 public:
  /// Bounds whatever a configuration asks for, and with it the memory.
  static constexpr std::uint16_t kMaxWindow = 1024;                  // outer packets
  static constexpr std::size_t kMaxHeld = std::size_t{1024} * 1024;  // octets of payloads that wait for an earlier one
  static constexpr Duration kLostAfter = std::chrono::milliseconds(50);

  /// `reorder_window`: how many numbers a packet may come late (RFC 9347 2.2.3); with 0 each gap is a loss at once.
  explicit AggfragReceiver(std::uint16_t reorder_window);

  /// An authenticated outer packet with its full sequence number, not seen before. `payload`: what it carries, the ESP
  /// trailer taken off; nullopt when its next header was not AGGFRAG: then only its number counts.
  void receive(std::uint64_t sequence, std::optional<MutableByteView> payload, Instant now, AggfragOutput& output);
  /// RFC 9347 2.2.3's lost packet timer: gives up what a packet has waited for kLostAfter for.
  void expire(Instant now, AggfragOutput& output);
  [[nodiscard]] std::optional<Instant> next_deadline() const;

 private:
  struct Held {
    bool used = false;
    bool has_payload = false;
    Bytes payload;
    Instant arrived{};
  };

  [[nodiscard]] Held& slot(std::uint64_t sequence) { return held_[sequence % held_.size()]; }
  [[nodiscard]] bool is_held(std::uint64_t sequence) const {
    return held_count_ != 0 && held_[sequence % held_.size()].used;
  }
  void hold(std::uint64_t sequence, std::optional<MutableByteView> payload, Instant now);
  void advance_to(std::uint64_t sequence, AggfragOutput& output);
  void take_held(AggfragOutput& output);
  void drain(AggfragOutput& output);
  void lose(std::uint64_t count, AggfragOutput& output);

  void take(std::optional<MutableByteView> payload, bool in_place, AggfragOutput& output);
  [[nodiscard]] std::size_t resume(ByteView blocks, std::size_t block_offset, AggfragOutput& output);
  void take_blocks(MutableByteView blocks, std::size_t at, bool in_place, AggfragOutput& output);
  void drop_partial(DropReason reason, AggfragOutput& output);

  std::uint16_t window_;
  bool started_ = false;
  std::uint64_t next_ = 1;  // the number whose turn it is
  std::vector<Held> held_;  // numbers next_ to next_ + window_, by number modulo size
  std::size_t held_count_ = 0;
  std::size_t held_octets_ = 0;
  Instant gap_since_{};

  Bytes partial_;  // the beginning of a packet whose rest is to come; empty: none
};

}  // namespace culvert::ipsec
