// EarlyPackets: inbound packets that are here before their SA is.
//
// RFC 7296 2.8: whoever answers a CREATE_CHILD_SA or IKE_AUTH request may send by the new SA at once, right behind its
// answer, and the one who asked has to be ready for it. But it has the keys only when it has read the answer, so such
// packets wait here until the SA is installed. Only packets with an SPI that was handed out and has no SA yet are kept:
// nobody but the peer, who has it by an encrypted message, can know one. All is bounded: octets, packets, time.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "ipsec/packet_io.hpp"
#include "ipsec/spi_allocator.hpp"
#include "model/ids.hpp"

namespace culvert::ipsec {

/// For one thread, as all of this layer; who shares one between engines on several threads overrides what has to be
/// guarded. Where no packet waits, it costs a look at an atomic.
class EarlyPackets {
 public:
  static constexpr std::size_t kMaxPackets = 1024;
  static constexpr std::size_t kMaxOctets = std::size_t{2} * 1024 * 1024;
  static constexpr Duration kMaxAge = std::chrono::seconds(2);

  explicit EarlyPackets(const SpiLayout& layout) : layout_(layout) {}
  virtual ~EarlyPackets() = default;

  /// Before the peer hears of the SPI; any thread, as the next two. Of more than a thousand SPIs without an SA at a
  /// time, some are forgotten: their early packets are lost, as they would be without this.
  void expect(model::Spi spi) { place_of(spi).store(spi.value(), std::memory_order_release); }
  /// There will be no SA with this SPI. What waits for it is dropped by and by.
  void forget(model::Spi spi);
  [[nodiscard]] bool expects(model::Spi spi) const {
    return place_of(spi).load(std::memory_order_acquire) == spi.value();
  }

  /// Keeps a copy of `packet`, which starts with ESP's or AH's header and came with `input`. False when its SPI is not
  /// expected or there is no room.
  [[nodiscard]] virtual bool keep(model::Spi spi, const WireInput& input, ByteView packet, Instant now);

  struct Packet {
    model::Spi spi;
    WireInput input;  // its views are of the two below once `view` was called
    Bytes header;
    Bytes bytes;
    Instant since;
    [[nodiscard]] WireInput view();
  };
  /// What waits for this SPI, in order of arrival. It is not expected any more: its SA is there.
  [[nodiscard]] virtual std::vector<Packet> take(model::Spi spi);

  /// Drops what has waited too long, and says how much that was.
  [[nodiscard]] virtual std::size_t expire(Instant now);
  [[nodiscard]] virtual std::optional<Instant> next_expiry() const;

 protected:
  [[nodiscard]] bool empty() const { return count_.load(std::memory_order_acquire) == 0; }

 private:
  // A place for each of the SPIs handed out last, by slot: slots are handed out in turn.
  static constexpr std::size_t kPlaces = 1024;
  [[nodiscard]] std::atomic<std::uint32_t>& place_of(model::Spi spi) const {
    return expected_[layout_.slot_of(spi) % kPlaces];
  }

  const SpiLayout layout_;
  mutable std::array<std::atomic<std::uint32_t>, kPlaces> expected_{};
  std::atomic<std::size_t> count_{0};  // of `packets_`
  std::size_t octets_ = 0;
  std::deque<Packet> packets_;  // the oldest first
};

}  // namespace culvert::ipsec
