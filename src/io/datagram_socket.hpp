// DatagramSocket: an unconnected UDP socket, or a raw socket of one IP protocol, that sends and receives batches and
// knows for each datagram both addresses and the outer TOS octet.
//
// Unconnected, so that an ICMP error caused by one peer never fails a send to another. Wildcard-bound, so that
// addresses may come and go; the local address of each datagram comes from the kernel (IP_PKTINFO), and answers leave
// from it.
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
};

struct RawOptions {
  net::Family family = net::Family::v4;
  std::uint8_t protocol = 0;
  std::uint32_t mark = 0;
  int receive_buffer = 64 * 1024 * 1024;
  int send_buffer = 4 * 1024 * 1024;
};

/// One received message: a datagram, a GRO train of them, or what follows the IP header on a raw socket (port 0).
struct ReceivedMessage {
  net::Path path;
  std::uint8_t tos = 0;
  std::uint16_t segment_size = 0;  // of a train; 0 for a lone datagram
  MutableByteView bytes;
};

/// One message to send: `bytes` cut every `segment_size` octets (the last piece may be shorter); 0 for a lone datagram.
struct OutgoingMessage {
  net::Path path;  // an unspecified local address leaves the choice to the routing table
  std::uint8_t tos = 0;
  std::uint16_t segment_size = 0;
  ByteView bytes;
};

/// Buffers for `DatagramSocket::receive`, allocated once. One thread.
class ReceiveBuffers {
 public:
  /// 65,535 octets fit the longest GRO train and the longest datagram.
  static constexpr std::size_t kBufferSize = 65536;
  explicit ReceiveBuffers(std::size_t count);
  ~ReceiveBuffers();
  ReceiveBuffers(ReceiveBuffers&&) noexcept;
  ReceiveBuffers& operator=(ReceiveBuffers&&) noexcept;

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

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] net::Family family() const { return family_; }
  /// The bound address and port; port 0 for raw sockets.
  [[nodiscard]] const net::Endpoint& local() const { return local_; }
  [[nodiscard]] bool sends_trains() const { return gso_; }
  [[nodiscard]] bool receives_trains() const { return gro_; }

  /// What waits, at most one message per buffer; never blocks. Errors that belong to a datagram sent earlier are
  /// skipped.
  [[nodiscard]] ReceiveOutcome receive(ReceiveBuffers& buffers) const;

  /// Sends all messages in order; waits a few milliseconds when the buffer is full. Peers' paths must be of this
  /// socket's family.
  SendCounts send(std::span<const OutgoingMessage> messages, SendScratch& scratch) const;

  /// One datagram, made of `parts` one after the other. Any thread. 0 or an errno.
  [[nodiscard]] int send_one(const net::Path& path, std::uint8_t tos, std::span<const ByteView> parts) const;

 private:
  DatagramSocket(FileDescriptor fd, net::Family family) : fd_(std::move(fd)), family_(family) {}
  [[nodiscard]] Result<void, IoError> configure(std::uint32_t mark, int receive_buffer, int send_buffer) const;
  class Sender;

  FileDescriptor fd_;
  net::Family family_;
  net::Endpoint local_;
  bool raw_ = false;
  bool gso_ = false;
  bool gro_ = false;
};

}  // namespace culvert::io
