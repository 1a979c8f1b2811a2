// From configuration to the SPD's rules and to the routes that lead traffic into TUN.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "control/outputs.hpp"
#include "ipsec/data_plane.hpp"
#include "model/connection.hpp"

namespace culvert::control {

/// The TUN device's MTU when nobody asks for another one: ESP in UDP over IPv4 or IPv6 with any AEAD fits into 1500
/// octets.
inline constexpr std::uint16_t kDefaultInnerMtu = 1400;

/// The SPD in order: the explicit rules as written, then each tunnel's protect rule. Policy ids count from 1.
[[nodiscard]] std::vector<ipsec::Policy> make_policies(const std::vector<config::PolicyRule>& rules,
                                                       const std::vector<const model::ConnectionConfig*>& connections);

/// All remote networks lead into TUN whether the tunnel is up or not: what a rule protects never leaves in clear
/// because there is no SA. A discard rule leads into TUN too, where the SPD drops and counts; a bypass rule for all
/// protocols and sources leads back to the host's own routing; others are carried out packet by packet, from TUN. So do
/// the tunnel's own networks where everything (0.0.0.0/0) is remote: a gateway must reach the hosts it protects.
[[nodiscard]] NetworkWish make_network_wish(const std::vector<config::PolicyRule>& rules,
                                            const std::vector<const model::ConnectionConfig*>& connections);

}  // namespace culvert::control
