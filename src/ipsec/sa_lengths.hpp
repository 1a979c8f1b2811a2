// What fits through an SA: from its path MTU to the longest inner packet, the MSS of TCP through it, and what packets
// are padded to (RFC 4301 8.2.1, RFC 4303 2.7).
#pragma once

#include <cstdint>

#include "ipsec/path_room.hpp"
#include "ipsec/sa.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// The lengths of this packet's way through the SA. `info` says how long its headers are and of which family.
[[nodiscard]] PathRoom path_room(const SaPair& sa, const net::PacketInfo& info);
/// The longest packet with `info`'s headers that leaves in one piece.
[[nodiscard]] std::size_t longest_inner(const SaPair& sa, const net::PacketInfo& info, std::size_t max_train_bytes);
/// The same for a packet without options or extension headers; for events and TCP's MSS.
[[nodiscard]] std::size_t inner_mtu(const SaPair& sa, net::Family family, std::size_t max_train_bytes);

/// Sets what hangs on the path MTU in `sa.outbound`; when the pair is made, and whenever path or MTU change.
void update_lengths(SaPair& sa, std::size_t max_train_bytes);

/// True when any of the selectors is for certain ports (or ICMP types), OPAQUE included.
[[nodiscard]] bool names_ports(const model::TrafficSelectors& selectors);
/// True when later fragments do not show all that the selectors ask for: ports; and in IPv6 the protocol too, where
/// Destination Options or other headers stand in front of it.
[[nodiscard]] bool later_fragments_hide(const model::TrafficSelectors& selectors);
/// True when fragments that show no ports may go over the SA: its selectors take any, or OPAQUE (RFC 4301 7.1, 7.2), or
/// both sides agreed to check them by their first ones (RFC 4301 7.3).
[[nodiscard]] bool takes_later_fragments(const SaPair& sa, const net::PacketInfo& info);

}  // namespace culvert::ipsec
