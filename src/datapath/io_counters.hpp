// IoCounters: what was lost between the system and the engine, by reason. Any thread reads, the workers and the
// control thread count.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace culvert::datapath {

enum class IoDrop : std::uint8_t {
  receive_truncated,  // a datagram came cut or without a sender
  ike_queue_full,     // an IKE message while the control thread was behind
  outer_no_socket,    // no socket for the path's family and port
  outer_buffer_full,  // the socket's send buffer stayed full
  outer_refused,      // the kernel refused to send: no route, source address gone, filtered, too long
  bypass_refused,     // likewise, for a packet in clear that a rule lets out
  tun_read_invalid,   // a virtio header that says what we did not agree to
  tun_write_refused,  // the kernel refused an inner packet, or TUN was full
  install_refused,    // the engine refused an SA that was found right before
  handover_full,      // the worker that has the packet's SA does not keep up
  handover_lost,      // a packet was sent on a second time: the rules were just changing
  stream_full,        // ESP over a TCP connection that does not keep up
  stream_closed,      // ESP over TCP, and no connection stands
  stream_refused,     // a TCP connection of a peer's beyond the bounds
  stream_corrupt,     // a TCP connection that is not for us, or has an impossible length; it was closed
  count_
};
[[nodiscard]] std::string_view name_of(IoDrop drop);

class IoCounters {
 public:
  void count(IoDrop drop, std::uint64_t packets = 1) {
    if (packets != 0) counts_[static_cast<std::size_t>(drop)].fetch_add(packets, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t of(IoDrop drop) const {
    return counts_[static_cast<std::size_t>(drop)].load(std::memory_order_relaxed);
  }
  /// The reasons that occurred.
  void append_to(std::vector<std::pair<std::string, std::uint64_t>>& out) const;

 private:
  std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(IoDrop::count_)> counts_{};
};

}  // namespace culvert::datapath
