#include "datapath/wire_sender.hpp"

#include <algorithm>

namespace culvert::datapath {

WireSender::WireSender(const OuterSockets& sockets, io::TunQueue& tun, IoCounters& counters)
    : sockets_(sockets), tun_(tun), counters_(counters), slab_(kSlab) {
  messages_.reserve(kMostMessages);
  by_.reserve(kMostMessages);
}

MutableByteView WireSender::region() {
  if (slab_.size() - used_ < ipsec::kMinWireRegion) flush();
  return MutableByteView(slab_).subspan(used_);
}

void WireSender::send(std::span<const ipsec::WireTrain> trains) {
  for (const ipsec::WireTrain& train : trains) {
    // The memory counts as used in any case: the next region must not begin inside a train of this call.
    const std::size_t end = static_cast<std::size_t>(train.bytes.data() + train.bytes.size() - slab_.data());
    constexpr std::size_t kLine = 64;
    used_ = std::min((end + kLine - 1) / kLine * kLine, slab_.size());
    const io::DatagramSocket* socket = sockets_.for_esp(train.path, train.encapsulation);
    if (socket == nullptr) {
      counters_.count(IoDrop::outer_no_socket, train.segments());
      continue;
    }
    messages_.push_back({train.path, train.tos, train.segment_size, train.bytes});
    by_.push_back(socket);
  }
  if (messages_.size() >= kMostMessages / 2) flush();
}

bool WireSender::bypass(const ipsec::InnerPacket& packet) {
  (void)packet;
  return false;
}

void WireSender::answer(ByteView packet) {
  if (tun_.write({}, packet) != 0) counters_.count(IoDrop::tun_write_refused);
}

void WireSender::flush() {
  for (std::size_t first = 0; first < messages_.size();) {
    std::size_t end = first + 1;
    while (end < messages_.size() && by_[end] == by_[first]) ++end;
    const auto counts = by_[first]->send(std::span(messages_).subspan(first, end - first), scratch_);
    counters_.count(IoDrop::outer_refused, counts.refused);
    counters_.count(IoDrop::outer_buffer_full, counts.buffer_full);
    first = end;
  }
  messages_.clear();
  by_.clear();
  used_ = 0;
}

}  // namespace culvert::datapath
