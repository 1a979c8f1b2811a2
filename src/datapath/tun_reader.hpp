// TunReader: inner packets from TUN in batches, each in a buffer with the room in front and behind that the engine asks
// for.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "datapath/io_counters.hpp"
#include "io/tun.hpp"
#include "ipsec/packet_io.hpp"

namespace culvert::datapath {

class TunReader {
 public:
  TunReader(io::TunQueue& queue, IoCounters& counters);

  struct Batch {
    std::span<const ipsec::InnerPacket> packets;  // until the next read
    bool drained = false;                         // nothing more waits
    int error = 0;                                // the queue is broken
  };
  /// Reads until TUN is empty or the batch is large enough: so many packets, or so many octets that the next stages
  /// stay in the cache.
  [[nodiscard]] Batch read();

 private:
  static constexpr std::size_t kMostPackets = 32;
  static constexpr std::size_t kMostBytes = std::size_t{256} * 1024;
  static constexpr std::size_t kStride = ipsec::kInnerHeadroom + 65536 + 2 * ipsec::kInnerTailroom;
  static_assert(kStride % 64 == 0 && ipsec::kInnerHeadroom >= sizeof(io::VirtioNetHeader));

  io::TunQueue& queue_;
  IoCounters& counters_;
  // Not set to zero: what no packet has needed stays the system's.
  std::unique_ptr<std::uint8_t[]> memory_;
  std::vector<ipsec::InnerPacket> packets_;
};

}  // namespace culvert::datapath
