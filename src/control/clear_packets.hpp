// From the SPD to what the host may take in clear from the wire (RFC 4301 5.2).
#pragma once

#include <vector>

#include "control/outputs.hpp"
#include "ipsec/data_plane.hpp"

namespace culvert::control {

/// In the order of the rules, outbound-only ones left out: a bypass rule accepts, a discard rule drops, and so does a
/// protect rule, since what it protects comes out of TUN. Where a tunnel's remote side contains its local networks
/// (0.0.0.0/0), hosts of the local ones talk to each other as they did.
[[nodiscard]] std::vector<ClearPacketWish> make_clear_packet_wishes(const std::vector<ipsec::Policy>& policies);

}  // namespace culvert::control
