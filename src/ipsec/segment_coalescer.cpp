#include "ipsec/segment_coalescer.hpp"

#include <algorithm>

namespace culvert::ipsec {

// In `order_`; `begun_` when there is none.
std::size_t SegmentCoalescer::place_of_flow(ByteView packet, const net::PacketInfo& info) const {
  std::size_t place = 0;
  while (place < begun_ && !supers_[order_[place]].is_of_flow(packet, info)) ++place;
  return place;
}

void SegmentCoalescer::deliver(std::size_t place, std::vector<InnerPacket>& list) {
  supers_[order_[place]].deliver(list);
  // Its place in `supers_` goes behind those that are begun.
  std::rotate(order_.begin() + static_cast<std::ptrdiff_t>(place),
              order_.begin() + static_cast<std::ptrdiff_t>(place + 1),
              order_.begin() + static_cast<std::ptrdiff_t>(begun_));
  --begun_;
}

void SegmentCoalescer::add(MutableByteView packet, const net::PacketInfo& info, const void* buffer,
                           std::vector<InnerPacket>& list) {
  SuperPacket* const last = current_;
  current_ = nullptr;
  std::size_t place = place_of_flow(packet, info);
  if (place < begun_) {
    SuperPacket& super = supers_[order_[place]];
    if (super.append(packet, buffer, &super == last)) {
      current_ = &super;
      return;
    }
  }
  const bool candidate = SuperPacket::is_candidate(packet, info, udp_);
  // A packet without ports to be seen may be of several.
  for (; place < begun_; place = place_of_flow(packet, info)) deliver(place, list);
  if (!candidate) {
    list.push_back({packet, {}});
    return;
  }
  if (begun_ == kFlows) deliver(0, list);
  current_ = &supers_[order_[begun_++]];
  current_->begin(packet, info, buffer, joining_of(info.family));
}

void SegmentCoalescer::finish(std::vector<InnerPacket>& list) {
  for (std::size_t place = 0; place < begun_; ++place) supers_[order_[place]].deliver(list);
  begun_ = 0;
  current_ = nullptr;
}

}  // namespace culvert::ipsec
