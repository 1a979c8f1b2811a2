// Which suites the configuration may bring to packets: what is measured before the first SA needs it.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "crypto/packet_cipher.hpp"

namespace culvert::daemon {

/// Of tunnels (every combination that their proposals allow) and of entries with manual keys, each once, in the order
/// of the configuration.
[[nodiscard]] std::vector<crypto::PacketSuite> packet_suites(const config::Config& config);

}  // namespace culvert::daemon
