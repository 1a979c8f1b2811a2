// PlainShape and PlainLikeness: whether a packet of IPv4 is as a plain one seen before was, in few comparisons of
// words, so that of packets alike only the first is read.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "net/headers.hpp"
#include "net/plain_packet.hpp"

namespace culvert::net {

/// What a packet must have of the one seen before, besides size, length, protocol, TOS, DF and the SYN bit.
enum class Alike : bool { shape, flow };

template <Alike kAlike>
class LikePlain {
 public:
  /// So many octets from the beginning must be readable, whatever the packet has.
  static constexpr std::size_t kReads = 36;

  /// `packet` is the one that `plain`, which is of IPv4, is of.
  void set(ByteView packet, const PlainPacket& plain) {
    size_ = packet.size();
    first_ = word(packet.data());
    second_ = word(packet.data() + 8);
    if constexpr (kAlike == Alike::flow) third_ = word(packet.data() + 16);
    last_ = word(packet.data() + kLast);
    is_tcp_ = plain.protocol == static_cast<std::uint8_t>(IpProtocol::tcp);
  }
  void clear() { size_ = kNone; }

  /// When it holds, the packet is plain as well, and `read_plain` would say the same.
  [[nodiscard, gnu::always_inline]] bool of(ByteView packet) const {
    const std::uint8_t* const at = packet.data();
    if (packet.size() != size_) return false;
    if (kAlike == Alike::flow && word(at + 16) != third_) return false;
    if ((((word(at) ^ first_) & kFirstMask) | ((word(at + 8) ^ second_) & kSecondMask)) != 0) return false;
    return !is_tcp_ || ((word(at + kLast) ^ last_) & kTcpMask) == 0;
  }

  /// The bits of a packet's first octets that make the likeness, for who compares all at once. Besides them the sizes
  /// of the packets must be the same.
  struct Bits {
    alignas(64) std::array<std::uint8_t, 64> octets{};
  };
  [[nodiscard]] static constexpr Bits bits(bool tcp) {
    Bits bits;
    const auto put = [&bits](std::size_t from, std::uint64_t word) {
      for (std::size_t i = 0; i < sizeof word; ++i) {
        const std::size_t octet = std::endian::native == std::endian::little ? i : sizeof word - 1 - i;
        bits.octets[from + i] |= static_cast<std::uint8_t>(word >> 8 * octet);
      }
    };
    put(0, kFirstMask);
    put(8, kSecondMask);
    if (kAlike == Alike::flow) put(16, ~std::uint64_t{0});
    if (tcp) put(kLast, kTcpMask);
    return bits;
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};  // of no packet
  static constexpr std::size_t kLast = 28;

  // The word that lies in memory as these octets.
  static constexpr std::uint64_t in_memory(std::uint64_t octets) {
    return std::endian::native == std::endian::little ? __builtin_bswap64(octets) : octets;
  }
  // All but the identification.
  static constexpr std::uint64_t kFirstMask = in_memory(0xffff'ffff'0000'ffff);
  // The protocol, and of one flow the source; TTL and checksum are nobody's business. The third word is the destination
  // and the ports.
  static constexpr std::uint64_t kSecondMask =
      in_memory(kAlike == Alike::flow ? 0x00ff'0000'ffff'ffff : 0x00ff'0000'0000'0000);
  // TCP's data offset and SYN bit: octets 12 and 13 of its header.
  static constexpr std::uint64_t kTcpMask = in_memory(0x0000'0000'f002'0000);

  [[nodiscard, gnu::always_inline]] static std::uint64_t word(const std::uint8_t* at) {
    std::uint64_t value = 0;
    __builtin_memcpy(&value, at, sizeof value);
    return value;
  }

  std::size_t size_ = kNone;
  std::uint64_t first_ = 0;
  std::uint64_t second_ = 0;
  std::uint64_t third_ = 0;
  std::uint64_t last_ = 0;
  bool is_tcp_ = false;
};

/// Packets of one size and what an outer header may ask for, whatever their flows.
using PlainShape = LikePlain<Alike::shape>;
/// And of one flow.
using PlainLikeness = LikePlain<Alike::flow>;

}  // namespace culvert::net
