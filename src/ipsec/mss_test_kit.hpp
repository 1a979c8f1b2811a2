// For tests of MSS clamping only.
#pragma once

#include "ipsec/engine_test_kit.hpp"

namespace culvert::ipsec::test_kit {

/// A SYN that announces this MSS.
inline Bytes syn_with_mss(const Flow& flow, std::uint16_t mss) {
  Bytes packet =
      tcp_packet(flow, 1, 0x02, Bytes{2, 4, static_cast<std::uint8_t>(mss >> 8), static_cast<std::uint8_t>(mss)});
  const std::size_t header = net::ip_header_size(flow.source.family());
  packet[header + 12] = 6 << 4;
  store_be16(packet.data() + header + 16, 0);
  const ByteView segment = ByteView(packet).subspan(header);
  const std::uint64_t pseudo =
      net::pseudo_header_sum(flow.source, flow.destination, 6, static_cast<std::uint32_t>(segment.size()));
  store_be16(packet.data() + header + 16, net::checksum_finish(net::checksum_add(pseudo, segment)));
  return packet;
}

}  // namespace culvert::ipsec::test_kit
