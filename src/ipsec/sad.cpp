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
  if (spi <= 255 || pairs_.contains(id) || find_inbound(spi) != nullptr) return err(DataPlaneError::no_free_spi);
  const bool taken = slot < by_slot_.size() && by_slot_[slot].pair != nullptr;
  if (taken || slot >= by_slot_.size() + kSlotGap) {
    beside_.emplace(spi, pair.get());
  } else {
    if (slot >= by_slot_.size()) by_slot_.resize(slot + 1);
    by_slot_[slot] = {spi, pair.get()};
  }
  by_connection_[pair->params.connection].add(pair.get());
  by_outbound_spi_.emplace(pair->outbound.spi, pair.get());
  pairs_.emplace(id, std::move(pair));
  return {};
}

SaPair* Sad::find(model::ChildSaId child) const {
  const auto found = pairs_.find(child);
  return found == pairs_.end() ? nullptr : found->second.get();
}

SaPair* Sad::find_beside(std::uint32_t spi) const {
  const auto found = beside_.find(spi);
  return found == beside_.end() ? nullptr : found->second;
}

SaPair* Sad::find_outbound(model::ConnectionId connection, const net::PacketInfo& packet) const {
  const auto found = by_connection_.find(connection);
  return found == by_connection_.end() ? nullptr : found->second.find(packet);
}

SaPair* Sad::find_by_outbound_spi(std::uint32_t spi, const net::IpAddress& peer) const {
  // The peers chose these SPIs, each for itself, so two may be the same.
  const auto [first, last] = by_outbound_spi_.equal_range(spi);
  for (auto entry = first; entry != last; ++entry) {
    if (entry->second->params.path.remote.address == peer) return entry->second;
  }
  return nullptr;
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
  for (const auto& [id, pair] : pairs_) pairs.push_back(pair.get());
  // Hash order would differ from run to run of the library; the ids do not.
  std::sort(pairs.begin(), pairs.end(), [](const SaPair* a, const SaPair* b) { return a->params.id < b->params.id; });
  return pairs;
}

void Sad::destroy(model::ChildSaId child) {
  const auto found = pairs_.find(child);
  SaPair* const pair = found->second.get();
  if (beside_.erase(pair->params.spi_inbound.value()) == 0) by_slot_[layout_.slot_of(pair->params.spi_inbound)] = {};
  const auto connection = by_connection_.find(pair->params.connection);
  connection->second.remove(pair);
  if (connection->second.empty()) by_connection_.erase(connection);
  const auto [first, last] = by_outbound_spi_.equal_range(pair->outbound.spi);
  by_outbound_spi_.erase(std::find_if(first, last, [pair](const auto& entry) { return entry.second == pair; }));
  pairs_.erase(found);
}

}  // namespace culvert::ipsec
