// DatagramSocket: a UDP socket, a raw socket of one IP protocol, or one for whole IP packets, that sends and receives
// batches and knows for each datagram both addresses and what of the outer header matters.
//
// Wildcard-bound, so that addresses may come and go; the local address of each datagram comes from the kernel
// (IP_PKTINFO), and answers leave from it. Where ICMP errors are wanted, one socket receives and others send
// (`sender`): the kernel hands an error to the socket that it would have given the answer to, and lets its next send
// fail, which then says nothing about that send.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "io/error.hpp"
#include "io/file_descriptor.hpp"
#include "net/address.hpp"

namespace culvert::io {

struct UdpOptions {
  net::Endpoint local;  // an unspecified address binds all addresses of its family; port 0 takes any free one
  /// SO_MARK: lets a routing rule tell our outer packets from the inner ones. 0 sets none.
  std::uint32_t mark = 0;
  /// Octets of the kernel's buffers; granted beyond net.core.?mem_max with CAP_NET_ADMIN, else as much as the limit
  /// allows.
  int receive_buffer = 64 * 1024 * 1024;
  int send_buffer = 4 * 1024 * 1024;
  bool segmentation = true;  // UDP_SEGMENT and UDP_GRO where the kernel has them
  /// ICMP errors come by `receive_errors` (IP_RECVERR); then send through `sender` sockets only.
  bool errors = false;
};

struct RawOptions {
  net::Family family = net::Family::v4;
  std::uint8_t protocol = 0;
  std::uint32_t mark = 0;
  int receive_buffer = 64 * 1024 * 1024;
  int send_buffer = 4 * 1024 * 1024;
  bool errors = false;  // as UdpOptions::errors
};

struct WholePacketOptions {
  net::Family family = net::Family::v4;
  std::uint32_t mark = 0;
  int send_buffer = 4 * 1024 * 1024;
};

/// One received message: a datagram, a GRO train of them, or what follows the IP header on a raw socket (port 0).
struct ReceivedMessage {
  net::Path path;
  std::uint8_t tos = 0;
  std::uint8_t hop_limit = 0;      // 0 when the kernel did not tell
  std::uint16_t segment_size = 0;  // of a train; 0 for a lone datagram
  /// Raw sockets: the IP header in front of `bytes` with its options or extension headers, as received. Of fragments
  /// that the kernel put together it is the whole packet's, as the kernel made it.
  ByteView ip_header;
  MutableByteView bytes;
};

/// What the sockets put into the IP header unless a message says otherwise.
inline constexpr std::uint8_t kDefaultHopLimit = 64;

/// One message to send: `bytes` cut every `segment_size` octets (the last piece may be shorter); 0 for a lone datagram.
struct OutgoingMessage {
  net::Path path;  // an unspecified local address leaves the choice to the routing table
  std::uint8_t tos = 0;
  std::uint16_t segment_size = 0;
  ByteView bytes;
  std::uint8_t hop_limit = kDefaultHopLimit;  // 1 or more; a whole packet has its own
};

/// An ICMP or ICMPv6 error about a datagram that left from the port or protocol of the socket. Nothing in it is
/// authenticated.
struct ReceivedError {
  net::Path path;         // of the datagram: local is ours
  std::uint16_t mtu = 0;  // of the narrow link, when the datagram was too long for it; else 0
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  ByteView quoted;  // of the datagram's payload, as much as the error holds
};

/// Buffers for `DatagramSocket::receive`, allocated once. One thread.
class ReceiveBuffers {
 public:
  /// 65,535 octets fit the longest GRO train and the longest datagram.
  static constexpr std::size_t kBufferSize = 65536;
  /// For `count` messages at a time; while they are small, and as many come, for `count_of_small`.
  explicit ReceiveBuffers(std::size_t count, std::size_t count_of_small = 0);
  ~ReceiveBuffers();
  ReceiveBuffers(ReceiveBuffers&&) noexcept;
  ReceiveBuffers& operator=(ReceiveBuffers&&) noexcept;

 private:
  friend class DatagramSocket;
  struct State;
  std::unique_ptr<State> state_;
};

/// Buffers for `DatagramSocket::receive_errors`, allocated once. One thread.
class ErrorBuffers {
 public:
  ErrorBuffers();
  ~ErrorBuffers();
  ErrorBuffers(ErrorBuffers&&) noexcept;
  ErrorBuffers& operator=(ErrorBuffers&&) noexcept;

 private:
  friend class DatagramSocket;
  struct State;
  std::unique_ptr<State> state_;
};

/// Scratch for `DatagramSocket::send`, allocated once. One thread.
class SendScratch {
 public:
  SendScratch();
  ~SendScratch();
  SendScratch(SendScratch&&) noexcept;
  SendScratch& operator=(SendScratch&&) noexcept;

