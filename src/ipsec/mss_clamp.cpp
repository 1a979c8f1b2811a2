#include "ipsec/mss_clamp.hpp"

#include "net/checksum.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNoOperation = 1;
constexpr std::uint8_t kOptionMss = 2;
constexpr std::size_t kMssOptionSize = 4;
constexpr std::size_t kChecksumAt = 16;

// Where the option's value stands in the TCP header; 0 when it has none.
std::size_t find_mss(ByteView header) {
  for (std::size_t at = net::kTcpHeaderSize; at < header.size();) {
    if (header[at] == kOptionEnd) return 0;
    if (header[at] == kOptionNoOperation) {
      ++at;
      continue;
    }
    if (at + 1 >= header.size()) return 0;
    const std::size_t size = header[at + 1];
    if (size < 2 || size > header.size() - at) return 0;
    if (header[at] == kOptionMss) return size == kMssOptionSize ? at + 2 : 0;
    at += size;
  }
  return 0;
}

// What a 16-bit number at this place adds to the checksum's sum; at an odd one its octets stand in two words.
std::uint16_t in_sum(std::uint16_t value, bool odd) { return odd ? __builtin_bswap16(value) : value; }

}  // namespace

bool clamp_mss(MutableByteView packet, const net::PacketInfo& info, std::uint16_t limit, bool checksum_partial) {
  const MutableByteView header = packet.subspan(info.header_length, info.payload_header_length);
  const std::size_t at = find_mss(header);
  if (at == 0 || limit == 0) return false;
  const std::uint16_t old = load_be16(header.data() + at);
  if (old <= limit) return false;
  store_be16(header.data() + at, limit);
  // A partial checksum holds the pseudo header's sum, which knows nothing of options.
  if (checksum_partial) return true;
  // RFC 1624 3: HC' = ~(~HC + ~m + m').
  const bool odd = at % 2 != 0;
  std::uint8_t* const checksum = header.data() + kChecksumAt;
  const std::uint64_t sum = std::uint64_t{static_cast<std::uint16_t>(~load_be16(checksum))} +
                            static_cast<std::uint16_t>(~in_sum(old, odd)) + in_sum(limit, odd);
  store_be16(checksum, net::checksum_finish(sum));
  return true;
}

}  // namespace culvert::ipsec
