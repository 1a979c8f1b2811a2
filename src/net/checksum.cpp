#include "net/checksum.hpp"

#include <cstring>

namespace culvert::net {
namespace {

std::uint64_t load64(const std::uint8_t* at) {
  std::uint64_t value;
  std::memcpy(&value, at, 8);
  return value;
}

/// Adds with end-around carry: 2^64 - 1 is a multiple of 2^16 - 1, so nothing is lost for the 16-bit sum.
std::uint64_t add_with_carry(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t sum = a + b;
  return sum + (sum < a ? 1 : 0);
}

std::uint16_t fold(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace

std::uint64_t checksum_add(std::uint64_t sum, ByteView bytes) {
  // RFC 1071 2 (B): the sum does not depend on the byte order, so whole machine words are added as they lie in memory
  // and only the folded result is swapped. Four independent sums keep the adders busy.
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t sums[4] = {};
  for (; left >= 32; left -= 32, at += 32) {
    for (std::size_t i = 0; i < 4; ++i) sums[i] = add_with_carry(sums[i], load64(at + 8 * i));
  }
  std::uint64_t native = add_with_carry(add_with_carry(sums[0], sums[1]), add_with_carry(sums[2], sums[3]));
  for (; left >= 8; left -= 8, at += 8) native = add_with_carry(native, load64(at));
  if (left > 0) {
    std::uint64_t tail = 0;
    std::memcpy(&tail, at, left);
    native = add_with_carry(native, tail);
  }
  return sum + __builtin_bswap16(fold(native));
}

std::uint16_t checksum_finish(std::uint64_t sum) { return static_cast<std::uint16_t>(~fold(sum)); }

std::uint16_t ipv4_header_checksum(ByteView header) { return checksum_finish(checksum_add(0, header)); }

std::uint64_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                                std::uint32_t length) {
  std::uint64_t sum = checksum_add(0, source.bytes());
  sum = checksum_add(sum, destination.bytes());
  return sum + protocol + (length >> 16) + (length & 0xffff);
}

}  // namespace culvert::net
