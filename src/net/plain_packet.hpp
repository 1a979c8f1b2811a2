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
  static constexpr std::uint32_t kTosShift = 16;
  static constexpr std::uint32_t kDontFragment = 0x4000;

  std::uint32_t total_length = 0;  // as in PacketInfo
  /// All that an outer header may take from it: the family in the lowest bit, DF and TOS as shown above.
  std::uint32_t outer = 0;
  std::uint8_t protocol = 0;  // TCP or UDP
  bool syn = false;           // TCP with the SYN bit

  [[nodiscard]] Family family() const { return static_cast<Family>(outer & 1); }
  [[nodiscard]] std::uint8_t tos() const { return static_cast<std::uint8_t>(outer >> kTosShift); }
  [[nodiscard]] bool dont_fragment() const { return (outer & kDontFragment) != 0; }
  [[nodiscard]] std::size_t header_length() const { return (outer & 1) == 0 ? kIpv4HeaderSize : kIpv6HeaderSize; }
};
static_assert(static_cast<unsigned>(Family::v4) == 0 && static_cast<unsigned>(Family::v6) == 1);

namespace detail {

// Behind an IP header of `header` octets in a packet of `total`, which are there.
[[nodiscard, gnu::always_inline]] inline bool read_plain_transport(const std::uint8_t* at, std::size_t header,
                                                                   PlainPacket& plain) {
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
[[nodiscard, gnu::always_inline]] inline bool read_plain(ByteView packet, PlainPacket& plain) {
  if (packet.size() < kIpv4HeaderSize) return false;
  const std::uint8_t* const at = packet.data();
  const std::uint32_t first = load_be32(at);
  if (first >> 24 == 0x45) {
    const std::uint32_t fragment = load_be32(at + 4);
    plain.total_length = first & 0xffff;
    plain.outer = (first & 0xff'0000) | (fragment & PlainPacket::kDontFragment);
    plain.protocol = at[9];
    if ((fragment & 0x3fff) != 0) return false;
    if (plain.total_length > packet.size() || plain.total_length < kIpv4HeaderSize) return false;
    return detail::read_plain_transport(at, kIpv4HeaderSize, plain);
  }
  if (first >> 28 != 6 || packet.size() < kIpv6HeaderSize) return false;
  plain.total_length = static_cast<std::uint32_t>(kIpv6HeaderSize + load_be16(at + 4));
  plain.outer = (first >> 4 & 0xff'0000) | 1;
  plain.protocol = at[6];
  if (plain.total_length > packet.size()) return false;
  return detail::read_plain_transport(at, kIpv6HeaderSize, plain);
}

}  // namespace culvert::net
