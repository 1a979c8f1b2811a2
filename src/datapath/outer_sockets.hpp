// OuterSockets: the host's outer side: UDP on the IKE port and the NAT port, raw ESP, each for IPv4 and IPv6, all
// addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "datapath/options.hpp"
#include "io/datagram_socket.hpp"
#include "model/child_sa.hpp"
#include "net/address.hpp"

namespace culvert::datapath {

class OuterSockets {
 public:
  enum class Kind : std::uint8_t { ike, nat, esp };
  struct Entry {
    Kind kind;
    io::DatagramSocket socket;
  };

  /// Opens them all, or none. A kernel without IPv6 is no error.
  [[nodiscard]] static Result<OuterSockets, io::IoError> open(const SocketOptions& options);

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  /// The socket that ESP on this path leaves by; nothing when there is none.
  [[nodiscard]] const io::DatagramSocket* for_esp(const net::Path& path, model::Encapsulation encapsulation) const;

  /// Sends an IKE message on a UDP path, behind the non-ESP marker when the local port is the NAT port (RFC 3948 2.2,
  /// RFC 7296 2.23). Any thread. 0 or an errno; EAFNOSUPPORT when no socket has that family and port.
  [[nodiscard]] int send_ike(const net::Path& path, ByteView message) const;
  /// Sends the single octet 0xff (RFC 3948 2.3). Any thread.
  [[nodiscard]] int send_keepalive(const net::Path& path) const;

 private:
  OuterSockets() = default;
  [[nodiscard]] const io::DatagramSocket* find(Kind kind, net::Family family) const;
  [[nodiscard]] std::optional<Kind> kind_of_port(std::uint16_t port) const;

  std::vector<Entry> entries_;
  std::uint16_t ike_port_ = 0;
  std::uint16_t nat_port_ = 0;
};

}  // namespace culvert::datapath
