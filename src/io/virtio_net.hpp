// The virtio-net header that stands in front of each packet of a TUN opened with IFF_VNET_HDR, and its numbers.
//
// Declared here because <linux/virtio_net.h> is not valid C++ (a field is called `class`). Host byte order, 10 octets.
#pragma once

#include <cstdint>

namespace culvert::io {

struct VirtioNetHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t header_length = 0;
  std::uint16_t gso_size = 0;
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;
};
static_assert(sizeof(VirtioNetHeader) == 10);

inline constexpr std::uint8_t kVirtioNeedsChecksum = 1;  // VIRTIO_NET_HDR_F_NEEDS_CSUM
inline constexpr std::uint8_t kVirtioDataValid = 2;      // VIRTIO_NET_HDR_F_DATA_VALID
inline constexpr std::uint8_t kVirtioGsoNone = 0;
inline constexpr std::uint8_t kVirtioGsoTcp4 = 1;
inline constexpr std::uint8_t kVirtioGsoTcp6 = 4;
inline constexpr std::uint8_t kVirtioGsoUdp = 5;     // VIRTIO_NET_HDR_GSO_UDP_L4
inline constexpr std::uint8_t kVirtioGsoEcn = 0x80;  // a bit on top of the TCP types: the first segment carries CWR

}  // namespace culvert::io
