// Tun: the network interface whose packets this process reads and writes.
//
// With IFF_VNET_HDR the kernel hands over TCP and UDP super-packets and takes them back; where it cannot, plain packets
// go both ways.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "io/error.hpp"
#include "io/file_descriptor.hpp"
#include "io/virtio_net.hpp"
#include "net/address.hpp"

namespace culvert::io {

/// What kinds of super-packets the kernel hands over, each including the ones before.
enum class TunOffload : std::uint8_t { none, checksum, tcp, tcp_and_udp };
[[nodiscard]] const char* name_of(TunOffload offload);

struct TunOptions {
  std::string name = "culvert0";  // 1 to 15 octets; with %d the kernel chooses the number
  unsigned mtu = 1400;
  /// The most to ask for; the kernel may grant less.
  TunOffload offload = TunOffload::tcp_and_udp;
  unsigned queues = 1;  // several: one per worker; the kernel spreads flows over them, each to one queue for good
};

/// One queue: what one worker reads and writes. Non-blocking.
class TunQueue {
 public:
  struct Read {
    MutableByteView packet;  // empty when nothing was read
    VirtioNetHeader header;
    int error = 0;  // 0 with a packet; EAGAIN when none waits; else the queue is broken (the interface was deleted)
  };

  /// `writer` is what to write to if that is not what is read.
  TunQueue(FileDescriptor fd, bool with_header, FileDescriptor writer = {})
      : fd_(std::move(fd)), writer_(std::move(writer)), with_header_(with_header) {}
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// One packet, from the IP header on, at `buffer[sizeof(VirtioNetHeader)]`. A packet longer than the buffer is cut,
  /// so give 65,545 octets.
  [[nodiscard]] Read read(MutableByteView buffer);
  /// 0, or the errno of the refusal: EINVAL for a packet that is none, EIO while the interface is down, EAGAIN when it
  /// is full.
  [[nodiscard]] int write(const VirtioNetHeader& header, ByteView packet) { return write(header, {&packet, 1}); }
  /// The same for a packet in pieces, at most kMaxPieces of them.
  [[nodiscard]] int write(const VirtioNetHeader& header, std::span<const ByteView> pieces);
  static constexpr std::size_t kMaxPieces = 63;

 private:
  FileDescriptor fd_;
  FileDescriptor writer_;
  bool with_header_;
};

class Tun {
 public:
  /// Makes the interface, sets its MTU and takes it up. It vanishes with the object, and with the process however that
  /// ends.
  [[nodiscard]] static Result<Tun, IoError> open(const TunOptions& options);
  /// The most that the kernel would grant. Makes an interface for the question that never comes up, and removes it.
  [[nodiscard]] static Result<TunOffload, IoError> probe();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] unsigned index() const { return index_; }
  [[nodiscard]] TunOffload offload() const { return offload_; }
  [[nodiscard]] std::vector<TunQueue>& queues() { return queues_; }
  [[nodiscard]] Result<void, IoError> set_mtu(unsigned mtu);
  /// Whether the host forwards packets of the family that come in by the interface; true when it does not say.
  [[nodiscard]] bool forwards(net::Family family) const;
  /// Whether the kernel takes TCP super-packets that are longer than IPv4's length field can say ("BIG TCP",
  /// Linux 6.3).
  [[nodiscard]] bool takes_big_tcp() const;
  /// Packets that the kernel had for us and dropped, since its queues were full. 0 when it cannot be asked.
  [[nodiscard]] std::uint64_t queue_drops() const;

 private:
  Tun() = default;
  [[nodiscard]] Result<void, IoError> make_quiet();
  [[nodiscard]] Result<void, IoError> set_queue_length();
  std::string name_;
  unsigned index_ = 0;
  TunOffload offload_ = TunOffload::none;
  std::vector<TunQueue> queues_;
};

}  // namespace culvert::io
