// Writes and changes IPv4, IPv6 and UDP headers at fixed offsets, for the hot path. The caller guarantees the room.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "net/address.hpp"
#include "net/headers.hpp"

namespace culvert::net {

/// What goes into an IP header without options. `source` and `destination` are of one family, which chooses the header.
struct IpHeader {
  IpAddress source;
  IpAddress destination;
  std::uint8_t protocol = 0;
  std::uint8_t tos = 0;  // IPv6: the traffic class
  std::uint8_t ttl = 64;
  bool dont_fragment = false;        // IPv4 only
  std::uint16_t identification = 0;  // IPv4 only
  std::uint16_t payload_length = 0;  // octets behind the IP header; IPv4: at most 65515
};

/// 20 or 40 octets.
[[nodiscard]] constexpr std::size_t ip_header_size(Family family) {
  return family == Family::v4 ? kIpv4HeaderSize : kIpv6HeaderSize;
}

/// Writes the header, an IPv4 one with its checksum, to `at`, which has room for `ip_header_size`. The IPv6 flow label
/// is 0.
void write_ip_header(std::uint8_t* at, const IpHeader& header);

/// Writes the 8 octets of a UDP header; `payload_length` is what follows it. The checksum field becomes `checksum`.
void write_udp_header(std::uint8_t* at, std::uint16_t source_port, std::uint16_t destination_port,
                      std::uint16_t payload_length, std::uint16_t checksum = 0);

/// The checksum of a whole UDP datagram (header with a zero checksum field, then payload), 0xffff instead of 0 (RFC
/// 768).
[[nodiscard]] std::uint16_t udp_checksum(const IpAddress& source, const IpAddress& destination, ByteView datagram);

/// Sets the IPv4 TOS octet or IPv6 traffic class of a packet that `parse_packet` accepted, and keeps the checksum
/// right.
void set_tos(MutableByteView packet, std::uint8_t tos);
/// Sets TTL or hop limit likewise.
void set_ttl(MutableByteView packet, std::uint8_t ttl);

}  // namespace culvert::net
