// TcpCoalescer: joins decapsulated TCP segments that follow each other into a super-packet, which TUN takes in one
// write.
#pragma once

#include <cstdint>
#include <vector>

#include "ipsec/packet_io.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// Takes packets in order and appends them to a list. Only neighbours are joined, and only inside one receive buffer,
/// where the payload moves down over the ESP framing between them: nothing is allocated, no packet overtakes another.
///
/// The rules are those of a careful GRO: segmenting the super-packet again gives the same packets. So: equal headers
/// but for length, identification, sequence number, checksum and PSH; equal payload lengths, a shorter one only at the
/// end; ACK and PSH as the only flags; PSH ends it; consecutive IPv4 identifications unless DF is set (RFC 6864: then
/// they mean nothing).
class TcpCoalescer {
 public:
  /// `buffer` tells receive buffers apart. `packet` lies in it, behind all packets added before from the same buffer.
  void add(MutableByteView packet, const net::PacketInfo& info, const void* buffer, std::vector<InnerPacket>& list);
  /// Completes the headers of an open super-packet. Before the list is delivered.
  void finish(std::vector<InnerPacket>& list);

 private:
  [[nodiscard]] bool joins(MutableByteView packet, std::size_t headers, const void* buffer) const;
  void join(MutableByteView packet, std::size_t headers, InnerPacket& super);
  void complete(InnerPacket& super);

  bool open_ = false;
  const void* buffer_ = nullptr;
  std::uint8_t* first_ = nullptr;  // the super-packet's headers
  std::size_t length_ = 0;
  std::uint16_t ip_header_ = 0;
  std::uint16_t headers_ = 0;
  std::uint16_t step_ = 0;  // payload octets of each segment but the last
  std::uint32_t segments_ = 0;
  std::uint32_t next_sequence_ = 0;
  net::IpAddress source_;
  net::IpAddress destination_;
};

}  // namespace culvert::ipsec
