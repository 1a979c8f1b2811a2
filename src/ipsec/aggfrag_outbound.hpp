// AggfragOutbound: what OutboundPath does for SAs in AGGFRAG mode (RFC 9347) in place of its stage 5: inner packets are
// laid into payloads, straight in the send region where that is possible, and a payload that is full is framed as one
// ESP packet.
//
//   on demand          packets of one batch share payloads; the last payload leaves short at the end of the batch
//   on demand, held    packets wait in a queue for a full payload, but no longer than Aggfrag::hold
//   constant rate      packets wait in a queue; payloads of one size leave by the clock, all padding when it is empty
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "ipsec/aggfrag_sa.hpp"
#include "ipsec/drop_reason.hpp"
#include "ipsec/packet_io.hpp"
#include "ipsec/sa.hpp"
#include "ipsec/sad.hpp"
#include "ipsec/segmenter.hpp"

namespace culvert::ipsec {

/// The stages of OutboundPath that AGGFRAG payloads go through like any others.
class AggfragFrames {
 public:
  /// Counts one outer packet against the lifetime and takes its number. Nothing, and the reason counted, when the SA
  /// may send no more.
  [[nodiscard]] virtual std::optional<std::uint64_t> number(SaPair& sa) = 0;
  /// Counts an inner packet of `octets` against the lifetime. False, and the reason counted, when there is no room in
  /// it.
  [[nodiscard]] virtual bool admit(SaPair& sa, std::size_t octets) = 0;
  /// Room for a packet of `octets` in the send region. Before it answers it may end all payloads that are open.
  [[nodiscard]] virtual std::uint8_t* reserve(std::size_t octets, OutboundSink& sink) = 0;
  /// Frames the payload of `length` octets that stands in the packet at `at`.
  virtual void finish(SaPair& sa, std::uint8_t* at, std::size_t length, std::uint64_t sequence) = 0;

 protected:
  ~AggfragFrames() = default;
};

class AggfragOutbound {
 public:
  AggfragOutbound(const Sad& sad, DropCounters& drops, AggfragFrames& frames)
      : sad_(sad), drops_(drops), frames_(frames) {}

  /// The packets of `plan` for `sa`, which has an AggfragSa.
  void add(SaPair& sa, const Segmenter& plan, Instant now, OutboundSink& sink);
  /// Payloads begun and not yet framed; each of them will be a packet of the batch.
  [[nodiscard]] std::size_t open() const { return open_.size(); }
  /// Frames what is open, short. Before the region is sent.
  void close_all();

  /// A pair that was installed, if it has business with the clock.
  void watch(const SaPair& sa);
  /// Ticks, holds and reports that are due.
  void handle_time(Instant now, OutboundSink& sink);
  [[nodiscard]] std::optional<Instant> next_deadline() const;

 private:
  void add_one(SaPair& sa, const Segmenter& plan, std::uint32_t index, OutboundSink& sink);
  void enqueue(SaPair& sa, const Segmenter& plan, std::uint32_t index);
  void send_pieces(SaPair& sa, ByteView packet, OutboundSink& sink);
  [[nodiscard]] bool begin(SaPair& sa, OutboundSink& sink);
  void end(SaPair& sa, std::size_t at_least);
  void fill(AggfragSa& state);
  void send_full(SaPair& sa, Instant now, OutboundSink& sink);
  void send_queue(SaPair& sa, OutboundSink& sink);
  void tick(SaPair& sa, OutboundSink& sink);
  [[nodiscard]] bool due(SaPair& sa, Instant now, OutboundSink& sink);
  [[nodiscard]] bool superseded(const SaPair& sa) const;
  [[nodiscard]] static std::optional<Instant> deadline_of(const SaPair& sa);

  const Sad& sad_;
  DropCounters& drops_;
  AggfragFrames& frames_;
  Instant now_{};
  std::vector<SaPair*> open_;              // in the order in which they began
  std::vector<model::ChildSaId> watched_;  // pairs with business with the clock
  Bytes scratch_;                          // one inner packet that is cut
};

/// Octets of this SA's outer packets, outer header included.
[[nodiscard]] std::size_t aggfrag_packet_size(const SaPair& sa);
/// Octets that an AGGFRAG payload of it may have, header included.
[[nodiscard]] std::size_t aggfrag_capacity(const SaPair& sa);

}  // namespace culvert::ipsec
