// ConnectionTable: the configured connections, and which of them a peer can mean (RFC 4301 4.4.3, the PAD, as far as
// IKE needs it).
#pragma once

#include <map>
#include <vector>

#include "model/connection.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

/// The identity that we show on this connection: the configured one, or the local address of the path.
[[nodiscard]] model::Identity local_identity(const model::ConnectionConfig& config, const net::Path& path);
/// The identity that the peer must prove: the configured one, or the configured address, or the address it came from.
[[nodiscard]] model::Identity remote_identity(const model::ConnectionConfig& config, const net::Path& path);

class ConnectionTable {
 public:
  /// Adds the connection or replaces the one with its id.
  void put(model::ConnectionConfig config);
  void remove(model::ConnectionId id) { connections_.erase(id); }
  /// Null when there is none. The pointer is good until the next put or remove.
  [[nodiscard]] const model::ConnectionConfig* find(model::ConnectionId id) const;
  [[nodiscard]] bool empty() const { return connections_.empty(); }

  /// As responder: the connections whose addresses allow the path; those that name the peer's address first, then by
  /// id.
  [[nodiscard]] std::vector<const model::ConnectionConfig*> candidates(const net::Path& path) const;

 private:
  std::map<model::ConnectionId, model::ConnectionConfig> connections_;
};

}  // namespace culvert::ike::v2
