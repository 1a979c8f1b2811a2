#include "ike/v2/ike_sa_table.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"

namespace culvert::ike::v2 {
namespace {

template <typename Index, typename Key>
IkeSa* look_up(IkeSaTable& table, const Index& index, const Key& key) {
  const auto found = index.find(key);
  return found == index.end() ? nullptr : table.find(found->second);
}

template <typename Index, typename Key>
void take_out(Index& index, const Key& key, model::IkeSaId id) {
  const auto found = index.find(key);
  if (found == index.end()) return;
  found->second.erase(id);
  if (found->second.empty()) index.erase(found);
}

}  // namespace

std::size_t IkeSaTable::DigestHash::operator()(const InitDigest& digest) const {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

IkeSa& IkeSaTable::add(model::IkeSaId id) {
  auto [place, inserted] = sas_.emplace(id, std::make_unique<IkeSa>());
  CHECK(inserted);
  place->second->id = id;
  return *place->second;
}

void IkeSaTable::index_spi(const IkeSa& sa) { by_spi_.insert_or_assign(sa.local_spi(), sa.id); }

void IkeSaTable::index_init(const IkeSa& sa) { by_init_.insert_or_assign(sa.init_digest, sa.id); }

IkeSa* IkeSaTable::find(model::IkeSaId id) {
  const auto found = sas_.find(id);
  return found == sas_.end() ? nullptr : found->second.get();
}

IkeSa* IkeSaTable::find_by_spi(model::IkeSpi local) { return look_up(*this, by_spi_, local); }
IkeSa* IkeSaTable::find_by_init(const InitDigest& digest) { return look_up(*this, by_init_, digest); }
IkeSa* IkeSaTable::find_by_child(model::ChildSaId child) { return look_up(*this, by_child_, child); }

std::vector<IkeSa*> IkeSaTable::all() {
  std::vector<IkeSa*> found;
  for (const auto& [id, sa] : sas_) {
    if (sa->phase != Phase::gone) found.push_back(sa.get());
  }
  std::ranges::sort(found, {}, &IkeSa::id);
  return found;
}

std::vector<IkeSa*> IkeSaTable::living(const Ids& ids) {
  std::vector<IkeSa*> found;
  for (const model::IkeSaId id : ids) {
    IkeSa* sa = find(id);
    if (sa->phase != Phase::gone) found.push_back(sa);
  }
  return found;
}

std::vector<IkeSa*> IkeSaTable::of_connection(model::ConnectionId connection) {
  const auto found = by_connection_.find(connection);
  return found == by_connection_.end() ? std::vector<IkeSa*>() : living(found->second);
}

std::vector<IkeSa*> IkeSaTable::of_guest(model::ConnectionId connection) {
  const auto found = by_guest_.find(connection);
  return found == by_guest_.end() ? std::vector<IkeSa*>() : living(found->second);
}

void IkeSaTable::forget_guest(model::ConnectionId connection, model::IkeSaId id) {
  take_out(by_guest_, connection, id);
}

std::size_t IkeSaTable::established_of(model::ConnectionId connection) const {
  const auto found = by_connection_.find(connection);
  if (found == by_connection_.end()) return 0;
  // Whose half-open ones are is not known for sure: at the worst there are fewer than one would think.
  return found->second.size() - std::min(found->second.size(), half_open_.size());
}

std::vector<IkeSa*> IkeSaTable::of_peer(const net::IpAddress& address) {
  const auto found = by_peer_.find(address);
  return found == by_peer_.end() ? std::vector<IkeSa*>() : living(found->second);
}

std::vector<IkeSa*> IkeSaTable::of_peer(model::ConnectionId connection, const model::Identity& identity) {
  const auto found = by_identity_.find({connection, identity});
  return found == by_identity_.end() ? std::vector<IkeSa*>() : living(found->second);
}

void IkeSaTable::note_identity(IkeSa& sa, bool present) {
  if (sa.noted_identity == present) return;
  sa.noted_identity = present;
  const std::pair key{*sa.connection, peer_identity(sa)};
  if (present) {
    by_identity_[key].insert(sa.id);
  } else {
    take_out(by_identity_, key, sa.id);
  }
}

void IkeSaTable::note(IkeSa& sa) {
  if (sa.noted_connection != sa.connection) {
    forget_connection(sa);
    sa.noted_connection = sa.connection;
    if (sa.connection) by_connection_[*sa.connection].insert(sa.id);
  }
  if (sa.noted_peer != sa.path.remote.address) {
    forget_peer(sa);
    sa.noted_peer = sa.path.remote.address;
    by_peer_[*sa.noted_peer].insert(sa.id);
  }
  note_identity(sa, sa.one_of_many && sa.phase == Phase::established);
  // A failed attempt counts until its answer is forgotten: it cost a key exchange and may be one of many.
  const bool failed = sa.phase == Phase::defunct && !sa.authenticated && sa.role == model::Role::responder;
  if (sa.phase == Phase::half_open || failed) {
    half_open_.put(sa.id, sa.path.remote.address);
  } else {
    half_open_.remove(sa.id);
  }
}

void IkeSaTable::forget_connection(const IkeSa& sa) {
  if (sa.noted_connection) take_out(by_connection_, *sa.noted_connection, sa.id);
}

void IkeSaTable::forget_peer(const IkeSa& sa) {
  if (sa.noted_peer) take_out(by_peer_, *sa.noted_peer, sa.id);
}

void IkeSaTable::schedule(IkeSa& sa, std::optional<Instant> at) {
  if (std::optional<Instant>(sa.scheduled) == at) return;
  if (sa.scheduled) timers_.erase({*sa.scheduled, sa.id});
  if (at) timers_.insert({*at, sa.id});
  sa.scheduled = at;
}

std::optional<Instant> IkeSaTable::next_timeout() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first;
}

std::optional<model::IkeSaId> IkeSaTable::due(Instant now) const {
  if (timers_.empty() || timers_.begin()->first > now) return std::nullopt;
  return timers_.begin()->second;
}

void IkeSaTable::erase(model::IkeSaId id) {
  IkeSa* sa = find(id);
  if (sa == nullptr) return;
  schedule(*sa, std::nullopt);
  half_open_.remove(id);
  forget_connection(*sa);
  forget_peer(*sa);
  note_identity(*sa, false);
  if (const auto found = by_spi_.find(sa->local_spi()); found != by_spi_.end() && found->second == id)
    by_spi_.erase(found);
  if (sa->guests) {
    for (const model::ConnectionId guest : sa->guests->all) forget_guest(guest, id);
  }
  if (sa->init_digest != InitDigest{}) by_init_.erase(sa->init_digest);
  for (const auto& [child_id, child] : sa->children) by_child_.erase(child_id);
  sas_.erase(id);
}

}  // namespace culvert::ike::v2
