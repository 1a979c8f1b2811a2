#include "daemon/keys.hpp"

#include "ike/auth/shared_key.hpp"
#include "model/proposal.hpp"

namespace culvert::daemon {

void SharedSecrets::load(const config::Config& config) {
  by_tunnel_.clear();
  for (const config::TunnelConfig& tunnel : config.tunnels)
    by_tunnel_.emplace(tunnel.connection.name, tunnel.secret.clone());
}

void SharedSecrets::name_connection(model::ConnectionId connection, std::string tunnel) {
  names_.insert_or_assign(connection, std::move(tunnel));
}

ike::SharedKeyMacResult SharedSecrets::compute(const ike::SharedKeyMacRequest& request) const {
  const auto name = names_.find(request.connection);
  const auto hash = model::prf_hash(request.prf);
  if (name == names_.end() || !hash) return {};
  const auto secret = by_tunnel_.find(name->second);
  if (secret == by_tunnel_.end()) return {};
  return {ike::auth::shared_key_mac(*hash, secret->second.view(), request.octets)};
}

}  // namespace culvert::daemon
