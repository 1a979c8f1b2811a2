// PlainPacket: the few facts that the fast way through the engine needs of the packets that nearly all are: TCP or UDP
// in IPv4 without options or IPv6 without extension headers, unfragmented. What is not plain, `parse_packet` reads;
// what is plain, it would accept and say the same of.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "net/address.hpp"
#include "net/headers.hpp"

namespace culvert::net {

struct PlainPacket {
  std::uint32_t total_length = 0;  // as in PacketInfo
  Family family = Family::v4;
  std::uint8_t protocol = 0;  // TCP or UDP
  std::uint8_t tos = 0;
  bool dont_fragment = false;
  bool syn = false;  // TCP with the SYN bit

  [[nodiscard]] std::size_t header_length() const { return family == Family::v4 ? kIpv4HeaderSize : kIpv6HeaderSize; }
};

namespace detail {

// Behind an IP header of `header` octets in a packet of `total`, which are there.
[[nodiscard]] inline bool read_plain_transport(const std::uint8_t* at, std::size_t header, PlainPacket& plain) {
  const std::size_t rest = plain.total_length - header;
  if (plain.protocol == static_cast<std::uint8_t>(IpProtocol::udp)) {
    plain.syn = false;
    return rest >= kUdpHeaderSize;
  }
  if (plain.protocol != static_cast<std::uint8_t>(IpProtocol::tcp) || rest < kTcpHeaderSize) return false;
  const std::size_t size = std::size_t{4} * (at[header + 12] >> 4);
  plain.syn = (at[header + 13] & 0x02) != 0;
  return size >= kTcpHeaderSize && size <= rest;
}

}  // namespace detail

/// False when the packet is not plain, or no whole packet at all; then `plain` says nothing.
[[nodiscard]] inline bool read_plain(ByteView packet, PlainPacket& plain) {
  if (packet.size() < kIpv4HeaderSize) return false;
  const std::uint8_t* const at = packet.data();
  const std::uint32_t first = load_be32(at);
  if (first >> 24 == 0x45) {
    const std::uint32_t fragment = load_be32(at + 4);
    plain.family = Family::v4;
    plain.total_length = first & 0xffff;
    plain.tos = static_cast<std::uint8_t>(first >> 16);
    plain.dont_fragment = (fragment & 0x4000) != 0;
    plain.protocol = at[9];
    if ((fragment & 0x3fff) != 0) return false;
    if (plain.total_length > packet.size() || plain.total_length < kIpv4HeaderSize) return false;
    return detail::read_plain_transport(at, kIpv4HeaderSize, plain);
  }
  if (first >> 28 != 6 || packet.size() < kIpv6HeaderSize) return false;
  plain.family = Family::v6;
  plain.total_length = static_cast<std::uint32_t>(kIpv6HeaderSize + load_be16(at + 4));
  plain.tos = static_cast<std::uint8_t>(first >> 20);
  plain.dont_fragment = false;
  plain.protocol = at[6];
  if (plain.total_length > packet.size()) return false;
  return detail::read_plain_transport(at, kIpv6HeaderSize, plain);
}

}  // namespace culvert::net
