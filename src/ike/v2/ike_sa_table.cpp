#include "ike/v2/ike_sa_table.hpp"

#include <algorithm>
#include <cstring>
#include <functional>

#include "base/check.hpp"

namespace culvert::ike::v2 {

// ---------------------------------------------------------------- by a number

std::uint64_t IkeSaTable::key_of(const InitDigest& digest) {
  std::uint64_t key = 0;
  std::memcpy(&key, digest.data(), sizeof key);
  return key;
}

void IkeSaTable::put(FlatTable<Place, KeyOf>& table, std::uint64_t key, IkeSa* sa) {
  if (Place* const known = table.find(key)) {
    known->sa = sa;
  } else {
    table.insert({key, sa});
  }
}

IkeSa& IkeSaTable::add(model::IkeSaId id) {
  CHECK(find(id) == nullptr);
  auto made = std::make_unique<IkeSa>();
  made->id = id;
  return *sas_.insert(std::move(made));
}

void IkeSaTable::index_spi(IkeSa& sa) { put(by_spi_, sa.local_spi().value(), &sa); }

void IkeSaTable::index_init(IkeSa& sa) { by_init_.insert(&sa); }

IkeSa* IkeSaTable::find(model::IkeSaId id) {
  const auto* const found = sas_.find(id.value());
  return found == nullptr ? nullptr : found->get();
}

IkeSa* IkeSaTable::find_by_spi(model::IkeSpi local) {
  const Place* const found = by_spi_.find(local.value());
  return found == nullptr ? nullptr : found->sa;
}

IkeSa* IkeSaTable::find_by_init(const InitDigest& digest) {
  IkeSa* const* const found = by_init_.find(key_of(digest), [&](const IkeSa* sa) { return sa->init_digest == digest; });
  return found == nullptr ? nullptr : *found;
}

IkeSa* IkeSaTable::find_by_child(model::ChildSaId child) {
  const Place* const found = by_child_.find(child.value());
  return found == nullptr ? nullptr : found->sa;
}

void IkeSaTable::forget_child(model::ChildSaId child) {
  if (Place* const found = by_child_.find(child.value())) (void)by_child_.erase(found);
}

// ---------------------------------------------------------------- by what several have in common

namespace {

void sort(std::vector<IkeSa*>& sas) { std::ranges::sort(sas, {}, &IkeSa::id); }

}  // namespace

IkeSaTable::WhoOfWhat IkeSaTable::ByIdentity::of(const IkeSa& sa) { return {*sa.noted_connection, peer_identity(sa)}; }

std::strong_ordering IkeSaTable::ByIdentity::order(const IkeSa& a, const WhoOfWhat& b) {
  if (const auto order = *a.noted_connection <=> b.first; order != 0) return order;
  return a.admission.eap_identity().empty() ? a.remote_id <=> b.second : peer_identity(a) <=> b.second;
}

template <Links IkeSa::* kLinks>
void IkeSaTable::push(IkeSa*& first, IkeSa& sa) {
  sa.*kLinks = {.before = nullptr, .behind = first};
  if (first != nullptr) (first->*kLinks).before = &sa;
  first = &sa;
}

template <Links IkeSa::* kLinks>
void IkeSaTable::take_out(IkeSa*& first, IkeSa& sa) {
  const Links links = std::exchange(sa.*kLinks, {});
  if (links.behind != nullptr) (links.behind->*kLinks).before = links.before;
  if (links.before != nullptr) {
    (links.before->*kLinks).behind = links.behind;
  } else {
    first = links.behind;
  }
}

template <Links IkeSa::* kLinks, typename Heads>
void IkeSaTable::push(Heads& heads, IkeSa& sa) {
  const auto [head, alone] = heads.insert(&sa);
  if (alone) return;
  // Behind the head, which keeps its place.
  IkeSa* behind = ((*head)->*kLinks).behind;
  push<kLinks>(behind, sa);
  (sa.*kLinks).before = *head;
  ((*head)->*kLinks).behind = &sa;
}

template <Links IkeSa::* kLinks, typename Heads>
void IkeSaTable::take_out(Heads& heads, IkeSa& sa) {
  IkeSa* first = &sa;
  const bool is_head = (sa.*kLinks).before == nullptr;
  const std::size_t heads_gone = is_head ? heads.erase(&sa) : 1;
  CHECK(heads_gone == 1);
  take_out<kLinks>(first, sa);
  if (is_head && first != nullptr) heads.insert(first);
}

template <Links IkeSa::* kLinks>
std::vector<IkeSa*> IkeSaTable::living(IkeSa* first) {
  std::vector<IkeSa*> found;
  for (IkeSa* sa = first; sa != nullptr; sa = (sa->*kLinks).behind) {
    if (sa->phase != Phase::gone) found.push_back(sa);
  }
  sort(found);
  return found;
}

std::vector<IkeSa*> IkeSaTable::all() {
  std::vector<IkeSa*> found;
  sas_.for_each([&](const std::unique_ptr<IkeSa>& sa) {
    if (sa->phase != Phase::gone) found.push_back(sa.get());
  });
  sort(found);
  return found;
}

std::vector<IkeSa*> IkeSaTable::of_connection(model::ConnectionId connection) {
  const auto found = by_connection_.find(connection);
  return found == by_connection_.end() ? std::vector<IkeSa*>() : living<&IkeSa::of_connection>(found->second.first);
}

std::vector<IkeSa*> IkeSaTable::of_guest(model::ConnectionId connection) {
  std::vector<IkeSa*> all;
  const auto found = by_guest_.find(connection);
  if (found == by_guest_.end()) return all;
  for (const model::IkeSaId id : found->second) {
    if (IkeSa* sa = find(id); sa->phase != Phase::gone) all.push_back(sa);
  }
  return all;
}

void IkeSaTable::forget_guest(model::ConnectionId connection, model::IkeSaId id) {
  const auto found = by_guest_.find(connection);
  if (found == by_guest_.end()) return;
  found->second.erase(id);
  if (found->second.empty()) by_guest_.erase(found);
}

std::size_t IkeSaTable::established_of(model::ConnectionId connection) const {
  const auto found = by_connection_.find(connection);
  if (found == by_connection_.end()) return 0;
  // Whose half-open ones are is not known for sure: at the worst there are fewer than one would think.
  return found->second.count - std::min(found->second.count, half_open_.size());
}

std::vector<IkeSa*> IkeSaTable::of_peer(const net::IpAddress& address) {
  const auto found = by_peer_.find(address);
  return found == by_peer_.end() ? std::vector<IkeSa*>() : living<&IkeSa::of_peer>(*found);
}

std::vector<IkeSa*> IkeSaTable::of_peer(model::ConnectionId connection, const model::Identity& identity) {
  const auto found = by_identity_.find(WhoOfWhat(connection, identity));
  return found == by_identity_.end() ? std::vector<IkeSa*>() : living<&IkeSa::of_identity>(*found);
}

void IkeSaTable::note_identity(IkeSa& sa, bool present) {
  if (sa.noted_identity == present) return;
  sa.noted_identity = present;
  if (present) {
    push<&IkeSa::of_identity>(by_identity_, sa);
  } else {
    take_out<&IkeSa::of_identity>(by_identity_, sa);
  }
}

void IkeSaTable::note(IkeSa& sa) {
  if (sa.noted_connection != sa.connection) {
    note_identity(sa, false);
    forget_connection(sa);
    sa.noted_connection = sa.connection;
    if (sa.connection) {
      Chain& chain = by_connection_[*sa.connection];
      push<&IkeSa::of_connection>(chain.first, sa);
      ++chain.count;
    }
  }
  if (sa.noted_peer != sa.path.remote.address) {
    forget_peer(sa);
    sa.noted_peer = sa.path.remote.address;
    push<&IkeSa::of_peer>(by_peer_, sa);
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

void IkeSaTable::forget_connection(IkeSa& sa) {
  if (!sa.noted_connection) return;
  const auto found = by_connection_.find(*sa.noted_connection);
  take_out<&IkeSa::of_connection>(found->second.first, sa);
  if (--found->second.count == 0) by_connection_.erase(found);
}

void IkeSaTable::forget_peer(IkeSa& sa) {
  if (sa.noted_peer) take_out<&IkeSa::of_peer>(by_peer_, sa);
}

// ---------------------------------------------------------------- timers

void IkeSaTable::enqueue(IkeSa& sa, Instant at) {
  sa.timer = at;
  timers_.push_back({at, sa.id});
  std::ranges::push_heap(timers_, std::greater());
  // Entries that nothing stands behind any more wait for their instant, which may be hours away.
  constexpr std::size_t kFew = 64;
  if (timers_.size() > kFew + 2 * sas_.size()) rebuild_timers();
}

void IkeSaTable::rebuild_timers() {
  timers_.clear();
  sas_.for_each([&](const std::unique_ptr<IkeSa>& sa) {
    sa->timer = sa->scheduled;
    if (sa->scheduled) timers_.push_back({*sa->scheduled, sa->id});
  });
  std::ranges::make_heap(timers_, std::greater());
}

void IkeSaTable::schedule(IkeSa& sa, std::optional<Instant> at) {
  sa.scheduled = at;
  if (at && (!sa.timer || *at < *sa.timer)) enqueue(sa, *at);
  settle_timers();
}

void IkeSaTable::settle_timers() {
  while (!timers_.empty()) {
    const Timer first = timers_.front();
    IkeSa* const sa = find(first.id);
    const bool stands = sa != nullptr && sa->timer && *sa->timer == first.at;
    if (stands && sa->scheduled && *sa->scheduled == first.at) return;
    std::ranges::pop_heap(timers_, std::greater());
    timers_.pop_back();
    if (!stands) continue;
    sa->timer.reset();
    if (sa->scheduled) enqueue(*sa, *sa->scheduled);
  }
}

std::optional<Instant> IkeSaTable::next_timeout() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.front().at;
}

std::optional<model::IkeSaId> IkeSaTable::due(Instant now) const {
  if (timers_.empty() || timers_.front().at > now) return std::nullopt;
  return timers_.front().id;
}

void IkeSaTable::erase(model::IkeSaId id) {
  IkeSa* sa = find(id);
  if (sa == nullptr) return;
  half_open_.remove(id);
  note_identity(*sa, false);
  forget_connection(*sa);
  forget_peer(*sa);
  if (Place* const place = by_spi_.find(sa->local_spi().value()); place != nullptr && place->sa == sa)
    (void)by_spi_.erase(place);
  if (sa->guests) {
    for (const model::ConnectionId guest : sa->guests->all) forget_guest(guest, id);
  }
  if (sa->init_digest != InitDigest{}) {
    if (IkeSa** const known = by_init_.find(key_of(sa->init_digest), [&](const IkeSa* one) { return one == sa; }))
      (void)by_init_.erase(known);
  }
  for (const auto& [child_id, child] : sa->children) forget_child(child_id);
  (void)sas_.erase(sas_.find(id.value()));
  settle_timers();
}

}  // namespace culvert::ike::v2
