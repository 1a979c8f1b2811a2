// PlainShape: all that the fast way wants to know of a plain packet of IPv4 but its flow, so that of packets of one
// size, whatever their flows, only the first is read.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "net/headers.hpp"
#include "net/plain_packet.hpp"

namespace culvert::net {

class PlainShape {
 public:
  /// So many octets from the beginning must be readable, whatever the packet has.
  static constexpr std::size_t kReads = 36;

  /// `packet` is the one that `plain`, which is of IPv4, is of.
  void set(ByteView packet, const PlainPacket& plain) {
    size_ = packet.size();
    first_ = word(packet.data());
    second_ = word(packet.data() + 8);
    last_ = word(packet.data() + kLast);
    is_tcp_ = plain.protocol == static_cast<std::uint8_t>(IpProtocol::tcp);
  }
  void clear() { size_ = kNone; }

  /// Whether a packet has the size, length, protocol, TOS, DF and SYN bit of that one. It is then plain as well, and
  /// `read_plain` would say the same.
  [[nodiscard, gnu::always_inline]] bool of(ByteView packet) const {
    const std::uint8_t* const at = packet.data();
    if (packet.size() != size_) return false;
    if ((((word(at) ^ first_) & kFirstMask) | ((word(at + 8) ^ second_) & kSecondMask)) != 0) return false;
    return !is_tcp_ || ((word(at + kLast) ^ last_) & kTcpMask) == 0;
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};  // of no packet
  static constexpr std::size_t kLast = 28;
  // As words lie in memory: all but the identification; of the second word just the protocol.
  static constexpr std::uint64_t kFirstMask = detail::in_memory(0xffff'ffff'0000'ffff);
  static constexpr std::uint64_t kSecondMask = detail::in_memory(0x00ff'0000'0000'0000);
  // TCP's data offset and SYN bit: octets 12 and 13 of its header.
  static constexpr std::uint64_t kTcpMask = detail::in_memory(0x0000'0000'f002'0000);

  [[nodiscard, gnu::always_inline]] static std::uint64_t word(const std::uint8_t* at) {
    std::uint64_t value = 0;
    __builtin_memcpy(&value, at, sizeof value);
    return value;
  }

  std::size_t size_ = kNone;
  std::uint64_t first_ = 0;
  std::uint64_t second_ = 0;
  std::uint64_t last_ = 0;
  bool is_tcp_ = false;
};

}  // namespace culvert::net
