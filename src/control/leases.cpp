#include "control/leases.hpp"

#include <algorithm>
#include <ranges>

#include <fmt/format.h>

namespace culvert::control {
namespace {

using net::IpAddress;

std::size_t index(net::Family family) { return family == net::Family::v4 ? 0 : 1; }

bool holds(const config::PoolConfig& pool, const IpAddress& address) {
  return std::ranges::any_of(pool.ranges, [&](const net::AddressRange& range) { return range.contains(address); });
}

bool has_family(const config::PoolConfig& pool, net::Family family) {
  return std::ranges::any_of(pool.ranges, [&](const net::AddressRange& range) { return range.family() == family; });
}

bool contains(std::span<const model::IkeSaId> list, model::IkeSaId one) {
  return std::ranges::find(list, one) != list.end();
}

}  // namespace

std::vector<model::IkeSaId> Leases::Sessions::list() const {
  std::vector<model::IkeSaId> all;
  if (empty()) return all;
  all.push_back(first_);
  if (rest_) all.insert(all.end(), rest_->begin(), rest_->end());
  return all;
}

void Leases::Sessions::set(const std::vector<model::IkeSaId>& all) {
  first_ = all.empty() ? kNone : all.front();
  rest_.reset();
  if (all.size() > 1) rest_ = std::vector<model::IkeSaId>(all.begin() + 1, all.end());
}

void Leases::Sessions::add(model::IkeSaId session) {
  auto all = list();
  all.push_back(session);
  set(all);
}

void Leases::Sessions::remove(model::IkeSaId session) {
  auto all = list();
  std::erase(all, session);
  set(all);
}

void Leases::Sessions::replace(model::IkeSaId from, model::IkeSaId to) {
  auto all = list();
  std::ranges::replace(all, from, to);
  set(all);
}

void Leases::configure(const std::vector<config::PoolConfig>& pools) {
  pools_.clear();
  for (const config::PoolConfig& config : pools) {
    Pool& pool = pools_.emplace_back();
    pool.config = config;
    for (const auto& [identity, addresses] : config.fixed) {
      for (const IpAddress& address : addresses) pool.fixed.emplace(address, identity.comparable());
    }
    for (const net::AddressRange& range : config.ranges) pool.fresh.emplace_back(range.first);
  }
  std::vector<IpAddress> outside;
  for (const auto& [address, lease] : leases_) {
    Pool* pool = pool_of(address);
    if (!lease.sessions.empty()) continue;
    if (pool == nullptr) {
      outside.push_back(address);
    } else {
      pool->idle[index(address.family())].emplace(lease.order, address);
    }
  }
  // What was written down of them stays: the pool may come back.
  for (const IpAddress& address : outside) forget(address);
}

void Leases::restore(std::span<const LeaseRecord> records) {
  for (const LeaseRecord& record : records) {
    last_order_ = std::max(last_order_, record.order);
    Pool* pool = pool_of(record.address);
    if (pool == nullptr || leases_.contains(record.address)) continue;
    Entry& entry = *leases_.emplace(record.address, Lease{{}, record.order, {}}).first;
    give(entry, record.identity);
    pool->idle[index(record.address.family())].emplace(record.order, record.address);
  }
}

Result<std::vector<IpAddress>, std::string> Leases::grant(const Wanted& wanted) {
  std::vector<IpAddress> granted;
  bool has_pool = false;
  for (const model::AddressWish& wish : wanted.wishes) {
    has_pool |= std::ranges::any_of(pools_, [&](const Pool& pool) {
      return std::ranges::find(wanted.pools, pool.config.name) != wanted.pools.end() &&
             has_family(pool.config, wish.family);
    });
    const auto address = choose(wanted, wish);
    if (!address) continue;
    take(wanted, *address);
    granted.push_back(*address);
  }
  if (!granted.empty()) return granted;
  if (!wanted.assigned.empty()) {
    std::string text;
    for (const IpAddress& address : wanted.assigned) text += (text.empty() ? "" : " and ") + address.to_string();
    return err(
        fmt::format("the RADIUS server gives it {}, which is in no pool of the tunnel or in use, or of a family "
                    "that it does not ask for",
                    text));
  }
  if (wanted.wishes.empty()) return err(std::string("it asks for none"));
  if (!has_pool) return err(std::string("no pool has addresses of the family that it asks for"));
  return err(fmt::format("no address is left in the pool {}; give it more addresses, or end sessions",
                         fmt::join(wanted.pools, ", ")));
}

std::optional<IpAddress> Leases::choose(const Wanted& wanted, const model::AddressWish& wish) {
  std::vector<Pool*> pools;
  for (const std::string& name : wanted.pools) {
    const auto found = std::ranges::find(pools_, name, [](const Pool& pool) { return pool.config.name; });
    if (found != pools_.end() && has_family(found->config, wish.family)) pools.push_back(&*found);
  }
  if (pools.empty()) return std::nullopt;
  for (const IpAddress& address : wanted.assigned) {
    if (address.family() != wish.family) continue;
    const bool inside = std::ranges::any_of(pools, [&](const Pool* pool) { return holds(pool->config, address); });
    return inside ? assign(wanted, address) : std::nullopt;
  }
  const model::Identity identity = wanted.identity.comparable();
  for (const Pool* pool : pools) {
    const auto fixed = pool->config.fixed.find(identity);
    if (fixed == pool->config.fixed.end()) continue;
    for (const IpAddress& address : fixed->second) {
      if (address.family() == wish.family && is_free_for(wanted, address)) return address;
    }
  }
  // RFC 7296 3.15.1: what a client asks for by address is a suggestion.
  if (wish.address) {
    const auto inside = [&](const Pool* pool) {
      return holds(pool->config, *wish.address) && !pool->fixed.contains(*wish.address);
    };
    if (std::ranges::any_of(pools, inside) && is_free_for(wanted, *wish.address)) return wish.address;
  }
  if (const auto own = own_of(wanted, wish.family)) {
    if (std::ranges::any_of(pools, [&](const Pool* pool) { return holds(pool->config, *own); })) return own;
  }
  for (Pool* pool : pools) {
    if (pool->idle[index(wish.family)].size() >= kMostIdle) continue;
    if (const auto fresh = fresh_of(*pool, wish.family)) return fresh;
  }
  // Of another identity that has been away the longest.
  std::optional<std::pair<std::uint64_t, IpAddress>> oldest;
  for (const Pool* pool : pools) {
    const auto& idle = pool->idle[index(wish.family)];
    const auto first = std::ranges::find_if(idle, [&](const auto& one) { return !pool->fixed.contains(one.second); });
    if (first != idle.end() && (!oldest || *first < *oldest)) oldest = *first;
  }
  if (!oldest) return std::nullopt;
  forget(oldest->second);
  return oldest->second;
}

std::optional<IpAddress> Leases::assign(const Wanted& wanted, const IpAddress& address) {
  const auto lease = leases_.find(address);
  if (lease == leases_.end()) return address;
  const bool in_use = std::ranges::any_of(lease->second.sessions.list(),
                                          [&](model::IkeSaId session) { return !contains(wanted.ending, session); });
  if (in_use) return std::nullopt;
  // Sessions that end for this one are of the same identity; their lease goes on.
  if (lease->second.sessions.empty() && lease->second.identity != wanted.identity.comparable()) forget(address);
  return address;
}

std::optional<IpAddress> Leases::own_of(const Wanted& wanted, net::Family family) const {
  const auto [first, last] = by_identity_.equal_range(wanted.identity.comparable());
  const Entry* newest = nullptr;
  for (const Entry* entry : std::ranges::subrange(first, last)) {
    if (entry->first.family() != family || !is_free_for(wanted, entry->first)) continue;
    if (newest == nullptr || entry->second.order > newest->second.order) newest = entry;
  }
  return newest == nullptr ? std::nullopt : std::optional(newest->first);
}

std::optional<IpAddress> Leases::fresh_of(Pool& pool, net::Family family) const {
  for (std::size_t i = 0; i < pool.fresh.size(); ++i) {
    const net::AddressRange& range = pool.config.ranges[i];
    if (range.family() != family) continue;
    for (auto& next = pool.fresh[i]; next && range.contains(*next); next = next->next()) {
      if (!leases_.contains(*next) && !pool.fixed.contains(*next)) return next;
    }
  }
  return std::nullopt;
}

bool Leases::is_free_for(const Wanted& wanted, const IpAddress& address) const {
  const Pool* pool = pool_of(address);
  if (pool == nullptr) return false;
  const model::Identity identity = wanted.identity.comparable();
  if (const auto fixed = pool->fixed.find(address); fixed != pool->fixed.end() && fixed->second != identity)
    return false;
  const auto lease = leases_.find(address);
  if (lease == leases_.end()) return true;
  const bool in_use = std::ranges::any_of(lease->second.sessions.list(),
                                          [&](model::IkeSaId session) { return !contains(wanted.ending, session); });
  if (in_use) return false;
  // One that was given before it was fixed for this identity, and is out of use.
  if (pool->fixed.contains(address)) return lease->second.sessions.empty() || lease->second.identity == identity;
  return lease->second.identity == identity;
}

void Leases::take(const Wanted& wanted, const IpAddress& address) {
  const model::Identity identity = wanted.identity.comparable();
  const auto found = leases_.find(address);
  if (found != leases_.end() && found->second.identity != identity) forget(address);
  Entry& entry = *leases_.try_emplace(address).first;
  Lease& lease = entry.second;
  pool_of(address)->idle[index(address.family())].erase({lease.order, address});
  give(entry, identity);
  lease.order = ++last_order_;
  lease.sessions.add(wanted.session);
  by_session_.insert({wanted.session, last_order_, &entry});
  note(address);
}

void Leases::give(Entry& entry, model::Identity identity) {
  by_identity_.erase(&entry);
  entry.second.identity = std::move(identity);
  by_identity_.insert(&entry);
}

void Leases::forget(const IpAddress& address) {
  const auto lease = leases_.find(address);
  if (Pool* pool = pool_of(address)) pool->idle[index(address.family())].erase({lease->second.order, address});
  for (const model::IkeSaId session : lease->second.sessions.list()) stands_no_more(session, *lease);
  by_identity_.erase(&*lease);
  leases_.erase(lease);
  changed_.erase(address);
}

void Leases::move(model::IkeSaId from, model::IkeSaId to) {
  if (from == to) return;
  for (auto stands = by_session_.find(from); stands != by_session_.end(); stands = by_session_.find(from)) {
    Stands moved = *stands;
    by_session_.erase(stands);
    leases_.at(moved.entry->first).sessions.replace(from, to);
    moved.session = to;
    by_session_.insert(moved);
  }
}

void Leases::release(model::IkeSaId session) {
  for (const IpAddress& address : of_session(session)) {
    stands_no_more(session, *leases_.find(address));
    leave(session, address);
  }
}

void Leases::stands_no_more(model::IkeSaId session, const Entry& entry) {
  const auto [first, last] = by_session_.equal_range(session);
  const auto found = std::find_if(first, last, [&](const Stands& one) { return one.entry == &entry; });
  if (found != last) by_session_.erase(found);
}

void Leases::leave(model::IkeSaId session, const IpAddress& address) {
  Lease& lease = leases_.at(address);
  lease.sessions.remove(session);
  if (!lease.sessions.empty()) return;
  Pool* pool = pool_of(address);
  if (pool == nullptr) return forget(address);
  lease.order = ++last_order_;
  pool->idle[index(address.family())].emplace(lease.order, address);
  note(address);
}

std::vector<IpAddress> Leases::of_session(model::IkeSaId session) const {
  std::vector<IpAddress> addresses;
  const auto [first, last] = by_session_.equal_range(session);
  for (const Stands& one : std::ranges::subrange(first, last)) addresses.push_back(one.entry->first);
  return addresses;
}

std::vector<LeaseView> Leases::views(std::uint64_t from, std::size_t most) const {
  std::vector<LeaseView> views;
  // Counts that fit the ranges' signed ones.
  const std::uint64_t all = leases_.size();
  for (const auto& [address, lease] :
       leases_ | std::views::drop(std::min(from, all)) | std::views::take(std::min<std::uint64_t>(most, all))) {
    const Pool* pool = pool_of(address);
    views.push_back({pool == nullptr ? std::string() : pool->config.name,
                     {address, lease.identity, lease.order},
                     lease.sessions.list()});
  }
  return views;
}

std::vector<LeaseRecord> Leases::take_changes() {
  std::vector<LeaseRecord> records;
  for (const IpAddress& address : std::exchange(changed_, {})) {
    const Lease& lease = leases_.at(address);
    records.push_back({address, lease.identity, lease.order});
  }
  return records;
}

Leases::Pool* Leases::pool_of(const IpAddress& address) {
  const auto found = std::ranges::find_if(pools_, [&](const Pool& pool) { return holds(pool.config, address); });
  return found == pools_.end() ? nullptr : &*found;
}

const Leases::Pool* Leases::pool_of(const IpAddress& address) const {
  const auto found = std::ranges::find_if(pools_, [&](const Pool& pool) { return holds(pool.config, address); });
  return found == pools_.end() ? nullptr : &*found;
}

}  // namespace culvert::control
