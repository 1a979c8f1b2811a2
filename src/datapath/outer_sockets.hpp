// OuterSockets: the host's outer side, for one worker: UDP on the IKE port and the NAT port, raw ESP and AH, whole
// packets, each for IPv4 and IPv6, all addresses.
//
// What carries ESP has one socket that receives, packets and ICMP errors alike, and two that send, with and without DF:
// the kernel knows no DF per message, and an error that waits in a socket would fail the next send.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "datapath/options.hpp"
#include "datapath/xdp_lane.hpp"
#include "io/datagram_socket.hpp"
#include "io/path_mtu.hpp"
#include "model/child_sa.hpp"
#include "net/address.hpp"

namespace culvert::datapath {

class OuterSockets {
 public:
  enum class Kind : std::uint8_t { ike, nat, esp, ah };
  struct Entry {
    Kind kind;
    io::DatagramSocket socket;
  };

  /// Opens them all, or none: a set for each worker. The first one has everything; the others have no IKE port. What
  /// carries ESP and AH receives in every set what senders with one share of the addresses send (io::share_of). A
  /// kernel without IPv6 is no error.
  [[nodiscard]] static Result<std::vector<OuterSockets>, io::IoError> open(const SocketOptions& options,
                                                                           std::uint32_t workers = 1);

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  /// The socket that ESP on this path leaves by; nothing when there is none.
  [[nodiscard]] const io::DatagramSocket* for_esp(const net::Path& path, model::Encapsulation encapsulation,
                                                  bool dont_fragment) const;
  [[nodiscard]] std::uint32_t connect_after() const { return connect_after_; }
  /// A further socket for ESP in UDP on this path: DatagramSocket::connected.
  [[nodiscard]] Result<io::DatagramSocket, io::IoError> connect_to(const net::Path& path, bool dont_fragment) const;
  /// The socket for packets that bring their IP header.
  [[nodiscard]] const io::DatagramSocket* for_whole(net::Family family) const;
  /// Our packets are known by their mark. Without one, a packet sent in clear would be routed into TUN again.
  [[nodiscard]] bool marked() const { return mark_ != 0; }
  /// The longest packet that the interface towards the peer takes; 0 when that is not known. For the worker's thread.
  [[nodiscard]] std::uint16_t mtu_towards(const net::Path& path) const;

  /// The lane beside the raw sockets; null when this worker has none.
  [[nodiscard]] XdpLane* xdp() const { return xdp_.get(); }
  /// The first set's: what became of SocketOptions::xdp.
  [[nodiscard]] const std::vector<XdpPorts::Fact>& xdp_facts() const { return xdp_ports_.facts(); }
  /// The first set's: the host's addresses changed. Control thread.
  void read_addresses() { xdp_ports_.read_addresses(); }

  /// Packets from outside that the kernel dropped in front of this set: its buffers were full.
  [[nodiscard]] std::uint64_t receive_drops() const;

  /// Sends an IKE message on a UDP path, behind the non-ESP marker when the local port is the NAT port (RFC 3948 2.2,
  /// RFC 7296 2.23). Any thread. 0 or an errno; EAFNOSUPPORT when no socket has that family and port.
  [[nodiscard]] int send_ike(const net::Path& path, ByteView message) const;
  /// Sends the single octet 0xff (RFC 3948 2.3). Any thread.
  [[nodiscard]] int send_keepalive(const net::Path& path) const;

 private:
  OuterSockets() = default;
  struct Sender {
    Kind kind;
    bool dont_fragment;
    io::DatagramSocket socket;
  };
  [[nodiscard]] static Result<io::DatagramSocket, io::IoError> open_one(Kind kind, net::Family family,
                                                                        const SocketOptions& options);
  // Whose set it is, of how many; the others are made beside the first.
  struct Share {
    std::uint32_t worker = 0;
    std::uint32_t workers = 1;
    const OuterSockets* first = nullptr;
  };
  [[nodiscard]] static Result<OuterSockets, io::IoError> open_set(const SocketOptions& options, const Share& share);
  [[nodiscard]] Result<void, io::IoError> open_family(net::Family family, const SocketOptions& options,
                                                      const Share& share);
  [[nodiscard]] Result<void, io::IoError> open_kind(Kind kind, net::Family family, const SocketOptions& options,
                                                    const Share& share);
  [[nodiscard]] Result<void, io::IoError> steer(std::uint32_t workers) const;
  [[nodiscard]] const io::DatagramSocket* receiver(Kind kind, net::Family family) const;
  [[nodiscard]] const io::DatagramSocket* sender(Kind kind, net::Family family, bool dont_fragment) const;
  [[nodiscard]] std::optional<Kind> kind_of_port(std::uint16_t port) const;

  std::vector<Entry> entries_;
  std::vector<Sender> senders_;
  std::vector<io::DatagramSocket> whole_;
  std::unique_ptr<XdpLane> xdp_;
  XdpPorts xdp_ports_;
  std::uint32_t mark_ = 0;
  mutable io::PathMtuProbe mtu_probe_{0};
  std::uint32_t connect_after_ = 0;
  std::uint16_t ike_port_ = 0;
  std::uint16_t nat_port_ = 0;
};

}  // namespace culvert::datapath
