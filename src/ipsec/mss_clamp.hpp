// MSS clamping: lowers the maximum segment size that a TCP SYN announces to what fits through an SA uncut (RFC 9293
// 3.7.1). A convenience that lies below TCP; RFC 4301 knows nothing of it.
#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// True for a packet that `clamp_mss` may want to change. Cheap: one look at the flags of TCP packets.
[[nodiscard]] inline bool is_tcp_syn(ByteView packet, const net::PacketInfo& info) {
  constexpr std::uint8_t kSyn = 0x02;
  return info.protocol == static_cast<std::uint8_t>(net::IpProtocol::tcp) && info.payload_header_length != 0 &&
         (packet[std::size_t{info.header_length} + 13] & kSyn) != 0;
}

/// Lowers the MSS option of a SYN or SYN-ACK, a packet for which `is_tcp_syn` holds, to `limit`; a lower one stays. A
/// SYN without the option is left alone: it stands for 536 octets (IPv6: 1220), which only a path narrower than hosts
/// must expect would not take. Nothing is ever inserted. The checksum follows, unless it is still partial.
/// True when the packet was changed.
bool clamp_mss(MutableByteView packet, const net::PacketInfo& info, std::uint16_t limit, bool checksum_partial);

/// The MSS that packets of at most `inner_mtu` octets leave; RFC 9293 3.7.1: for headers without options. 0 when none.
[[nodiscard]] constexpr std::uint16_t mss_for(std::uint32_t inner_mtu, net::Family family) {
  const std::uint32_t headers = family == net::Family::v4 ? 40 : 60;
  if (inner_mtu <= headers) return 0;
  const std::uint32_t mss = inner_mtu - headers;
  return mss > 0xffff ? 0xffff : static_cast<std::uint16_t>(mss);
}

}  // namespace culvert::ipsec
