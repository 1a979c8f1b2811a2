// What this kernel gives a packet path in userspace, found out by asking for it and giving it back at once. Nothing is
// changed, nothing is sent: the TUN interface that is made for the question never comes up.
#pragma once

#include <optional>

#include "io/error.hpp"
#include "io/tun.hpp"
#include "net/address.hpp"

namespace culvert::io {

/// UDP sockets of one family, made as the data path makes its own.
struct UdpFacilities {
  bool available = false;  // the family exists and has a loopback address
  bool segmentation = false;
  bool receive_offload = false;
  int receive_buffer = 0;  // octets granted of what was asked for
  int send_buffer = 0;
  std::optional<IoError> refusal;  // why it is not available
};

struct PacketFacilities {
  Result<TunOffload, IoError> tun = TunOffload::none;
  UdpFacilities udp_v4;
  UdpFacilities udp_v6;
  std::optional<IoError> raw_refusal;  // of protocol 50 or 51; nothing: they are there
};

/// In the network namespace of the calling thread.
[[nodiscard]] PacketFacilities packet_facilities();
[[nodiscard]] UdpFacilities udp_facilities(net::Family family);

}  // namespace culvert::io
