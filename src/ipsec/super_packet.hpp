// SuperPacket: TCP segments, or UDP datagrams, of one flow that follow each other, on their way to become one packet.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "ipsec/packet_io.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// What may be joined of TCP, by family: what the host does with it decides.
struct TcpJoining {
  /// Octets of a super-packet, headers included: at most kMaxSuperPacket. Beyond kMaxInnerPacket the length field of
  /// its header is 0 (IPv4 only; Linux calls it BIG TCP and takes it from 6.3 on).
  std::size_t longest = kMaxInnerPacket;
  /// Nobody but this host's TCP will see the segments. PSH does not end a super-packet then: it says nothing to TCP
  /// that it does not do anyway (RFC 9293 3.9.1.3: it need not be told to the user). Elsewhere it does, so that
  /// segments that go on are those that came.
  bool over_push = false;
  friend bool operator==(const TcpJoining&, const TcpJoining&) = default;
};

/// The rules are those of a careful GRO: segmenting the super-packet again gives the same packets (but for PSH, see
/// TcpJoining). So: right checksums; equal IP headers but for length, identification and checksum; consecutive IPv4
/// identifications unless DF is set (RFC 6864: then they mean nothing); equal payload lengths, a shorter one only at
/// the end. TCP besides: equal headers but for sequence number, checksum and PSH; ACK and PSH as the only flags. UDP:
/// equal ports, and a checksum.
class SuperPacket {
 public:
  /// Whether a packet may be joined to others at all: a plain data segment, or datagram, and right.
  [[nodiscard]] static bool is_candidate(ByteView packet, const net::PacketInfo& info, bool udp);

  /// From a candidate, which lies in `buffer`: that tells receive buffers apart.
  void begin(MutableByteView packet, const net::PacketInfo& info, const void* buffer, const TcpJoining& joining);
  /// Joins the packet behind; false when it does not go on with this one, and nothing is changed then. `behind`:
  /// nothing that is still wanted lies between it and what was joined last, where that lies in the same buffer: the
  /// payload then moves down over what stands between them. Otherwise it becomes a piece of its own.
  [[nodiscard]] bool append(MutableByteView packet, const void* buffer, bool behind);
  /// The same for what has not been looked at: an IP packet at the beginning of `text`.
  [[nodiscard]] bool follow(MutableByteView text, const void* buffer);
  /// False once nothing more can be joined, whatever it is.
  [[nodiscard]] bool may_go_on() const { return open_; }
  /// Of the same addresses, protocol and ports; of a packet that shows no ports, of the same addresses.
  [[nodiscard]] bool is_of_flow(ByteView packet, const net::PacketInfo& info) const;
  /// Completes the headers and appends it to `list`, one item for each piece.
  void deliver(std::vector<InnerPacket>& list);

  /// What Linux takes at least: as many as its own UDP_SEGMENT allows.
  static constexpr std::uint32_t kMostDatagrams = 64;

 private:
  void remember_headers();
  [[nodiscard]] bool has_same_headers(const std::uint8_t* packet) const;
  [[nodiscard]] bool continues(ByteView packet) const;
  [[nodiscard]] std::uint64_t sum_of_headers(ByteView packet) const;
  [[nodiscard]] bool take_payload(MutableByteView packet, const void* buffer, bool behind);
  [[nodiscard]] Offload complete();

  bool open_ = false;
  bool datagrams_ = false;  // of UDP; else segments of TCP
  bool v4_ = false;
  bool over_push_ = false;
  std::size_t longest_ = 0;
  const void* buffer_ = nullptr;   // of the last piece
  std::uint8_t* first_ = nullptr;  // the headers
  std::size_t length_ = 0;         // of all pieces
  std::uint16_t ip_header_ = 0;
  std::uint16_t headers_ = 0;
  std::uint16_t step_ = 0;  // payload octets of each segment but the last
  std::uint32_t segments_ = 0;
  std::uint32_t next_sequence_ = 0;
  std::uint64_t pseudo_sum_ = 0;  // of the pseudo header with length 0
  // The first packet's headers as they came, and which of their bits the others' have to share.
  static constexpr std::size_t kMostHeaders = 128;
  std::array<std::uint8_t, kMostHeaders> like_{};
  std::array<std::uint8_t, kMostHeaders> mask_{};
  // What those bits add to the checksums of IPv4's header and, with the pseudo header's, of the transport's.
  std::uint64_t ip_sum_ = 0;
  std::uint64_t transport_sum_ = 0;
  std::uint16_t piece_count_ = 0;
  std::array<MutableByteView, kMaxPieces> pieces_{};
};

}  // namespace culvert::ipsec
