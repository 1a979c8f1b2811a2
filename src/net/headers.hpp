// IP protocol numbers and the fixed layouts of IPv4, IPv6, UDP, TCP, ICMP and GRE headers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace culvert::net {

/// IANA "Assigned Internet Protocol Numbers"; the enum value is the wire value.
enum class IpProtocol : std::uint8_t {
  hop_by_hop = 0,
  icmp = 1,
  ipv4 = 4,  // IP-in-IP, also ESP tunnel mode's next header
  tcp = 6,
  udp = 17,
  dccp = 33,
  ipv6 = 41,
  routing = 43,
  fragment = 44,
  gre = 47,
  esp = 50,
  ah = 51,
  icmpv6 = 58,
  no_next = 59,
  destination_options = 60,
  ipcomp = 108,
  sctp = 132,
  mobility = 135,
  udp_lite = 136,
  aggfrag = 144,  // ESP only (RFC 9347)
};

inline constexpr std::size_t kIpv4HeaderSize = 20;  // without options
inline constexpr std::size_t kIpv6HeaderSize = 40;
inline constexpr std::size_t kUdpHeaderSize = 8;
inline constexpr std::size_t kTcpHeaderSize = 20;  // without options

}  // namespace culvert::net
