// SegmentCoalescer: joins decapsulated TCP segments, or UDP datagrams, that follow each other into a super-packet,
// which TUN takes in one write.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ipsec/packet_io.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// Takes packets in order and appends them to a list. Only neighbours are joined: no packet overtakes another. Inside
/// one receive buffer the payload moves down over the ESP framing between them; with the next buffer the super-packet
/// gets a further piece (InnerPacket::pieces). Nothing is allocated.
///
/// The rules are those of a careful GRO: segmenting the super-packet again gives the same packets. So: right checksums;
/// equal IP headers but for length, identification and checksum; consecutive IPv4 identifications unless DF is set (RFC
/// 6864: then they mean nothing); equal payload lengths, a shorter one only at the end. TCP besides: equal headers but
/// for sequence number, checksum and PSH; ACK and PSH as the only flags; PSH ends it. UDP: equal ports, and a checksum.
class SegmentCoalescer {
 public:
  /// `udp`: TUN takes UDP super-packets, too.
  explicit SegmentCoalescer(bool udp) : udp_(udp) {}

  /// `buffer` tells receive buffers apart. `packet` lies in it, behind all packets added before from the same buffer.
  void add(MutableByteView packet, const net::PacketInfo& info, const void* buffer, std::vector<InnerPacket>& list);
  /// The same for what may be the next packet of the super-packet that is open, and has not been looked at: an IP
  /// packet at the beginning of `text`. True when it is, and is joined: its headers then say what those of the packet
  /// before said, wherever that matters for anyone but the receiver. False changes nothing.
  [[nodiscard]] bool follow(MutableByteView text, const void* buffer, std::vector<InnerPacket>& list);
  /// Completes the headers of an open super-packet. Before the list is delivered.
  void finish(std::vector<InnerPacket>& list);
  /// How many items of the list will not change any more: all but those of an open super-packet.
  [[nodiscard]] std::size_t settled(const std::vector<InnerPacket>& list) const { return open_ ? head_ : list.size(); }
  /// So many items were taken away from the front of the list; no more than are settled.
  void taken(std::size_t count) { head_ -= open_ ? count : 0; }

  /// What Linux takes at least: as many as its own UDP_SEGMENT allows.
  static constexpr std::uint32_t kMostDatagrams = 64;

 private:
  [[nodiscard]] bool is_candidate(ByteView packet, const net::PacketInfo& info) const;
  void begin(MutableByteView packet, const net::PacketInfo& info, const void* buffer);
  void remember_headers();
  [[nodiscard]] bool append(MutableByteView packet, const void* buffer, std::vector<InnerPacket>& list);
  [[nodiscard]] bool has_same_headers(const std::uint8_t* packet) const;
  [[nodiscard]] bool continues(ByteView packet) const;
  [[nodiscard]] std::uint64_t sum_of_headers(ByteView packet) const;
  [[nodiscard]] bool take_payload(MutableByteView packet, const void* buffer, std::vector<InnerPacket>& list);
  void complete(InnerPacket& super);

  bool udp_;
  bool open_ = false;
  bool datagrams_ = false;  // of UDP; else segments of TCP
  bool v4_ = false;
  std::size_t head_ = 0;           // the item of the list that has the headers; its pieces are the last ones
  const void* buffer_ = nullptr;   // of the last piece
  std::uint8_t* first_ = nullptr;  // the super-packet's headers
  std::size_t length_ = 0;         // of all pieces
  std::uint16_t ip_header_ = 0;
  std::uint16_t headers_ = 0;
  std::uint16_t step_ = 0;  // payload octets of each segment but the last
  std::uint32_t segments_ = 0;
  std::uint16_t pieces_ = 1;
  std::uint32_t next_sequence_ = 0;
  std::uint64_t pseudo_sum_ = 0;  // of the pseudo header with length 0
  // The first packet's headers as they came, and which of their bits the others' have to share.
  static constexpr std::size_t kMostHeaders = 128;
  std::array<std::uint8_t, kMostHeaders> like_{};
  std::array<std::uint8_t, kMostHeaders> mask_{};
  // What those bits add to the checksums of IPv4's header and, with the pseudo header's, of the transport's.
  std::uint64_t ip_sum_ = 0;
  std::uint64_t transport_sum_ = 0;
};

}  // namespace culvert::ipsec
