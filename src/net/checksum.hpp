// The Internet checksum (RFC 1071 arithmetic) over IP, UDP and TCP.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "net/address.hpp"

namespace culvert::net {

/// The one's complement sum of the bytes as big-endian 16-bit words, added to `sum`, not yet folded. An odd last byte
/// counts as the high half of a word, so only the last part of a sum may be odd.
[[nodiscard]] std::uint64_t checksum_add(std::uint64_t sum, ByteView bytes);
/// The same, and copies the bytes to `out`, which does not overlap them or begins in front of them.
[[nodiscard]] std::uint64_t checksum_copy(std::uint64_t sum, ByteView bytes, std::uint8_t* out);
/// Folds to 16 bits and complements: the value that goes into a header.
[[nodiscard]] inline std::uint16_t checksum_finish(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~((sum & 0xffff) + (sum >> 16)));
}
/// The checksum of an IPv4 header whose checksum field is zero; 0 when computed over a valid header.
[[nodiscard]] std::uint16_t ipv4_header_checksum(ByteView header);
/// The sum of the pseudo header (RFC 793/2460) of an upper-layer packet of `length` octets, not yet folded.
[[nodiscard]] std::uint64_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination,
                                              std::uint8_t protocol, std::uint32_t length);

}  // namespace culvert::net
