// What a UserspaceDataPlane is made with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ipsec/engine.hpp"

namespace culvert::datapath {

struct SocketOptions {
  std::uint16_t ike_port = 500;
  std::uint16_t nat_port = 4500;
  /// SO_MARK of all outer packets, as io::RoutingOptions::mark. 0: none.
  std::uint32_t mark = 0;
  bool raw = true;           // protocols 50 and 51 and whole packets besides UDP
  bool segmentation = true;  // UDP_SEGMENT and UDP_GRO where the kernel has them
  /// A peer gets a socket of its own once so many messages to it were sent by UDP and the common socket. 0: never.
  std::uint32_t connect_after = 256;
  /// Interfaces whose ESP without UDP goes by AF_XDP, where that can be had.
  std::vector<std::string> xdp = {};
};

/// A worker is a thread with a TUN queue.
inline constexpr std::uint32_t kMostWorkers = 64;

struct DataPlaneOptions {
  /// `worker`, `coalesce` and `max_train_segments` are set to what TUN and the kernel take.
  ipsec::EngineOptions engine;
  std::size_t command_queue = 65536;
  std::size_t event_queue = 4096;
  std::size_t ike_queue = 512;  // datagrams; each up to 64 KiB
};

}  // namespace culvert::datapath
