// PacketTreatment: what an SA does to packets around the cryptography (RFC 4301 5.1.2, 7, 8.1): outer header fields,
// lengths, compression, aggregation. Policy of one side; nothing in it is secret.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>

#include "base/time.hpp"

namespace culvert::model {

/// The DF bit of an outer IPv4 header (RFC 4301 8.1).
enum class DontFragment : std::uint8_t { clear, copy, set };

/// Where a packet is cut that would be too long for the path with its ESP or AH around it, and may be cut: the inner
/// packet before (each piece is a whole inner fragment; the peer reassembles nothing), or the outer one after.
enum class Fragmentation : std::uint8_t { before, after };

/// How the header in front of ESP or AH is made in tunnel and BEET mode. In transport mode the packet keeps its own.
struct OuterHeader {
  DontFragment dont_fragment = DontFragment::copy;
  Fragmentation fragmentation = Fragmentation::before;
  /// RFC 4301 5.1.2.1: the DSCP is the inner packet's, or this value (0 to 63).
  std::optional<std::uint8_t> dscp;
  /// Inbound: whether the inner packet takes the outer DSCP over. RFC 4301 5.1.2.1 says no by default.
  bool dscp_inward = false;
  /// RFC 6040: normal mode; false is compatibility mode (the outer field is not-ECT) for a peer that cannot.
  bool ecn = true;
  std::uint8_t hop_limit = 64;
  friend auto operator<=>(const OuterHeader&, const OuterHeader&) = default;
};

/// RFC 4301 6.2: which ICMP errors may pass an SA. Routers between send them, so their own addresses need not be ones
/// that the SA's selectors know.
enum class IcmpErrors : std::uint8_t {
  selectors,  // those that the selectors admit, like any packet
  quoted,     // also those whose quoted packet, turned round, the selectors admit
  checked     // as `quoted`, and the quoted packet must fit in any case: a peer may speak of its own flows only
};

/// Traffic flow confidentiality (RFC 4303 2.6, 2.7); only towards a peer that can take it.
struct TrafficFlowConfidentiality {
  static constexpr std::uint16_t kPadToPath = 0xffff;
  /// Inner packets shorter than this are padded to it; kPadToPath: to the longest that the path takes; 0: never.
  std::uint16_t pad_to = 0;
  /// A dummy packet goes out whenever none has for so long; absent: never.
  std::optional<Duration> dummy_after;
  friend auto operator<=>(const TrafficFlowConfidentiality&, const TrafficFlowConfidentiality&) = default;
};

/// AGGFRAG tunnel (RFC 9347): ESP payloads of one size that inner packets are packed and cut into.
struct Aggfrag {
  /// Octets of each outer IP packet; 0: as long as the path takes.
  std::uint16_t packet_size = 0;
  /// Octets of outer packets per second, sent whether or not there is traffic (IP-TFS); 0: only as traffic demands.
  std::uint64_t rate = 0;
  /// On demand: how long a part-filled packet waits for more; zero: it leaves at the end of its batch.
  Duration hold = Duration::zero();
  /// Inner packets are not cut over several outer ones, as the peer may ask (RFC 9347 5.1).
  bool dont_fragment = false;
  /// Payload with the congestion-control header (RFC 9347 6.1.2), the rate following it where it is given.
  bool congestion_control = false;
  /// Packets by which an outer packet may come late before it counts as lost (RFC 9347 2.2.3).
  std::uint16_t reorder_window = 3;
  friend auto operator<=>(const Aggfrag&, const Aggfrag&) = default;
};

struct PacketTreatment {
  OuterHeader outer;
  TrafficFlowConfidentiality confidentiality;
  /// Compress inner packets where it helps (RFC 3173). The peer must have agreed, see ChildSaParams::ipcomp.
  bool compress = false;
  std::optional<Aggfrag> aggfrag;
  /// Lowers the MSS option of TCP SYNs both ways to what fits the path (0) or to this value; absent: leaves it alone.
  std::optional<std::uint16_t> mss_clamp = 0;
  IcmpErrors icmp_errors = IcmpErrors::quoted;
  /// The same with what was agreed on.
  [[nodiscard]] PacketTreatment with(const std::optional<Aggfrag>& agreed) const {
    PacketTreatment treatment = *this;
    treatment.aggfrag = agreed;
    return treatment;
  }
  friend auto operator<=>(const PacketTreatment&, const PacketTreatment&) = default;
};

}  // namespace culvert::model
