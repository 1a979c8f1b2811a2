// What goes into the engine and what comes out of it: inner packets on the TUN side, ESP on the wire side, always in
// batches and always as views of buffers that someone else owns. A super-packet (TSO, USO) or a train of equal packets
// (GSO, GRO) is one item.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.hpp"
#include "model/child_sa.hpp"
#include "net/address.hpp"

namespace culvert::ipsec {

/// What the 10-byte virtio-net header in front of a TUN packet says, decoded. It is a hint of our own kernel; the
/// engine parses the headers itself and drops what does not fit together.
struct Offload {
  enum class Segmentation : std::uint8_t { none, tcp4, tcp6, udp };  // VIRTIO_NET_HDR_GSO_NONE, _TCPV4, _TCPV6, _UDP_L4

  Segmentation segmentation = Segmentation::none;
  /// Octets of payload behind the TCP or UDP header in each segment but the last; 0 without segmentation.
  std::uint16_t segment_size = 0;
  /// From the engine to TUN: octets of all headers in front of the payload of a super-packet (virtio's hdr_len).
  /// Ignored on the way in.
  std::uint16_t header_length = 0;
  /// VIRTIO_NET_HDR_F_NEEDS_CSUM: the 16 bits at `checksum_start` + `checksum_offset` hold the pseudo header's sum
  /// only; the checksum covers everything from `checksum_start` (counted from the IP header) on.
  bool checksum_partial = false;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
  /// VIRTIO_NET_HDR_F_DATA_VALID, from the engine to TUN: the transport checksum was verified or covered by ESP.
  bool checksum_valid = false;
};

/// Octets that must be writable in front of and behind each InnerPacket given to Engine::outbound. The engine may use
/// them to build ESP around the packet without moving it; their content, and the packet's own, is unspecified
/// afterwards.
inline constexpr std::size_t kInnerHeadroom = 128;
inline constexpr std::size_t kInnerTailroom = 64;
/// The longest inner packet, super-packets included; but for those of TCP that stay on this host (TcpJoining).
inline constexpr std::size_t kMaxInnerPacket = 65535;
inline constexpr std::size_t kMaxSuperPacket = 4 * kMaxInnerPacket;

/// One IP packet of the protected side: read from TUN (Engine::outbound) or to be written to it (InboundSink). A
/// super-packet is one packet whose length field, ports and sequence number describe the whole.
struct InnerPacket {
  MutableByteView bytes;  // from the IP header on
  Offload offload;
  /// From the engine to TUN: of how many items of the list the packet is made, this one and those behind it, whose
  /// `bytes` are further payload. More than 1 only for super-packets.
  std::uint16_t pieces = 1;
};
/// The most pieces of one packet.
inline constexpr std::uint16_t kMaxPieces = 63;

/// One send operation: ESP packets of one size, back to back, all to one peer.
///
/// With Encapsulation::udp each segment is the payload of one datagram on `path`; with Encapsulation::none each is the
/// payload of one IP packet of protocol 50 between the path's addresses, or, `with_ip_header`, a whole IP packet that
/// is to leave as it stands (AH authenticates its header; transport mode keeps the packet's own). `bytes` is cut every
/// `segment_size` octets; only the last piece may be shorter. Where UDP_SEGMENT cannot be used (raw sockets, old
/// kernels, a segment longer than the interface's MTU, which the kernel answers with EINVAL or EMSGSIZE), the pieces
/// are sent one by one.
struct WireTrain {
  net::Path path;
  model::Encapsulation encapsulation = model::Encapsulation::udp;
  /// Only with Encapsulation::none. Then the header says all that `path`, `tos`, `hop_limit` and `dont_fragment` say
  /// here, is complete but for what the kernel fills in (nothing), and the packet is no longer than the path takes.
  bool with_ip_header = false;
  std::uint8_t hop_limit = 64;  // of the outer header
  /// DSCP and ECN for the outer header (RFC 4301 5.1.2.1, RFC 6040 4.1); the same for all segments.
  std::uint8_t tos = 0;
  /// RFC 4301 8.1: the outer IPv4 DF bit; the same for all segments.
  bool dont_fragment = false;
  std::uint16_t segment_size = 0;  // never 0; equal to the length for a lone packet
  ByteView bytes;

