// HostNetwork: brings about what the control plane wishes of the host's routes, addresses and the TUN device's MTU, and
// takes it back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "control/outputs.hpp"
#include "io/addresses.hpp"
#include "io/clear_packet_filter.hpp"
#include "io/routes.hpp"
#include "io/tun.hpp"

namespace culvert::daemon {

class HostNetwork {
 public:
  /// `tun` must outlive it. Leftovers of an earlier run stay in force until the first `apply`.
  [[nodiscard]] static Result<HostNetwork, io::IoError> open(const io::RoutingOptions& options,
                                                             const io::ClearPacketOptions& clear_packets, io::Tun& tun);

  /// Whether tunnels open TCP streams, to be said before `apply` (io::ClearPacketOptions::own_streams).
  void set_own_streams(bool there);
  /// Changes what differs from the last wish. Each problem is one sentence; the rest of the wish is in force all the
  /// same.
  [[nodiscard]] std::vector<std::string> apply(const control::NetworkWish& wish);
  /// The host's addresses changed: the preferred sources of the routes are chosen anew.
  [[nodiscard]] std::vector<std::string> addresses_changed();
  /// Interfaces came, went or changed: strict reverse path filters are looked at anew.
  [[nodiscard]] std::vector<std::string> links_changed();
  /// Packets that arrived in clear and were dropped for it.
  [[nodiscard]] std::uint64_t clear_packets_dropped() const { return filter_.dropped().value_or(0); }

 private:
  HostNetwork(io::TunnelRoutes routes, io::AddedAddresses addresses, io::ClearPacketFilter filter, io::Tun& tun)
      : routes_(std::move(routes)), addresses_(std::move(addresses)), filter_(std::move(filter)), tun_(&tun) {}
  void apply_clear_packets(std::vector<std::string>& problems);
  void apply_routes(std::vector<std::string>& problems);

  io::TunnelRoutes routes_;
  io::AddedAddresses addresses_;
  io::ClearPacketFilter filter_;
  std::optional<std::vector<control::ClearPacketWish>> filtered_;
  io::Tun* tun_;
  bool own_streams_ = false;
  control::NetworkWish wish_;
};

}  // namespace culvert::daemon
