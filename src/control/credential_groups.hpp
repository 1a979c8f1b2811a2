// Which tunnels prove both ends with the same secrets or certificates, so that what was proved for the one is proved
// for the other (model::ConnectionConfig::credential_group).
#pragma once

#include <cstdint>
#include <vector>

#include "config/config.hpp"

namespace culvert::control {

struct CredentialGroup {
  /// Of these credentials alone, and of these for ever, so that tickets of before a restart can be told by it.
  std::uint32_t number = 0;
  std::vector<const config::TunnelConfig*> tunnels;
};

/// The tunnels in groups; of each group of the same credentials its members in the order of the configuration. Secrets
/// are compared, not kept.
[[nodiscard]] std::vector<CredentialGroup> credential_groups(const config::Config& config);

}  // namespace culvert::control
