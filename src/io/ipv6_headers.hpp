// The headers of a received IPv6 packet, put together again from a raw socket's ancillary data.
//
// A raw IPv6 socket, unlike an IPv4 one, keeps the headers to itself. Its control messages tell all of them: the
// addresses, traffic class and flow label, hop limit, and every extension header whole, hop-by-hop options first and
// the rest in the order of the packet. A Fragment header is not among them: the kernel took it out when it put the
// packet together. An AF_PACKET socket would see the packet itself, but before the kernel's reassembly and firewall.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/socket.h>

#include "base/bytes.hpp"
#include "net/address.hpp"

namespace culvert::io {

/// Control messages of one received packet with extension headers: more than these octets, and the packet is dropped.
inline constexpr std::size_t kIpv6ControlSize = 4096;
/// Enough for the headers that such control messages can tell.
inline constexpr std::size_t kIpv6HeaderRoom = 40 + kIpv6ControlSize;

struct Ipv6HeaderFacts {
  net::IpAddress source;
  net::IpAddress destination;
  std::uint32_t flow_info = 0;  // traffic class and flow label
  std::uint8_t hop_limit = 0;
  std::uint8_t protocol = 0;       // of what follows the headers
  std::size_t payload_length = 0;  // of what follows them
};

/// Writes the IPv6 header and the extension headers in `message` to `out`. How many octets that are; 0 when they do not
/// fit together (a header's length, the chain's next headers, the total).
[[nodiscard]] std::size_t rebuild_ipv6_headers(msghdr& message, const Ipv6HeaderFacts& facts, MutableByteView out);

}  // namespace culvert::io
