// Which tunnels prove both ends with the same secrets or certificates, so that what was proved for the one is proved
// for the other (model::ConnectionConfig::credential_group).
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/config.hpp"

namespace culvert::control {

/// The tunnels in groups; of each group of the same credentials its members in the order of the configuration. Secrets
/// are compared, not kept.
[[nodiscard]] std::vector<std::vector<const config::TunnelConfig*>> credential_groups(const config::Config& config);

}  // namespace culvert::control
