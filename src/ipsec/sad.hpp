// Sad: the Security Association Database (RFC 4301 4.4.2). Inbound SAs are found by the slot in their SPI, outbound
// ones by connection and selectors. SPIs that someone else chose (manual keys) may want a slot that is taken: those few
// stand in a map beside, which is looked at only when the slot holds another SPI.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/flat_table.hpp"
#include "base/large_memory.hpp"
#include "base/prefetch.hpp"
#include "ipsec/sa.hpp"
#include "ipsec/sa_index.hpp"
#include "ipsec/spi_allocator.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

class Sad {
 public:
  /// `seed` is secret: peers choose outbound SPIs.
  explicit Sad(const SpiLayout& layout, std::uint64_t seed = 0) : layout_(layout), by_outbound_spi_(seed) {}

  /// Takes a pair in. `no_free_spi` when its inbound SPI is reserved or in use or it comes twice; then nothing has
  /// changed.
  [[nodiscard]] Result<void, DataPlaneError> install(std::unique_ptr<SaPair> pair);
  /// The pair with this id, also while it lingers; null when there is none.
  [[nodiscard]] SaPair* find(model::ChildSaId child) const;
  /// The pair that a received SPI names, or null. One array access.
  [[nodiscard]] SaPair* find_inbound(std::uint32_t spi) const { return find_inbound(spi, slots()); }

 private:
  struct Slot {
    std::uint32_t spi = 0;
    SaPair* pair = nullptr;
  };

 public:
  /// For many SPIs in a row: where the array is, in registers. Good until a pair is installed.
  struct Slots {
    const Slot* first;
    std::uint32_t count;
    std::uint32_t mask;
    /// Asks for the memory that `find_inbound` reads.
    void prefetch(std::uint32_t spi) const {
      // Beyond the array it does no harm, so this counts in numbers.
      // NOLINTNEXTLINE(performance-no-int-to-ptr)
      culvert::prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(first) +
                                                      sizeof(Slot) * std::size_t{spi & mask}));
    }
  };
  [[nodiscard]] Slots slots() const {
    return {by_slot_.data(), static_cast<std::uint32_t>(by_slot_.size()), layout_.capacity() - 1};
  }
  [[nodiscard]] SaPair* find_inbound(std::uint32_t spi, const Slots& slots) const {
    const std::uint32_t slot = spi & slots.mask;
    if (slot < slots.count && slots.first[slot].spi == spi) [[likely]]
      return slots.first[slot].pair;
    return find_beside(spi);
  }
  /// The newest pair of the connection that may send this packet. A held one only when there is no other: its
  /// predecessor is gone, so waiting longer would only stop the traffic. With `within` only pairs whose selectors lie
  /// within these, with `peers` only pairs that it admits.
  [[nodiscard]] SaPair* find_outbound(model::ConnectionId connection, const net::PacketInfo& packet,
                                      const SaSelectors* within = nullptr, const NatPeerFilter* peers = nullptr) const;

  /// The pair that sends to `peer` under this SPI, or null: what an error about one of our packets is about.
  [[nodiscard]] SaPair* find_by_outbound_spi(std::uint32_t spi, const net::IpAddress& peer) const;

  /// Stops sending at once; receiving ends at `ends_at`. An unknown id changes nothing.
  void retire(model::ChildSaId child, Instant ends_at);
  /// Destroys retired pairs whose time has come; their inbound SPIs are added to `released`.
  void expire(Instant now, std::vector<model::Spi>& released);
  [[nodiscard]] std::optional<Instant> next_expiry() const;

  /// Every pair that stands, lingering ones included, by id.
  [[nodiscard]] std::vector<SaPair*> all() const;

 private:
  struct IdOf {
    std::uint64_t operator()(const std::unique_ptr<SaPair>& pair) const { return pair->params.id.value(); }
  };
  struct ConnectionOf {
    std::uint64_t operator()(const SaIndex& index) const { return index.any().params.connection.value(); }
  };
  struct OutboundSpiOf {
    std::uint64_t operator()(const SaPair* pair) const { return pair->outbound.spi; }
  };
  [[nodiscard]] SaPair* find_beside(std::uint32_t spi) const;
  void destroy(model::ChildSaId child);

  SpiLayout layout_;
  std::vector<Slot, LargeAllocator<Slot>> by_slot_;
  std::unordered_map<std::uint32_t, SaPair*> beside_;  // by SPI: those whose slot was not to be had
  FlatTable<std::unique_ptr<SaPair>, IdOf> pairs_;
  FlatTable<SaIndex, ConnectionOf> by_connection_;
  FlatTable<SaPair*, OutboundSpiOf> by_outbound_spi_;
  std::uint64_t next_order_ = 0;
  std::set<std::pair<Instant, model::ChildSaId>> retired_;
};

}  // namespace culvert::ipsec
