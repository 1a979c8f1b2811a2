// HalfOpenCounts: how many half-open IKE SAs each sender has, and each network, whatever their number: so that whoever
// can be reached at many addresses does not keep all others out (RFC 8019 4.2).
#pragma once

#include <cstddef>
#include <map>
#include <unordered_map>

#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

/// What one customer or one small provider has: the /24 of an IPv4 address, the /56 of an IPv6 address.
[[nodiscard]] net::Prefix network_of(const net::IpAddress& address);

class HalfOpenCounts {
 public:
  [[nodiscard]] std::size_t size() const { return addresses_.size(); }
  /// Counts it, or counts it under another address than before.
  void put(model::IkeSaId id, const net::IpAddress& address);
  void remove(model::IkeSaId id);

  /// One host, or what one host surely has: an IPv4 address, or the /64 of an IPv6 address.
  [[nodiscard]] std::size_t of_sender(const net::IpAddress& address) const;
  [[nodiscard]] std::size_t of_network(const net::IpAddress& address) const;

 private:
  void count(const net::IpAddress& address, bool more);
  [[nodiscard]] std::size_t get(const net::Prefix& prefix) const;

  std::unordered_map<model::IkeSaId, net::IpAddress> addresses_;
  std::map<net::Prefix, std::size_t> counts_;
};

}  // namespace culvert::ike::v2
