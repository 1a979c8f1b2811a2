// The Internet checksum (RFC 1071 arithmetic) over IP, UDP and TCP.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "net/address.hpp"

namespace culvert::net {

/// The one's complement sum of the bytes as big-endian 16-bit words, added to `sum`, not yet folded. An odd last byte
/// counts as the high half of a word, so only the last part of a sum may be odd.
[[nodiscard]] std::uint64_t checksum_add(std::uint64_t sum, ByteView bytes);
/// Folds to 16 bits and complements: the value that goes into a header.
[[nodiscard]] std::uint16_t checksum_finish(std::uint64_t sum);
/// The checksum of an IPv4 header whose checksum field is zero; 0 when computed over a valid header.
[[nodiscard]] std::uint16_t ipv4_header_checksum(ByteView header);
/// The sum of the pseudo header (RFC 793/2460) of an upper-layer packet of `length` octets, not yet folded.
[[nodiscard]] std::uint64_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination,
                                              std::uint8_t protocol, std::uint32_t length);

}  // namespace culvert::net
