#include "ipsec/sad.hpp"

#include <algorithm>

namespace culvert::ipsec {

namespace {

// How far beyond the last slot in use a new one may lie. Allocated SPIs fill the slots from the first on; a given one
// may name any, and must not make the table long.
constexpr std::size_t kSlotGap = 1024;

}  // namespace

Result<void, DataPlaneError> Sad::install(std::unique_ptr<SaPair> pair) {
  const std::uint32_t spi = pair->params.spi_inbound.value();
  const std::uint32_t slot = layout_.slot_of(pair->params.spi_inbound);
  const model::ChildSaId id = pair->params.id;
  if (spi <= 255 || find(id) != nullptr || find_inbound(spi) != nullptr) return err(DataPlaneError::no_free_spi);
  const bool taken = slot < by_slot_.size() && by_slot_[slot].pair != nullptr;
  if (taken || slot >= by_slot_.size() + kSlotGap) {
    beside_.emplace(spi, pair.get());
  } else {
    if (slot >= by_slot_.size()) by_slot_.resize(slot + 1);
    by_slot_[slot] = {spi, pair.get()};
  }
  pair->order = next_order_++;
  if (SaIndex* const index = by_connection_.find(pair->params.connection.value())) {
    index->add(pair.get());
  } else {
    SaIndex first;
    first.add(pair.get());
    by_connection_.insert(std::move(first));
  }
  by_outbound_spi_.insert(pair.get());
  pairs_.insert(std::move(pair));
  return {};
}

SaPair* Sad::find(model::ChildSaId child) const {
  const auto* const found = pairs_.find(child.value());
  return found == nullptr ? nullptr : found->get();
}

SaPair* Sad::find_beside(std::uint32_t spi) const {
  const auto found = beside_.find(spi);
  return found == beside_.end() ? nullptr : found->second;
}

SaPair* Sad::find_outbound(model::ConnectionId connection, const net::PacketInfo& packet, const SaSelectors* within,
                           const NatPeerFilter* peers) const {
  const SaIndex* const found = by_connection_.find(connection.value());
  return found == nullptr ? nullptr : found->find(packet, within, peers);
}

SaPair* Sad::find_by_outbound_spi(std::uint32_t spi, const net::IpAddress& peer) const {
  // The peers chose these SPIs, each for itself, so two may be the same.
  SaPair* const* const found =
      by_outbound_spi_.find(spi, [&peer](const SaPair* pair) { return pair->params.path.remote.address == peer; });
  return found == nullptr ? nullptr : *found;
}

void Sad::retire(model::ChildSaId child, Instant ends_at) {
  SaPair* const pair = find(child);
  if (pair == nullptr) return;
  if (pair->ends_at) retired_.erase({*pair->ends_at, child});
  pair->ends_at = ends_at;
  retired_.emplace(ends_at, child);
}

void Sad::expire(Instant now, std::vector<model::Spi>& released) {
  while (!retired_.empty() && retired_.begin()->first <= now) {
    const model::ChildSaId child = retired_.begin()->second;
    retired_.erase(retired_.begin());
    released.push_back(find(child)->params.spi_inbound);
    destroy(child);
  }
}

std::optional<Instant> Sad::next_expiry() const {
  if (retired_.empty()) return std::nullopt;
  return retired_.begin()->first;
}

std::vector<SaPair*> Sad::all() const {
  std::vector<SaPair*> pairs;
  pairs.reserve(pairs_.size());
  pairs_.for_each([&pairs](const std::unique_ptr<SaPair>& pair) { pairs.push_back(pair.get()); });
  // Hash order would differ from run to run of the library; the ids do not.
  std::sort(pairs.begin(), pairs.end(), [](const SaPair* a, const SaPair* b) { return a->params.id < b->params.id; });
  return pairs;
}

void Sad::destroy(model::ChildSaId child) {
  const std::unique_ptr<SaPair> pair = pairs_.erase(pairs_.find(child.value()));
  if (beside_.erase(pair->params.spi_inbound.value()) == 0) by_slot_[layout_.slot_of(pair->params.spi_inbound)] = {};
  // The table knows a connection by its pairs, so the last one is looked up before it goes.
  SaIndex* const index = by_connection_.find(pair->params.connection.value());
  if (index->has_one()) {
    (void)by_connection_.erase(index);
  } else {
    index->remove(pair.get());
  }
  (void)by_outbound_spi_.erase(
      by_outbound_spi_.find(pair->outbound.spi, [&pair](const SaPair* other) { return other == pair.get(); }));
}

}  // namespace culvert::ipsec
