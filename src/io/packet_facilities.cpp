#include "io/packet_facilities.hpp"

#include <sys/socket.h>

#include "io/datagram_socket.hpp"
#include "net/headers.hpp"

namespace culvert::io {
namespace {

/// Linux answers with twice what it granted, the other half being for its own bookkeeping (socket(7)).
int buffer_of(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value / 2 : 0;
}

}  // namespace

UdpFacilities udp_facilities(net::Family family) {
  UdpFacilities found;
  UdpOptions options;
  options.local = {*net::IpAddress::parse(family == net::Family::v4 ? "127.0.0.1" : "::1"), 0};
  const auto socket = DatagramSocket::open_udp(options);
  if (!socket) {
    found.refusal = socket.error();
    return found;
  }
  found.available = true;
  found.segmentation = socket->sends_trains();
  found.receive_offload = socket->receives_trains();
  found.receive_buffer = buffer_of(socket->fd(), SO_RCVBUF);
  found.send_buffer = buffer_of(socket->fd(), SO_SNDBUF);
  return found;
}

PacketFacilities packet_facilities() {
  PacketFacilities found;
  found.tun = Tun::probe();
  found.udp_v4 = udp_facilities(net::Family::v4);
  found.udp_v6 = udp_facilities(net::Family::v6);
  for (const net::IpProtocol protocol : {net::IpProtocol::esp, net::IpProtocol::ah}) {
    auto raw = DatagramSocket::open_raw({.family = net::Family::v4, .protocol = static_cast<std::uint8_t>(protocol)});
    if (!raw && !found.raw_refusal) found.raw_refusal = std::move(raw.error());
  }
  return found;
}

}  // namespace culvert::io
