// The ECN and DSCP bits between inner and outer header (RFC 6040, RFC 4301 5.1.2.1).
#pragma once

#include <cstdint>
#include <optional>

namespace culvert::ipsec {

inline constexpr std::uint8_t kEcnMask = 0x03;
enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };

/// RFC 6040 4.1, normal mode: the inner field is copied outward. DSCP is copied when asked, else 0.
[[nodiscard]] constexpr std::uint8_t outer_tos(std::uint8_t inner, bool copy_dscp) {
  return copy_dscp ? inner : static_cast<std::uint8_t>(inner & kEcnMask);
}

/// RFC 6040 4.2, figure 4: the ECN field that the decapsulated packet goes on with; nothing when it has to be dropped.
/// The inner DSCP stays as it is (RFC 4301 5.1.2.1).
[[nodiscard]] constexpr std::optional<std::uint8_t> decapsulated_tos(std::uint8_t inner, std::uint8_t outer) {
  const auto inside = static_cast<Ecn>(inner & kEcnMask);
  const auto outside = static_cast<Ecn>(outer & kEcnMask);
  if (outside == Ecn::ce) {
    if (inside == Ecn::not_ect) return std::nullopt;
    return static_cast<std::uint8_t>(inner | kEcnMask);
  }
  if (outside == Ecn::ect1 && inside == Ecn::ect0) {
    return static_cast<std::uint8_t>((inner & ~kEcnMask) | static_cast<std::uint8_t>(Ecn::ect1));
  }
  return inner;
}

}  // namespace culvert::ipsec
