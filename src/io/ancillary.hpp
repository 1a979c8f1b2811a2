// The control messages of a datagram: local address, TOS octet, hop limit, segment size. One function writes all that a
// send needs, one reads all that a receive brings.
#pragma once

#include <array>
#include <cstdint>

#include <sys/socket.h>
// After sys/socket.h: it needs struct timespec.
#include <linux/errqueue.h>
#include <time.h>

#include "io/datagram_socket.hpp"
#include "net/address.hpp"

namespace culvert::io {

/// Room for IPV6_PKTINFO, traffic class, hop limit and UDP_SEGMENT or UDP_GRO, each with its header.
struct alignas(cmsghdr) AncillaryBuffer {
  std::array<std::uint8_t, 128> octets;
};

/// IPV6_FLOWINFO: only linux/in6.h has it, which cannot stand beside netinet/in.h.
inline constexpr int kIpv6FlowInfo = 11;

struct SendAncillary {
  net::IpAddress source;  // unspecified: left to the routing table
  std::uint8_t tos = 0;
  std::uint8_t hop_limit = kDefaultHopLimit;
  std::uint16_t segment_size = 0;  // 0: no UDP_SEGMENT
};
/// Writes control messages for one send and sets msg_control and msg_controllen.
void write_ancillary(msghdr& message, AncillaryBuffer& buffer, const SendAncillary& wanted);

struct Ancillary {
  net::IpAddress destination;  // the local address that the datagram came to
  bool has_destination = false;
  std::uint8_t tos = 0;
  std::uint8_t hop_limit = 0;
  std::uint16_t segment_size = 0;
  std::uint32_t flow_info = 0;  // IPv6: traffic class and flow label as they stand in the header's first word
  sock_extended_err error{};    // of a message from the error queue; origin 0 (SO_EE_ORIGIN_NONE) elsewhere
};
[[nodiscard]] Ancillary read_ancillary(msghdr& message);

}  // namespace culvert::io
