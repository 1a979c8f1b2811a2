#include "ipsec/transport_checksum.hpp"

#include <optional>

#include "net/checksum.hpp"
#include "net/headers.hpp"

namespace culvert::ipsec {
namespace {

// Where the checksum stands in the transport header, for protocols whose checksum covers a pseudo header.
std::optional<std::size_t> checksum_offset(std::uint8_t protocol) {
  switch (static_cast<net::IpProtocol>(protocol)) {
    case net::IpProtocol::tcp: return 16;
    case net::IpProtocol::udp:
    case net::IpProtocol::udp_lite:
    case net::IpProtocol::dccp: return 6;
    case net::IpProtocol::icmpv6: return 2;
    default: return std::nullopt;
  }
}

}  // namespace

void move_transport_checksum(MutableByteView packet, const net::PacketInfo& info, const net::IpAddress& source,
                             const net::IpAddress& destination) {
  if (source.family() != info.family || destination.family() != info.family || info.is_later_fragment) return;
  const auto offset = checksum_offset(info.protocol);
  if (!offset || info.header_length + *offset + 2 > packet.size()) return;
  std::uint8_t* const field = packet.data() + info.header_length + *offset;
  const std::uint16_t old = load_be16(field);
  const bool udp = info.protocol == static_cast<std::uint8_t>(net::IpProtocol::udp);
  if (udp && old == 0) return;
  // RFC 1624 3: ~(~old sum - old addresses + new addresses); what is taken away is added as its complement.
  const std::uint64_t before = net::checksum_add(net::checksum_add(0, source.bytes()), destination.bytes());
  const std::uint64_t after = net::checksum_add(net::checksum_add(0, info.source.bytes()), info.destination.bytes());
  const std::uint64_t sum = std::uint64_t{static_cast<std::uint16_t>(~old)} + net::checksum_finish(before) + after;
  const std::uint16_t fresh = net::checksum_finish(sum);
  store_be16(field, udp && fresh == 0 ? 0xffff : fresh);
}

}  // namespace culvert::ipsec
