#include "datapath/offload.hpp"

namespace culvert::datapath {

using Segmentation = ipsec::Offload::Segmentation;

std::optional<ipsec::Offload> decode_offload(const io::VirtioNetHeader& header) {
  ipsec::Offload offload;
  switch (header.gso_type & static_cast<std::uint8_t>(~io::kVirtioGsoEcn)) {
    case io::kVirtioGsoNone: offload.segmentation = Segmentation::none; break;
    case io::kVirtioGsoTcp4: offload.segmentation = Segmentation::tcp4; break;
    case io::kVirtioGsoTcp6: offload.segmentation = Segmentation::tcp6; break;
    case io::kVirtioGsoUdp: offload.segmentation = Segmentation::udp; break;
    default: return {};
  }
  if (offload.segmentation != Segmentation::none) {
    if (header.gso_size == 0) return {};
    offload.segment_size = header.gso_size;
    offload.header_length = header.header_length;
  }
  if ((header.flags & io::kVirtioNeedsChecksum) != 0) {
    offload.checksum_partial = true;
    offload.checksum_start = header.checksum_start;
    offload.checksum_offset = header.checksum_offset;
  }
  offload.checksum_valid = (header.flags & io::kVirtioDataValid) != 0;
  return offload;
}

io::VirtioNetHeader encode_offload(const ipsec::Offload& offload) {
  io::VirtioNetHeader header;
  switch (offload.segmentation) {
    case Segmentation::none: header.gso_type = io::kVirtioGsoNone; break;
    case Segmentation::tcp4: header.gso_type = io::kVirtioGsoTcp4; break;
    case Segmentation::tcp6: header.gso_type = io::kVirtioGsoTcp6; break;
    case Segmentation::udp: header.gso_type = io::kVirtioGsoUdp; break;
  }
  if (offload.segmentation != Segmentation::none) {
    header.gso_size = offload.segment_size;
    header.header_length = offload.header_length;
  }
  if (offload.checksum_partial) {
    header.flags = io::kVirtioNeedsChecksum;
    header.checksum_start = offload.checksum_start;
    header.checksum_offset = offload.checksum_offset;
  } else if (offload.checksum_valid) {
    header.flags = io::kVirtioDataValid;
  }
  return header;
}

}  // namespace culvert::datapath
