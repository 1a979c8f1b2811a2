#include "net/checksum.hpp"

#include <cstring>

#include "net/checksum_sums.hpp"

namespace culvert::net {
namespace {

// RFC 1071 2 (B): the sum does not depend on the byte order, so whole machine words are added as they lie in memory and
// only the folded result is swapped.
std::uint64_t to_network_order(std::uint64_t native) {
  return __builtin_bswap16(static_cast<std::uint16_t>(~checksum_finish(native)));
}

const ChecksumSums kSums = checksum_sums().front();

// Short ones are not worth a call. Piece by piece: octets gathered in memory and read back as a word would wait for
// their stores.
constexpr std::size_t kShort = 64;

template <typename T>
std::uint64_t load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

std::uint64_t sum_short(const std::uint8_t* at, std::size_t left) {
  std::uint64_t sum = 0;
  for (; left >= 4; left -= 4, at += 4) sum += load<std::uint32_t>(at);
  if ((left & 2) != 0) {
    sum += load<std::uint16_t>(at);
    at += 2;
  }
  if ((left & 1) != 0) sum += *at;
  return sum;
}

}  // namespace

std::uint64_t checksum_add(std::uint64_t sum, ByteView bytes) {
  if (bytes.size() < kShort) return sum + to_network_order(sum_short(bytes.data(), bytes.size()));
  for (; bytes.size() > ChecksumSums::kMost; bytes = bytes.subspan(ChecksumSums::kMost)) {
    sum += to_network_order(kSums.sum(bytes.data(), ChecksumSums::kMost));
  }
  return sum + to_network_order(kSums.sum(bytes.data(), bytes.size()));
}

std::uint64_t checksum_copy(std::uint64_t sum, ByteView bytes, std::uint8_t* out) {
  for (; bytes.size() > ChecksumSums::kMost; bytes = bytes.subspan(ChecksumSums::kMost)) {
    sum += to_network_order(kSums.copy(bytes.data(), ChecksumSums::kMost, out));
    out += ChecksumSums::kMost;
  }
  return sum + to_network_order(kSums.copy(bytes.data(), bytes.size(), out));
}

std::uint16_t ipv4_header_checksum(ByteView header) { return checksum_finish(checksum_add(0, header)); }

std::uint64_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                                std::uint32_t length) {
  std::uint64_t sum = checksum_add(0, source.bytes());
  sum = checksum_add(sum, destination.bytes());
  return sum + protocol + (length >> 16) + (length & 0xffff);
}

}  // namespace culvert::net
