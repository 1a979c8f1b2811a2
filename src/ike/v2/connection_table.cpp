#include "ike/v2/connection_table.hpp"

#include <algorithm>
#include <utility>

namespace culvert::ike::v2 {

model::Identity local_identity(const model::ConnectionConfig& config, const net::Path& path) {
  return config.local_id ? *config.local_id : model::Identity::of(path.local.address);
}

model::Identity remote_identity(const model::ConnectionConfig& config, const net::Path& path) {
  if (config.remote_id) return *config.remote_id;
  return model::Identity::of(config.peer ? *config.peer : path.remote.address);
}

void ConnectionTable::put(model::ConnectionConfig config) {
  const model::ConnectionId id = config.id;
  connections_.insert_or_assign(id, std::move(config));
}

const model::ConnectionConfig* ConnectionTable::find(model::ConnectionId id) const {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : &found->second;
}

std::vector<const model::ConnectionConfig*> ConnectionTable::candidates(const net::Path& path) const {
  std::vector<const model::ConnectionConfig*> found;
  for (const auto& [id, config] : connections_) {
    if (config.local_address && *config.local_address != path.local.address) continue;
    if (config.peer && *config.peer != path.remote.address) continue;
    found.push_back(&config);
  }
  std::ranges::stable_partition(found, [](const model::ConnectionConfig* config) { return config->peer.has_value(); });
  return found;
}

}  // namespace culvert::ike::v2
