// SegmentCoalescer: joins decapsulated TCP segments, or UDP datagrams, that follow each other into super-packets, which
// TUN takes in one write.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ipsec/packet_io.hpp"
#include "ipsec/super_packet.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// Takes packets in order and appends them to a list, those of some flows joined (SuperPacket has the rules): packets
/// of one flow keep their order, those of different ones need not. Inside one receive buffer the payload moves down
/// over the ESP framing between them; with the next buffer, or behind a packet of another flow, the super-packet gets a
/// further piece (InnerPacket::pieces). Nothing is allocated.
class SegmentCoalescer {
 public:
  /// `udp`: TUN takes UDP super-packets, too.
  explicit SegmentCoalescer(bool udp) : udp_(udp) {}

  /// From now on, for what begins then.
  void set_joining(net::Family family, const TcpJoining& joining) { joining_of(family) = joining; }
  /// `buffer` tells receive buffers apart. `packet` lies in it, behind all packets added before from the same buffer.
  void add(MutableByteView packet, const net::PacketInfo& info, const void* buffer, std::vector<InnerPacket>& list);
  /// The same for what may be of the flow of the packet before, and has not been looked at: an IP packet at the
  /// beginning of `text`. True when it is, and is joined: its headers then say what those of the packet before said,
  /// wherever that matters for anyone but the receiver. False changes nothing.
  [[nodiscard]] bool follow(MutableByteView text, const void* buffer) {
    return current_ != nullptr && current_->follow(text, buffer);
  }
  /// Completes all that is begun and appends it to the list. Before the buffers are used again.
  void finish(std::vector<InnerPacket>& list);

 private:
  // As many flows as there are super-packets at once.
  static constexpr std::size_t kFlows = 8;

  TcpJoining& joining_of(net::Family family) { return joining_[family == net::Family::v4 ? 0 : 1]; }
  [[nodiscard]] std::size_t place_of_flow(ByteView packet, const net::PacketInfo& info) const;
  void deliver(std::size_t place, std::vector<InnerPacket>& list);

  bool udp_;
  std::array<TcpJoining, 2> joining_;
  SuperPacket* current_ = nullptr;  // what the last packet was joined to, or began
  // Those begun, the oldest in front: places in `supers_`, of which the others follow.
  std::size_t begun_ = 0;
  std::array<std::uint8_t, kFlows> order_{0, 1, 2, 3, 4, 5, 6, 7};
  std::array<SuperPacket, kFlows> supers_;
};

}  // namespace culvert::ipsec
