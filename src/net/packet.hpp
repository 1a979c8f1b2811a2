// One look at an IP packet: everything that selectors, ESP and offloads need to know about its headers, checked against
// its length.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/address.hpp"
#include "net/headers.hpp"

namespace culvert::net {

enum class PacketError : std::uint8_t {
  truncated,           // shorter than its headers say
  bad_version,         // neither IPv4 nor IPv6
  bad_header_length,   // IPv4 IHL below 5, or a TCP data offset below 5
  bad_total_length,    // the length field exceeds the packet, or is shorter than the IP header
  too_many_extensions  // more IPv6 extension headers than we follow
};

/// What one packet's headers say. Ports are 0 where the protocol has none or where they are not visible (a later
/// fragment).
struct PacketInfo {
  Family family = Family::v4;
  IpAddress source;
  IpAddress destination;
  std::uint8_t tos = 0;        // DSCP and ECN: IPv4 TOS octet, IPv6 traffic class
  std::uint8_t ttl = 0;        // hop limit
  bool dont_fragment = false;  // IPv4 only
  std::uint32_t total_length =
      0;  // octets from the IP header to the end of the packet as the header says; trailing bytes are padding
  std::uint8_t protocol = 0;                // upper-layer protocol, after IPv6 extension headers
  std::uint16_t header_length = 0;          // octets in front of the upper-layer header
  std::uint16_t payload_header_length = 0;  // octets of the TCP/UDP header; 0 for others
  bool is_fragment = false;                 // any fragment, the first included
  bool is_later_fragment = false;           // fragment offset above 0: no ports visible
  bool ports_visible = false;               // source_port/destination_port (or ICMP type/code) were read
  std::uint16_t source_port = 0;            // TCP, UDP, SCTP, DCCP, UDP-Lite
  std::uint16_t destination_port = 0;
  // ICMP, ICMPv6: RFC 4301 4.4.1.1 carries type and code in the port fields: type in the high octet, code in the low
  // one, as IKEv2 traffic selectors do (RFC 7296 3.13.1). Then both port fields above hold that number. The Mobility
  // Header's type goes into the high octet likewise.
};

/// How many IPv6 extension headers are followed before a packet is refused.
inline constexpr unsigned kMaxIpv6Extensions = 8;

/// Reads the headers of one whole IP packet. Octets after the packet's own length are ignored. Never allocates.
///
/// IPv6: hop-by-hop, routing, fragment and destination options headers are skipped; AH and ESP count as the upper layer
/// (RFC 4301 4.4.1.1). A first fragment that does not hold its whole TCP or UDP header, or header chain, is `truncated`
/// (RFC 1858, RFC 7112). An atomic fragment (RFC 6946) is no fragment.
[[nodiscard]] Result<PacketInfo, PacketError> parse_packet(ByteView packet);

[[nodiscard]] const char* to_string(PacketError error);

}  // namespace culvert::net
