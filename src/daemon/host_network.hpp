// HostNetwork: brings about what the control plane wishes of the host's routes, addresses and the TUN device's MTU, and
// takes it back.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "control/outputs.hpp"
#include "io/addresses.hpp"
#include "io/routes.hpp"
#include "io/tun.hpp"

namespace culvert::daemon {

class HostNetwork {
 public:
  /// `tun` must outlive it. Leftovers of an earlier run stay in force until the first `apply`.
  [[nodiscard]] static Result<HostNetwork, io::IoError> open(const io::RoutingOptions& options, io::Tun& tun);

  /// Changes what differs from the last wish. Each problem is one sentence; the rest of the wish is in force all the
  /// same.
  [[nodiscard]] std::vector<std::string> apply(const control::NetworkWish& wish);
  /// The host's addresses changed: the preferred sources of the routes are chosen anew.
  [[nodiscard]] std::vector<std::string> addresses_changed();

 private:
  HostNetwork(io::TunnelRoutes routes, io::AddedAddresses addresses, io::Tun& tun)
      : routes_(std::move(routes)), addresses_(std::move(addresses)), tun_(&tun) {}
  void apply_routes(std::vector<std::string>& problems);

  io::TunnelRoutes routes_;
  io::AddedAddresses addresses_;
  io::Tun* tun_;
  control::NetworkWish wish_;
};

}  // namespace culvert::daemon