 private:
  friend class DatagramSocket;
  struct State;
  std::unique_ptr<State> state_;
};

struct SendCounts {
  std::uint32_t datagrams = 0;  // that the kernel took
  std::uint32_t system_calls = 0;
  std::uint32_t refused =
      0;  // datagrams that the kernel refused (no route, source address gone, filtered); not retried
  std::uint32_t buffer_full = 0;  // datagrams given up because the socket's buffer stayed full
  std::uint32_t unsegmented = 0;  // trains sent piece by piece because the kernel would not segment them
  int last_error = 0;             // errno of the last refusal
  /// One of the datagrams that were longer than the interface takes (EMSGSIZE; they count as refused).
  std::optional<OutgoingMessage> too_long;
};

struct ReceiveOutcome {
  std::span<const ReceivedMessage> messages;  // in the buffers, until the next `receive` into them
  std::uint32_t dropped = 0;                  // that came cut or without a sender
  int error = 0;                              // 0, EAGAIN, or the errno of a broken socket
};

class DatagramSocket {
 public:
  /// Refuses a port that anyone else holds, another culvertd included: SO_REUSEADDR and SO_REUSEPORT stay off.
  [[nodiscard]] static Result<DatagramSocket, IoError> open_udp(const UdpOptions& options);
  [[nodiscard]] static Result<DatagramSocket, IoError> open_raw(const RawOptions& options);
  /// Sends IP packets that bring their header (IP_HDRINCL, IPV6_HDRINCL) and receives nothing. Their source may be any
  /// address; `path` chooses the route. The kernel sets the total length and the checksum of an IPv4 header, and an
  /// identification where that is 0 without DF; an IPv6 packet leaves as it is. A packet longer than the interface's
  /// MTU is refused with EMSGSIZE.
  [[nodiscard]] static Result<DatagramSocket, IoError> open_whole(const WholePacketOptions& options);
  /// Another socket on this UDP socket's port that receives, too: io::steer_group says which packets. Nobody who does
  /// not ask for the same group gets the port.
  [[nodiscard]] Result<DatagramSocket, IoError> sibling() const;
  /// Another socket on this one's port or protocol, that only sends; no ICMP error about any datagram fails its sends.
  /// With `dont_fragment` its packets carry DF and are never cut here: longer ones than the interface takes are refused
  /// with EMSGSIZE, whatever ICMP said of the path (IP_PMTUDISC_PROBE). Without, the kernel cuts them.
  [[nodiscard]] Result<DatagramSocket, IoError> sender(bool dont_fragment) const;
  /// Another socket on this UDP socket's port, connected to one peer: it gets all that comes from there, ICMP errors
  /// too, and sends to there only, by a route that the kernel looks up once and not for each message.
  /// `dont_fragment` as for `sender`.
  [[nodiscard]] Result<DatagramSocket, IoError> connected(const net::Path& path, bool dont_fragment) const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] net::Family family() const { return family_; }
  /// The bound address and port; port 0 for raw sockets.
  [[nodiscard]] const net::Endpoint& local() const { return local_; }
  [[nodiscard]] bool sends_trains() const { return gso_; }
  [[nodiscard]] bool receives_trains() const { return gro_; }

  /// What waits, at most one message per buffer (of small ones more: ReceiveBuffers); never blocks. Errors that belong
  /// to a datagram sent earlier are skipped.
  [[nodiscard]] ReceiveOutcome receive(ReceiveBuffers& buffers) const;

  /// Packets that the kernel had for this socket and dropped: its buffer was full, or a UDP checksum was wrong. Since
  /// it was opened, modulo 2^32; 0 where the kernel does not say (before Linux 4.12).
  [[nodiscard]] std::uint32_t receive_drops() const;

  /// ICMP errors that wait, at most as many as the buffers hold. Empty when there are none. The views hold until the
  /// next call with these buffers.
  [[nodiscard]] std::span<const ReceivedError> receive_errors(ErrorBuffers& buffers) const;

  /// Sends all messages in order; waits a few milliseconds when the buffer is full. Peers' paths must be of this
  /// socket's family.
  SendCounts send(std::span<const OutgoingMessage> messages, SendScratch& scratch) const;

  /// One datagram, made of `parts` one after the other. Any thread. 0 or an errno.
  [[nodiscard]] int send_one(const net::Path& path, std::uint8_t tos, std::span<const ByteView> parts,
                             std::uint8_t hop_limit = kDefaultHopLimit) const;

 private:
  DatagramSocket(FileDescriptor fd, net::Family family) : fd_(std::move(fd)), family_(family) {}
  struct Settings {
    std::uint32_t mark = 0;
    int receive_buffer = 0;
    int send_buffer = 0;
    bool errors = false;
  };
  [[nodiscard]] Result<void, IoError> configure(const Settings& settings) const;
  [[nodiscard]] Result<void, IoError> bind_beside(const DatagramSocket& receiver);
  [[nodiscard]] Result<void, IoError> bind_udp(const net::Endpoint& local);
  [[nodiscard]] Result<void, IoError> share_port(const DatagramSocket& receiver, const net::Endpoint& local);
  [[nodiscard]] Result<void, IoError> allow_fragments(bool dont_fragment, int otherwise_v4) const;
  void use_segmentation();
  [[nodiscard]] bool read_message(std::size_t slot, ReceiveBuffers& buffers, ReceivedMessage& out) const;
  class Sender;

  FileDescriptor fd_;
  net::Family family_;
  net::Endpoint local_;
  Settings settings_;
  bool connected_ = false;
  bool raw_ = false;
  std::uint8_t protocol_ = 0;  // of a raw socket
  bool gso_ = false;
  bool gro_ = false;
};

}  // namespace culvert::io
