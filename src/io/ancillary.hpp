// The control messages of a datagram: local address, TOS octet, segment size. One function writes all that a send
// needs, one reads all that a receive brings.
#pragma once

#include <array>
#include <cstdint>

#include <sys/socket.h>

#include "net/address.hpp"

namespace culvert::io {

/// Room for IPV6_PKTINFO, the traffic class and UDP_SEGMENT or UDP_GRO, each with its header.
struct alignas(cmsghdr) AncillaryBuffer {
  std::array<std::uint8_t, 128> octets;
};

/// Writes control messages for one send and sets msg_control and msg_controllen. `segment_size` 0: no UDP_SEGMENT. An
/// unspecified `source` is left to the routing table.
void write_ancillary(msghdr& message, AncillaryBuffer& buffer, const net::IpAddress& source, std::uint8_t tos,
                     std::uint16_t segment_size);

struct Ancillary {
  net::IpAddress destination;  // the local address that the datagram came to
  bool has_destination = false;
  std::uint8_t tos = 0;
  std::uint16_t segment_size = 0;
};
[[nodiscard]] Ancillary read_ancillary(msghdr& message);

}  // namespace culvert::io
