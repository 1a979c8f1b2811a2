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
  receive_truncated,
  ike_queue_full,
  outer_no_socket,
  outer_buffer_full,
  outer_refused,
  bypass_refused,
  tun_read_invalid,
  tun_write_refused,
  install_refused,
  handover_full,
  handover_lost,
  stream_full,
  stream_closed,
  stream_refused,
  stream_corrupt,
  count_
};

struct IoDropEntry {
  IoDrop drop;
  std::string_view name;
  std::string_view text;  // one sentence
};

/// In the order of IoDrop.
inline constexpr std::array kIoDrops{
    IoDropEntry{IoDrop::receive_truncated, "receive_truncated", "A datagram came cut or without a sender."},
    IoDropEntry{IoDrop::ike_queue_full, "ike_queue_full", "An IKE message came while the control thread was behind."},
    IoDropEntry{IoDrop::outer_no_socket, "outer_no_socket", "There is no socket for the path's family and port."},
    IoDropEntry{IoDrop::outer_buffer_full, "outer_buffer_full",
                "The send buffer of the socket stayed full: the outer interface takes less than is sent."},
    IoDropEntry{IoDrop::outer_refused, "outer_refused",
                "The kernel refused to send: no route, source address gone, filtered, too long."},
    IoDropEntry{IoDrop::bypass_refused, "bypass_refused", "Likewise, for a packet in clear that a rule lets out."},
    IoDropEntry{IoDrop::tun_read_invalid, "tun_read_invalid",
                "A packet from TUN has a virtio header that says what was not agreed to."},
    IoDropEntry{IoDrop::tun_write_refused, "tun_write_refused",
                "The kernel refused an inner packet, or the TUN device was full."},
    IoDropEntry{IoDrop::install_refused, "install_refused", "The engine refused an SA that was found right before."},
    IoDropEntry{IoDrop::handover_full, "handover_full", "The worker that has the packet's SA does not keep up."},
    IoDropEntry{IoDrop::handover_lost, "handover_lost",
                "A packet was handed on a second time: the rules were just changing."},
    IoDropEntry{IoDrop::stream_full, "stream_full", "ESP over a TCP connection that does not keep up (RFC 9329)."},
    IoDropEntry{IoDrop::stream_closed, "stream_closed", "ESP over TCP, and no connection stands (RFC 9329)."},
    IoDropEntry{IoDrop::stream_refused, "stream_refused", "A peer's TCP connection beyond the bounds."},
    IoDropEntry{IoDrop::stream_corrupt, "stream_corrupt",
                "A TCP connection that is not for us, or has an impossible length; it was closed."},
};
static_assert(kIoDrops.size() == static_cast<std::size_t>(IoDrop::count_));
[[nodiscard]] constexpr std::string_view name_of(IoDrop drop) { return kIoDrops[static_cast<std::size_t>(drop)].name; }

/// What the kernel counts, in the same list: packets for a TUN device whose queues were full, and packets from outside
/// for sockets whose buffers were.
inline constexpr std::string_view kTunQueueFull = "tun_queue_full";
inline constexpr std::string_view kOuterQueueFull = "outer_queue_full";

/// The text of docs/drop-reasons-io.md.
[[nodiscard]] std::string io_drops_markdown();

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
