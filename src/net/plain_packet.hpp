// PlainPacket: the few facts that the fast way through the engine needs of the packets that nearly all are: TCP or UDP
// in IPv4 without options or IPv6 without extension headers, unfragmented. What is not plain, `parse_packet` reads;
// what is plain, it would accept and say the same of.
#pragma once

#include <array>
#include <bit>
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

// The word that lies in memory as these octets.
constexpr std::uint64_t in_memory(std::uint64_t octets) {
  return std::endian::native == std::endian::little ? __builtin_bswap64(octets) : octets;
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

/// Finds that a packet is like a plain one of IPv4 seen before: of the same size, flow, length, TOS and DF, with the
/// same SYN bit. It is then plain as well, and `read_plain` would say the same.
class PlainLikeness {
 public:
  /// So many octets from the beginning must be readable, whatever the packet has.
  static constexpr std::size_t kReads = 36;

  /// `packet` is the one that `plain` is of.
  [[gnu::always_inline]] void set(ByteView packet, const PlainPacket& plain) {
    size_ = packet.size();
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] = word(packet.data() + 8 * i);
    last_ = word(packet.data() + kLast);
    last_mask_ = plain.protocol == static_cast<std::uint8_t>(IpProtocol::tcp) ? kTcpMask : 0;
  }
  void clear() { size_ = kNone; }

  [[nodiscard, gnu::always_inline]] bool of(ByteView packet) const {
    const std::uint8_t* const at = packet.data();
    if (packet.size() != size_ || word(at + 16) != words_[2]) return false;
    const std::uint64_t differs = ((word(at) ^ words_[0]) & kFirstMask) | ((word(at + 8) ^ words_[1]) & kSecondMask) |
                                  ((word(at + kLast) ^ last_) & last_mask_);
    return differs == 0;
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  static constexpr std::size_t kLast = 28;
  // As words lie in memory: all but the identification, and all but TTL and checksum; the third word is the destination
  // and the ports.
  static constexpr std::uint64_t kFirstMask = detail::in_memory(0xffff'ffff'0000'ffff);
  static constexpr std::uint64_t kSecondMask = detail::in_memory(0x00ff'0000'ffff'ffff);
  // TCP's data offset and SYN bit: octets 12 and 13 of its header.
  static constexpr std::uint64_t kTcpMask = detail::in_memory(0x0000'0000'f002'0000);

  [[nodiscard, gnu::always_inline]] static std::uint64_t word(const std::uint8_t* at) {
    std::uint64_t value = 0;
    __builtin_memcpy(&value, at, sizeof value);
    return value;
  }

  std::size_t size_ = kNone;  // of no packet
  std::array<std::uint64_t, 3> words_;
  std::uint64_t last_;
  std::uint64_t last_mask_;
};

}  // namespace culvert::net
