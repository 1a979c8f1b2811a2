#include "io/ipv6_headers.hpp"

#include <algorithm>
#include <optional>

#include <netinet/in.h>

namespace culvert::io {

namespace {

constexpr std::size_t kFixedHeader = 40;
constexpr std::size_t kNextHeaderAt = 6;

/// The header type of a control message; nothing when it is of another kind.
std::optional<std::uint8_t> extension_type(const cmsghdr& header) {
  if (header.cmsg_level != IPPROTO_IPV6) return {};
  switch (header.cmsg_type) {
    case IPV6_HOPOPTS: return std::uint8_t{IPPROTO_HOPOPTS};
    case IPV6_RTHDR: return std::uint8_t{IPPROTO_ROUTING};
    case IPV6_DSTOPTS: return std::uint8_t{IPPROTO_DSTOPTS};
    default: return {};
  }
}

}  // namespace

std::size_t rebuild_ipv6_headers(msghdr& message, const Ipv6HeaderFacts& facts, MutableByteView out) {
  if (out.size() < kFixedHeader || facts.source.is_v4() || facts.destination.is_v4()) return 0;
  std::size_t length = kFixedHeader;
  std::uint8_t* next_header = out.data() + kNextHeaderAt;
  *next_header = facts.protocol;
  bool first = true;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    const auto type = extension_type(*header);
    if (!type) continue;
    if (header->cmsg_len < CMSG_LEN(8)) return 0;
    const std::size_t size = header->cmsg_len - CMSG_LEN(0);
    const std::uint8_t* const octets = CMSG_DATA(header);
    if ((std::size_t{octets[1]} + 1) * 8 != size || size > out.size() - length) return 0;
    // Only the fixed header's next header is ours to write; the others are the packet's own and have to agree.
    if (first) *next_header = *type;
    if (*next_header != *type) return 0;
    first = false;
    std::copy_n(octets, size, out.data() + length);
    next_header = out.data() + length;
    length += size;
  }
  const std::size_t payload = length - kFixedHeader + facts.payload_length;
  if (*next_header != facts.protocol || payload > 0xffff) return 0;
  store_be32(out.data(), 6U << 28 | (facts.flow_info & 0x0fffffffU));
  store_be16(out.data() + 4, static_cast<std::uint16_t>(payload));
  out[7] = facts.hop_limit;
  std::ranges::copy(facts.source.bytes(), out.data() + 8);
  std::ranges::copy(facts.destination.bytes(), out.data() + 24);
  return length;
}

}  // namespace culvert::io
