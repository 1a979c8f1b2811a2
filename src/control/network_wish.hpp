// From configuration to the SPD's rules and to the routes that lead traffic into TUN.
#pragma once

#include <vector>

#include "control/outputs.hpp"
#include "control/spd_list.hpp"

namespace culvert::control {

/// The TUN device's MTU when nobody asks for another one: ESP in UDP over IPv4 or IPv6 with any AEAD fits into 1500
/// octets.
inline constexpr std::uint16_t kDefaultInnerMtu = 1400;

/// All remote networks of protect rules lead into TUN whether there is an SA or not: what a rule protects never leaves
/// in clear because there is none. A discard rule leads into TUN too, where the SPD drops and counts; a bypass rule for
/// all protocols and sources leads back to the host's own routing, unless a rule in front of it takes its packets;
/// others are carried out packet by packet, from TUN. So do the tunnels' own networks where everything (0.0.0.0/0) is
/// remote: a gateway must reach the hosts it protects. Rules for inbound packets only make no route.
[[nodiscard]] NetworkWish make_network_wish(const std::vector<SpdEntry>& spd, const std::vector<Guarded>& guards);

}  // namespace culvert::control
