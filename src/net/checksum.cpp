#include "net/checksum.hpp"

#include <cstring>

namespace culvert::net {
namespace {

/// Four numbers side by side, in whatever vector registers the target has.
using Lanes = std::uint64_t __attribute__((vector_size(32)));

constexpr std::size_t kBlock = 64;

/// The sum of so many blocks of 64 octets as 32-bit words. They gather in lanes of 64 bits, which cannot overflow below
/// 16 GiB; two sums keep the adders busy.
[[gnu::always_inline]] inline std::uint64_t sum_blocks(const std::uint8_t* at, std::size_t blocks) {
  Lanes even{};
  Lanes odd{};
  for (; blocks > 0; --blocks, at += kBlock) {
    Lanes first;
    Lanes second;
    std::memcpy(&first, at, sizeof first);
    std::memcpy(&second, at + sizeof first, sizeof second);
    even += (first & 0xffffffff) + (first >> 32);
    odd += (second & 0xffffffff) + (second >> 32);
  }
  even += odd;
  return even[0] + even[1] + even[2] + even[3];
}

using BlockSum = std::uint64_t (*)(const std::uint8_t*, std::size_t);

std::uint64_t sum_blocks_baseline(const std::uint8_t* at, std::size_t blocks) { return sum_blocks(at, blocks); }

#if defined(__x86_64__)
__attribute__((target("avx2"))) std::uint64_t sum_blocks_avx2(const std::uint8_t* at, std::size_t blocks) {
  return sum_blocks(at, blocks);
}
#endif

BlockSum fastest_block_sum() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return sum_blocks_avx2;
#endif
  return sum_blocks_baseline;
}

template <typename T>
T load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
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
  // and only the folded result is swapped.
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t native = 0;
  if (left >= kBlock) {
    static const BlockSum block_sum = fastest_block_sum();
    native = block_sum(at, left / kBlock);
    at += left / kBlock * kBlock;
    left %= kBlock;
  }
  for (; left >= 8; left -= 8, at += 8) native = add_with_carry(native, load<std::uint64_t>(at));
  // Piece by piece: octets gathered in memory and read back as a word would wait for their stores.
  std::uint64_t tail = 0;
  if ((left & 4) != 0) {
    tail += load<std::uint32_t>(at);
    at += 4;
  }
  if ((left & 2) != 0) {
    tail += load<std::uint16_t>(at);
    at += 2;
  }
  if ((left & 1) != 0) tail += *at;
  native = add_with_carry(native, tail);
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
