#include "net/header_chain.hpp"

#include "net/checksum.hpp"
#include "net/headers.hpp"

namespace culvert::net {
namespace {

constexpr std::size_t kIpv4ProtocolAt = 9;
constexpr std::size_t kIpv6NextHeaderAt = 6;
constexpr std::size_t kFragmentHeaderSize = 8;
constexpr std::uint8_t kLooseSourceRoute = 131;
constexpr std::uint8_t kStrictSourceRoute = 137;

bool is_v4(ByteView headers) { return headers[0] >> 4 == 4; }

bool is_extension(std::uint8_t protocol) {
  switch (static_cast<IpProtocol>(protocol)) {
    case IpProtocol::hop_by_hop:
    case IpProtocol::routing:
    case IpProtocol::destination_options:
    case IpProtocol::fragment: return true;
    default: return false;
  }
}

// Octets of the extension header at `offset`, or 0 when it does not fit.
std::size_t extension_size(ByteView headers, std::size_t offset, std::uint8_t type) {
  if (headers.size() - offset < 8) return 0;
  const bool fragment = type == static_cast<std::uint8_t>(IpProtocol::fragment);
  const std::size_t size = fragment ? kFragmentHeaderSize : std::size_t{8} * (headers[offset + 1] + 1U);
  return size <= headers.size() - offset ? size : 0;
}

std::optional<IpAddress> source_route_end(ByteView options) {
  while (options.size() >= 2 && options[0] != 0) {
    const std::size_t length = options[0] == 1 ? 1 : options[1];
    if (length == 0 || length > options.size()) break;
    if ((options[0] == kLooseSourceRoute || options[0] == kStrictSourceRoute) && length >= 7) {
      // RFC 791 3.1: the route is used up once the pointer lies behind it.
      if (options[2] + 3U > length) return std::nullopt;
      return IpAddress::load(Family::v4, options.data() + length - 4);
    }
    options = options.subspan(length);
  }
  return std::nullopt;
}

}  // namespace

ChainEnd transport_insertion_point(ByteView packet) {
  if (is_v4(packet)) return {std::size_t{4} * (packet[0] & 15U), kIpv4ProtocolAt};
  ChainEnd end{kIpv6HeaderSize, kIpv6NextHeaderAt};
  ChainEnd here = end;
  for (;;) {
    const std::uint8_t type = packet[here.next_header_at];
    if (!is_extension(type)) return end;
    const std::size_t size = extension_size(packet, here.length, type);
    if (size == 0) return end;
    here = {here.length + size, here.length};
    // RFC 4303 3.1.1, RFC 4302 3.1.1: behind hop-by-hop, routing and fragment headers. Destination options are for the
    // last host and go behind, protected, unless hosts on a route have to read them first.
    if (type != static_cast<std::uint8_t>(IpProtocol::destination_options)) end = here;
  }
}

std::optional<ChainEnd> chain_end(ByteView headers) {
  if (headers.size() < kIpv4HeaderSize) return std::nullopt;
  if (is_v4(headers)) {
    if (headers.size() != std::size_t{4} * (headers[0] & 15U)) return std::nullopt;
    return ChainEnd{headers.size(), kIpv4ProtocolAt};
  }
  if (headers[0] >> 4 != 6 || headers.size() < kIpv6HeaderSize) return std::nullopt;
  ChainEnd end{kIpv6HeaderSize, kIpv6NextHeaderAt};
  while (end.length < headers.size()) {
    const std::uint8_t type = headers[end.next_header_at];
    const std::size_t size = is_extension(type) ? extension_size(headers, end.length, type) : 0;
    if (size == 0) return std::nullopt;
    end = {end.length + size, end.length};
  }
  return end;
}

void close_chain(MutableByteView headers, std::size_t next_header_at, std::uint8_t protocol, std::size_t total_length) {
  headers[next_header_at] = protocol;
  if (is_v4(headers)) {
    store_be16(headers.data() + 2, static_cast<std::uint16_t>(total_length));
    store_be16(headers.data() + 10, 0);
    store_be16(headers.data() + 10, ipv4_header_checksum(headers.first(std::size_t{4} * (headers[0] & 15U))));
  } else {
    store_be16(headers.data() + 4, static_cast<std::uint16_t>(total_length - kIpv6HeaderSize));
  }
}

IpAddress final_destination(ByteView headers) {
  if (is_v4(headers)) {
    const std::size_t length = std::size_t{4} * (headers[0] & 15U);
    const auto routed = source_route_end(headers.subspan(kIpv4HeaderSize, length - kIpv4HeaderSize));
    return routed.value_or(IpAddress::load(Family::v4, headers.data() + 16));
  }
  ChainEnd end{kIpv6HeaderSize, kIpv6NextHeaderAt};
  for (;;) {
    const std::uint8_t type = headers[end.next_header_at];
    if (!is_extension(type)) break;
    const std::size_t size = extension_size(headers, end.length, type);
    if (size == 0) break;
    const std::uint8_t* const extension = headers.data() + end.length;
    if (type == static_cast<std::uint8_t>(IpProtocol::routing) && (extension[2] == 0 || extension[2] == 2) &&
        extension[3] != 0 && size >= 24) {
      return IpAddress::load(Family::v6, extension + size - 16);
    }
    end = {end.length + size, end.length};
  }
  return IpAddress::load(Family::v6, headers.data() + 24);
}

}  // namespace culvert::net
