#include "ipsec/early_packets.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace culvert::ipsec {

WireInput EarlyPackets::Packet::view() {
  WireInput whole = input;
  whole.ip_header = header;
  whole.bytes = bytes;
  whole.segment_size = 0;
  return whole;
}

void EarlyPackets::forget(model::Spi spi) {
  std::uint32_t value = spi.value();
  (void)place_of(spi).compare_exchange_strong(value, 0);
}

bool EarlyPackets::keep(model::Spi spi, const WireInput& input, ByteView packet, Instant now) {
  const std::size_t octets = packet.size() + input.ip_header.size();
  if (!expects(spi) || packets_.size() >= kMaxPackets || octets > kMaxOctets - octets_) return false;
  packets_.push_back({spi, input, to_bytes(input.ip_header), to_bytes(packet), now});
  octets_ += octets;
  count_.store(packets_.size(), std::memory_order_release);
  return true;
}

std::vector<EarlyPackets::Packet> EarlyPackets::take(model::Spi spi) {
  forget(spi);
  std::vector<Packet> taken;
  const auto others = std::stable_partition(packets_.begin(), packets_.end(),
                                            [spi](const Packet& packet) { return packet.spi != spi; });
  for (auto packet = others; packet != packets_.end(); ++packet) {
    octets_ -= packet->bytes.size() + packet->header.size();
    taken.push_back(std::move(*packet));
  }
  packets_.erase(others, packets_.end());
  count_.store(packets_.size(), std::memory_order_release);
  return taken;
}

std::size_t EarlyPackets::expire(Instant now) {
  std::size_t expired = 0;
  for (; !packets_.empty() && now - packets_.front().since >= kMaxAge; ++expired) {
    octets_ -= packets_.front().bytes.size() + packets_.front().header.size();
    packets_.pop_front();
  }
  count_.store(packets_.size(), std::memory_order_release);
  return expired;
}

std::optional<Instant> EarlyPackets::next_expiry() const {
  if (packets_.empty()) return {};
  return packets_.front().since + kMaxAge;
}

}  // namespace culvert::ipsec
