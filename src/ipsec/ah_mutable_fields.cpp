#include "ipsec/ah_mutable_fields.hpp"

#include <array>
#include <cstring>

#include "net/header_chain.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

// RFC 4302 A1: the IPv4 options that do not change: end of list, no operation, security, extended and commercial
// security, router alert, sender directed multi-destination delivery. All others, unknown ones too, are zeroed whole.
constexpr bool option_is_immutable(std::uint8_t type) {
  switch (type) {
    case 0:
    case 1:
    case 130:
    case 133:
    case 134:
    case 148:
    case 149: return true;
    default: return false;
  }
}

bool zero_ipv4_options(MutableByteView options) {
  while (!options.empty()) {
    const std::uint8_t type = options[0];
    if (type == 0) return true;  // the list ends here; what pads the header is covered as it is
    std::size_t length = 1;
    if (type != 1) {
      if (options.size() < 2 || options[1] < 2 || options[1] > options.size()) return false;
      length = options[1];
    }
    if (!option_is_immutable(type)) std::memset(options.data(), 0, length);
    options = options.subspan(length);
  }
  return true;
}

// RFC 8200 4.2: the third-highest bit of an option's type says that its data may change on the way.
bool zero_ipv6_options(MutableByteView extension) {
  MutableByteView options = extension.subspan(2);
  while (!options.empty()) {
    if (options[0] == 0) {  // Pad1 has no length
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || std::size_t{options[1]} + 2 > options.size()) return false;
    if ((options[0] & 0x20) != 0) std::memset(options.data() + 2, 0, options[1]);
    options = options.subspan(std::size_t{options[1]} + 2);
  }
  return true;
}

// RFC 4302 A2: a routing header of type 0 is covered as the receiver will see it: the addresses left to visit move up
// by one, the destination takes the first of their places and the last of them is the destination. Type 2 (RFC 6275
// 6.4) is the same with one address.
bool settle_routing(MutableByteView header, MutableByteView extension) {
  const std::size_t left = extension[3];
  if (left == 0) return true;
  if (extension[2] != 0 && extension[2] != 2) return false;
  const std::size_t count = (extension.size() - 8) / 16;
  if (left > count) return false;
  constexpr std::size_t kDestinationAt = 24;
  std::array<std::uint8_t, 16> last;
  std::uint8_t* const first = extension.data() + 8 + (count - left) * 16;
  std::memcpy(last.data(), first + (left - 1) * 16, 16);
  std::memmove(first + 16, first, (left - 1) * 16);
  std::memcpy(first, header.data() + kDestinationAt, 16);
  std::memcpy(header.data() + kDestinationAt, last.data(), 16);
  extension[3] = 0;
  return true;
}

std::optional<std::size_t> zero_ipv4(MutableByteView headers) {
  std::uint8_t* const at = headers.data();
  // RFC 4302 3.3.3.1.1.1: with a source route the destination is the last one; before the route itself is zeroed.
  const net::IpAddress destination = net::final_destination(headers);
  std::memcpy(at + 16, destination.bytes().data(), 4);
  at[1] = 0;               // DSCP, ECN
  store_be16(at + 6, 0);   // flags, fragment offset
  at[8] = 0;               // TTL
  store_be16(at + 10, 0);  // checksum
  if (!zero_ipv4_options(headers.subspan(net::kIpv4HeaderSize))) return std::nullopt;
  return headers.size();
}

std::optional<std::size_t> zero_ipv6(MutableByteView headers) {
  std::uint8_t* const at = headers.data();
  store_be32(at, 0x60000000U);  // traffic class, flow label
  at[7] = 0;                    // hop limit
  std::size_t naming = 6;       // the octet that names the header at `offset`
  std::size_t size = headers.size();
  for (std::size_t offset = net::kIpv6HeaderSize; offset < size;) {
    const auto type = static_cast<net::IpProtocol>(at[naming]);
    if (type == net::IpProtocol::fragment) {
      // RFC 4302 A2: reassembly took place below AH, so its header does not count.
      at[naming] = at[offset];
      std::memmove(at + offset, at + offset + 8, size - offset - 8);
      size -= 8;
      store_be16(at + 4, static_cast<std::uint16_t>(load_be16(at + 4) - 8));
      continue;
    }
    const MutableByteView extension = headers.subspan(offset, std::size_t{8} * (at[offset + 1] + 1U));
    const bool fits =
        type == net::IpProtocol::routing ? settle_routing(headers, extension) : zero_ipv6_options(extension);
    if (!fits) return std::nullopt;
    naming = offset;
    offset += extension.size();
  }
  return size;
}

}  // namespace

std::optional<std::size_t> zero_mutable_fields(MutableByteView headers) {
  if (!net::chain_end(headers)) return std::nullopt;
  return headers[0] >> 4 == 4 ? zero_ipv4(headers) : zero_ipv6(headers);
}

}  // namespace culvert::ipsec
