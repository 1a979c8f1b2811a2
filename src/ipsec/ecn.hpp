// The ECN and DSCP bits between inner and outer header (RFC 6040, RFC 4301 5.1.2.1). For modes with an outer header of
// their own; in transport mode the packet's one header carries both and nothing is done.
#pragma once

#include <cstdint>
#include <optional>

#include "model/packet_treatment.hpp"

namespace culvert::ipsec {

inline constexpr std::uint8_t kEcnMask = 0x03;
enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };

/// The outer header's DSCP and ECN for an inner packet's.
/// RFC 4301 5.1.2.1: the DSCP is copied, or the one that the SA was given. RFC 6040 4.1: the ECN field is copied in
/// normal mode; in compatibility mode, for a peer that would lose congestion marks, it says not-ECT.
[[nodiscard]] constexpr std::uint8_t outer_tos(std::uint8_t inner, const model::OuterHeader& treatment) {
  const std::uint8_t dscp =
      treatment.dscp ? static_cast<std::uint8_t>(*treatment.dscp << 2) : static_cast<std::uint8_t>(inner & ~kEcnMask);
  return static_cast<std::uint8_t>(dscp | (treatment.ecn ? inner & kEcnMask : 0));
}

/// RFC 6040 4.2, figure 4: the ECN field that the decapsulated packet goes on with; nothing when it has to be dropped.
/// The inner DSCP stays as it is unless the SA says otherwise (RFC 4301 5.1.2.1).
[[nodiscard]] constexpr std::optional<std::uint8_t> decapsulated_tos(std::uint8_t inner, std::uint8_t outer,
                                                                     bool dscp_inward = false) {
  const auto inside = static_cast<Ecn>(inner & kEcnMask);
  const auto outside = static_cast<Ecn>(outer & kEcnMask);
  Ecn merged = inside;
  if (outside == Ecn::ce) {
    if (inside == Ecn::not_ect) return std::nullopt;
    merged = Ecn::ce;
  } else if (outside == Ecn::ect1 && inside == Ecn::ect0) {
    merged = Ecn::ect1;
  }
  const std::uint8_t dscp = static_cast<std::uint8_t>((dscp_inward ? outer : inner) & ~kEcnMask);
  return static_cast<std::uint8_t>(dscp | static_cast<std::uint8_t>(merged));
}

/// RFC 6040 4.2: the combinations that figure 4 marks with (!) or (!!!): no tunnel ingress that we know of makes them.
[[nodiscard]] constexpr bool ecn_is_odd(std::uint8_t inner, std::uint8_t outer) {
  const auto inside = static_cast<Ecn>(inner & kEcnMask);
  const auto outside = static_cast<Ecn>(outer & kEcnMask);
  switch (inside) {
    case Ecn::not_ect: return outside != Ecn::not_ect;
    case Ecn::ect1: return outside == Ecn::ect0;
    case Ecn::ce: return outside == Ecn::ect1;
    case Ecn::ect0: break;
  }
  return false;
}

/// RFC 4301 8.1: the outer DF bit. An IPv6 packet counts as one with DF, since no router may cut it either.
[[nodiscard]] constexpr bool outer_dont_fragment(bool inner_is_v6, bool inner_dont_fragment,
                                                 const model::OuterHeader& treatment) {
  switch (treatment.dont_fragment) {
    case model::DontFragment::clear: return false;
    case model::DontFragment::set: return true;
    case model::DontFragment::copy: break;
  }
  return inner_is_v6 || inner_dont_fragment;
}

}  // namespace culvert::ipsec
