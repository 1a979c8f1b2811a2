// Alice as one of many for bob, with her address of him (RFC 7296 2.19).
#pragma once

#include "tests/sim/world.hpp"

namespace culvert::sim {

inline void give_from_pool(WorldOptions& options) {
  model::ConnectionConfig& client = options.connections[index_of(Side::alice)];
  client.local_id = model::Identity::parse("alice@example.org");
  client.request_addresses = {net::Family::v4};
  client.local = {model::TrafficSelector::of(net::AddressRange::all(net::Family::v4))};
  client.remote = {*model::TrafficSelector::parse("10.2.0.0/16")};
  model::ConnectionConfig& gateway = options.connections[index_of(Side::bob)];
  gateway.remote_id.reset();
  gateway.remote_pattern = model::IdentityPattern::parse("*@example.org");
  gateway.pools = {"staff"};
  gateway.local = client.remote;
  // The one address that the simulator's packets of alice have.
  gateway.remote = {*model::TrafficSelector::parse("10.1.0.1")};
  options.peer_kinds[index_of(Side::bob)] = config::PeerKind::any;
  config::PoolConfig pool;
  pool.name = "staff";
  pool.ranges = {*net::AddressRange::parse("10.1.0.1")};
  options.pools[index_of(Side::bob)] = {pool};
}

}  // namespace culvert::sim
