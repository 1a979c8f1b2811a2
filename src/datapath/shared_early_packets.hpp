// SharedEarlyPackets: the workers' early packets in one place, as nobody knows yet which of them will have the SA.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "ipsec/early_packets.hpp"

namespace culvert::datapath {

class SharedEarlyPackets final : public ipsec::EarlyPackets {
 public:
  using EarlyPackets::EarlyPackets;

  // What nobody expects, and the usual case that nothing waits, take no lock.
  [[nodiscard]] bool keep(model::Spi spi, const ipsec::WireInput& input, ByteView packet, Instant now) override {
    if (!expects(spi)) return false;
    const std::lock_guard lock(mutex_);
    // It looks once more: `take` may have come in between, and nobody would ask for the packet again.
    return EarlyPackets::keep(spi, input, packet, now);
  }
  [[nodiscard]] std::vector<Packet> take(model::Spi spi) override {
    const std::lock_guard lock(mutex_);
    return EarlyPackets::take(spi);
  }
  [[nodiscard]] std::size_t expire(Instant now) override {
    if (empty()) return 0;
    const std::lock_guard lock(mutex_);
    return EarlyPackets::expire(now);
  }
  [[nodiscard]] std::optional<Instant> next_expiry() const override {
    if (empty()) return {};
    const std::lock_guard lock(mutex_);
    return EarlyPackets::next_expiry();
  }

 private:
  mutable std::mutex mutex_;
};

}  // namespace culvert::datapath
