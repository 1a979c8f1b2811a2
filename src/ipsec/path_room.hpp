// How much of an inner packet fits into what a path takes: the arithmetic of ESP and AH lengths turned round.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "ipsec/packet_io.hpp"

namespace culvert::ipsec {

/// The lengths that go with an inner packet on its way out.
struct PathRoom {
  std::size_t around = 0;     // outer headers, ESP header, IV and ICV, or AH
  std::size_t alignment = 1;  // of what is between them
  std::size_t trailer = 0;    // octets between them beside the packet: ESP's pad length and next header
  std::size_t stripped = 0;   // octets of the inner packet that are not between them (its header, in transport mode)

  [[nodiscard]] constexpr std::size_t outer(std::size_t inner) const {
    const std::size_t between = inner - stripped + trailer;
    return around + (between + alignment - 1) / alignment * alignment;
  }
  /// The longest inner packet whose outer one has at most `path_mtu` octets; 0 when there is none.
  [[nodiscard]] constexpr std::size_t longest_inner(std::size_t path_mtu) const {
    if (path_mtu < around) return 0;
    const std::size_t between = (path_mtu - around) / alignment * alignment;
    if (between < trailer + 1) return 0;
    return std::min(between - trailer + stripped, kMaxInnerPacket);
  }
};

}  // namespace culvert::ipsec
