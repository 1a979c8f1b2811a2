// Which processes hold a UDP port of this host, as /proc tells: the way to name the other IKE daemon.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/address.hpp"

namespace culvert::io {

struct PortHolder {
  net::Endpoint local;
  /// 0 and empty where /proc does not show it: another user's process, or one of another PID namespace.
  int pid = 0;
  std::string name;  // the process's, as the kernel keeps it: up to 15 octets of anything
  friend bool operator==(const PortHolder&, const PortHolder&) = default;
};

/// All sockets bound to the port, IPv4 first, in the network namespace of the calling thread; one entry for each
/// address and process.
[[nodiscard]] std::vector<PortHolder> udp_port_holders(std::uint16_t port);

}  // namespace culvert::io
