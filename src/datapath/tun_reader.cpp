#include "datapath/tun_reader.hpp"

#include <errno.h>

#include "datapath/offload.hpp"

namespace culvert::datapath {

TunReader::TunReader(io::TunQueue& queue, IoCounters& counters)
    : queue_(queue),
      counters_(counters),
      memory_(std::make_unique_for_overwrite<std::uint8_t[]>(kMostPackets * kStride)) {
  packets_.reserve(kMostPackets);
}

TunReader::Batch TunReader::read() {
  packets_.clear();
  Batch batch;
  std::size_t bytes = 0;
  while (packets_.size() < kMostPackets && bytes < kMostBytes) {
    // The virtio header comes to stand right in front of the packet, in the headroom.
    std::uint8_t* const packet = memory_.get() + packets_.size() * kStride + ipsec::kInnerHeadroom;
    constexpr std::size_t kHeader = sizeof(io::VirtioNetHeader);
    const auto read = queue_.read({packet - kHeader, kHeader + ipsec::kMaxInnerPacket});
    if (read.error != 0) {
      batch.drained = true;
      batch.error = read.error == EAGAIN ? 0 : read.error;
      break;
    }
    const auto offload = decode_offload(read.header);
    if (!offload) {
      counters_.count(IoDrop::tun_read_invalid);
      bytes += read.packet.size();
      continue;
    }
    packets_.push_back({read.packet, *offload});
    bytes += read.packet.size();
  }
  batch.packets = packets_;
  return batch;
}

}  // namespace culvert::datapath