  [[nodiscard]] std::size_t segments() const { return (bytes.size() + segment_size - 1) / segment_size; }
};

/// What one receive operation brought: one datagram's payload, one GRO train of them, or one IP packet of protocol 50
/// or 51 from that header on. `bytes` is decrypted in place and used up.
struct WireInput {
  net::Path path;  // local is ours, remote the sender; with Encapsulation::none the ports are 0
  model::Encapsulation encapsulation = model::Encapsulation::udp;
  std::uint8_t tos = 0;        // outer DSCP and ECN (cmsg IP_TOS / IPV6_TCLASS); 0 when unknown
  std::uint8_t hop_limit = 0;  // of the outer header; 0 when unknown
  std::uint8_t protocol = 50;  // with Encapsulation::none: 50 (ESP) or 51 (AH)
  /// With Encapsulation::none: the IP header in front of `bytes`, with its options or extension headers, as it was
  /// received; its total or payload length is that of the (reassembled) packet. Elsewhere empty.
  ByteView ip_header;
  /// The UDP_GRO segment size; 0 or not below the length means a single packet.
  std::uint16_t segment_size = 0;
  MutableByteView bytes;
};

/// The smallest region that OutboundSink::region may answer.
inline constexpr std::size_t kMinWireRegion = std::size_t{66} * 1024;

/// Where Engine::outbound puts what it made. Implemented by the datapath; called on the engine's thread only, during a
/// call into it.
class OutboundSink {
 public:
  virtual ~OutboundSink() = default;

  /// Memory to seal into: at least kMinWireRegion octets that stay the engine's until the next call of `send`. From
  /// then on the trains' bytes are the sink's (it may send at once, gather for sendmmsg, or leave them to io_uring);
  /// the next `region` may answer what was left of the same memory, or other memory. It cannot fail: a sink that has no
  /// memory left sends what it holds first.
  virtual MutableByteView region() = 0;

  /// Finished trains, in order, all inside the last region. Never empty. After it the engine asks for a new region
  /// before it writes again.
  virtual void send(std::span<const WireTrain> trains) = 0;

  /// A packet that a bypass rule lets through unprotected (RFC 4301 5.1, step 3b). False when this datapath has no way
  /// out in clear; it is then dropped and counted.
  [[nodiscard]] virtual bool bypass(const InnerPacket& packet) = 0;

  /// A packet for an SA that another engine has (Engine::set_home), as it was given to Engine::outbound; its bytes hold
  /// until the call returns. Packets of a flow come here in their order.
  virtual void elsewhere(const InnerPacket& packet, std::uint32_t worker) = 0;

  /// A packet of our own back to the protected side, by TUN: an ICMP error about a packet that came from there (RFC
  /// 4301 8). `packet` is the engine's and holds until the call returns.
  virtual void answer(ByteView packet) = 0;
};

/// Where Engine::inbound puts what it took out. As OutboundSink.
class InboundSink {
 public:
  virtual ~InboundSink() = default;

  /// Inner packets for TUN, in order of arrival, never empty. Their bytes lie inside the buffers of the WireInputs of
  /// the running call to Engine::inbound, or in memory of the engine's own that holds until `deliver` returns; the
  /// 10-byte virtio header has to come from elsewhere (writev). Super-packets, and packets in pieces, come only when
  /// Engine::Options::coalesce allows it.
  virtual void deliver(std::span<const InnerPacket> packets) = 0;

  /// An IKE message that came over UDP behind a non-ESP marker (RFC 3948 2.2), the marker removed. One segment of a GRO
  /// train may be IKE and the next ESP, so the engine sorts them. `message` lies in the WireInput's buffer.
  virtual void ike_message(const net::Path& path, ByteView message) = 0;
};

}  // namespace culvert::ipsec
