// AggfragSa: what an SA pair in AGGFRAG mode (RFC 9347) has on top of any other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/time.hpp"
#include "ipsec/aggfrag_congestion.hpp"
#include "ipsec/aggfrag_packer.hpp"
#include "ipsec/aggfrag_receiver.hpp"
#include "model/ids.hpp"
#include "model/packet_treatment.hpp"

namespace culvert::ipsec {

struct AggfragSa {
  static constexpr std::uint16_t kLeastPacketSize = 256;  // of an outer packet

  explicit AggfragSa(const model::Aggfrag& aggfrag);

  const model::Aggfrag settings;
  std::optional<model::ChildSaId> replaces;  // the pair whose traffic this one takes over

  // Outbound.
  AggfragPacker packer;
  AggfragQueue queue;  // used with a rate or a hold only
  AggfragPacer pacer;
  std::optional<Instant> hold_until;
  std::uint8_t* frame = nullptr;  // the open payload's ESP packet, and its number
  std::uint64_t sequence = 0;

  // Inbound.
  AggfragReceiver receiver;
  bool gap_watched = false;  // the path looks after the receiver's timer

  AggfragCongestion congestion;

  /// Payloads leave by the clock (IP-TFS).
  [[nodiscard]] bool paced() const { return settings.rate != 0; }
  /// Packets go through the queue instead of straight into a payload.
  [[nodiscard]] bool queues() const { return paced() || settings.hold > Duration::zero(); }
};

}  // namespace culvert::ipsec
