#include "datapath/outer_sockets.hpp"

#include <array>

#include <errno.h>

#include "net/headers.hpp"

namespace culvert::datapath {

Result<OuterSockets, io::IoError> OuterSockets::open(const SocketOptions& options) {
  OuterSockets sockets;
  sockets.ike_port_ = options.ike_port;
  sockets.nat_port_ = options.nat_port;
  for (const net::Family family : {net::Family::v4, net::Family::v6}) {
    for (const Kind kind : {Kind::ike, Kind::nat, Kind::esp}) {
      if (kind == Kind::esp && !options.raw_esp) continue;
      auto socket = [&] {
        if (kind == Kind::esp) {
          return io::DatagramSocket::open_raw(
              {.family = family, .protocol = static_cast<std::uint8_t>(net::IpProtocol::esp), .mark = options.mark});
        }
        io::UdpOptions udp;
        udp.local = {net::IpAddress::any(family), kind == Kind::ike ? options.ike_port : options.nat_port};
        udp.mark = options.mark;
        // IKE messages come one by one, and a control thread that is behind need not find megabytes of them.
        if (kind == Kind::ike) udp.receive_buffer = 1024 * 1024;
        udp.segmentation = options.segmentation && kind == Kind::nat;
        return io::DatagramSocket::open_udp(udp);
      }();
      if (!socket) {
        // A kernel booted without IPv6 has no such sockets, or no address to bind.
        const int number = socket.error().system_error;
        if (family == net::Family::v6 && (number == EAFNOSUPPORT || number == EADDRNOTAVAIL)) continue;
        return err(std::move(socket.error()));
      }
      sockets.entries_.push_back({kind, std::move(*socket)});
    }
  }
  return sockets;
}

const io::DatagramSocket* OuterSockets::find(Kind kind, net::Family family) const {
  for (const Entry& entry : entries_) {
    if (entry.kind == kind && entry.socket.family() == family) return &entry.socket;
  }
  return nullptr;
}

std::optional<OuterSockets::Kind> OuterSockets::kind_of_port(std::uint16_t port) const {
  if (port == nat_port_) return Kind::nat;
  if (port == ike_port_) return Kind::ike;
  return {};
}

const io::DatagramSocket* OuterSockets::for_esp(const net::Path& path, model::Encapsulation encapsulation) const {
  const net::Family family = path.remote.address.family();
  if (encapsulation == model::Encapsulation::none) return find(Kind::esp, family);
  // RFC 3948 2.1: ESP shares the NAT port with IKE, and only that one: on the IKE port there is no marker to tell them
  // apart.
  return path.local.port == nat_port_ ? find(Kind::nat, family) : nullptr;
}

int OuterSockets::send_ike(const net::Path& path, ByteView message) const {
  const auto kind = kind_of_port(path.local.port);
  const io::DatagramSocket* socket = kind ? find(*kind, path.remote.address.family()) : nullptr;
  if (socket == nullptr) return EAFNOSUPPORT;
  // RFC 3948 2.2: four zero octets, where an SPI would stand.
  static constexpr std::array<std::uint8_t, 4> kNonEspMarker{};
  const std::array<ByteView, 2> parts{kNonEspMarker, message};
  return socket->send_one(path, 0, *kind == Kind::nat ? std::span<const ByteView>(parts) : std::span(parts).subspan(1));
}

int OuterSockets::send_keepalive(const net::Path& path) const {
  const auto kind = kind_of_port(path.local.port);
  const io::DatagramSocket* socket = kind ? find(*kind, path.remote.address.family()) : nullptr;
  if (socket == nullptr) return EAFNOSUPPORT;
  static constexpr std::array<std::uint8_t, 1> kKeepalive{0xff};
  const ByteView octet = kKeepalive;
  return socket->send_one(path, 0, std::span(&octet, 1));
}

}  // namespace culvert::datapath
