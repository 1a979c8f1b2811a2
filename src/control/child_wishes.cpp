#include "control/child_wishes.hpp"

#include <algorithm>

namespace culvert::control {
namespace {

// As long as the data plane keeps the packets.
constexpr Duration kWait = std::chrono::seconds(10);
// What nobody has asked for since is forgotten, its refusals too.
constexpr Duration kMemory = std::chrono::minutes(3);

bool carries(const model::TrafficSelectors& local, const model::TrafficSelectors& remote,
             const net::PacketInfo& packet) {
  const auto sends = [&](const model::TrafficSelector& one) {
    return one.matches(packet.source, packet.protocol, packet.ports_visible, packet.source_port);
  };
  const auto receives = [&](const model::TrafficSelector& one) {
    return one.matches_destination(packet.destination, packet.protocol, packet.ports_visible, packet.destination_port);
  };
  return std::ranges::any_of(local, sends) && std::ranges::any_of(remote, receives);
}

bool same(const ike::ChildWish& a, const ike::ChildWish& b) {
  // Of one rule's packets some may be refused and others not, by their addresses.
  return a.local == b.local && a.remote == b.remote && a.packet.source == b.packet.source &&
         a.packet.destination == b.packet.destination && a.packet.protocol == b.packet.protocol;
}

}  // namespace

std::optional<ike::ChildWish> wish_of(const ipsec::Acquire& acquire, const model::ConnectionConfig& config) {
  ike::ChildWish wish{model::narrow(acquire.local, config.local), model::narrow(acquire.remote, config.remote),
                      acquire.packet};
  if (!carries(wish.local, wish.remote, wish.packet)) return std::nullopt;
  return wish;
}

bool fulfils(const model::TrafficSelectors& local, const model::TrafficSelectors& remote, const ike::ChildWish& wish) {
  return carries(local, remote, wish.packet) && model::is_subset(local, wish.local) &&
         model::is_subset(remote, wish.remote);
}

void ChildWishes::note(const ike::ChildWish& wish, Instant now) {
  if (Entry* known = find(wish)) {
    known->noted = now;
    known->wish.packet = wish.packet;
    return;
  }
  make_room(now);
  if (entries_.size() < kMost) entries_.push_back({wish, now, {}});
}

void ChildWishes::make_room(Instant now) {
  std::erase_if(entries_,
                [&](const Entry& entry) { return now - entry.noted >= (entry.rest.refusals == 0 ? kWait : kMemory); });
  if (entries_.size() < kMost) return;
  // Rather one that was refused than one that may come about.
  const auto resting = std::ranges::find_if(entries_, [](const Entry& entry) { return entry.rest.refusals != 0; });
  if (resting != entries_.end()) entries_.erase(resting);
}

std::vector<ike::ChildWish> ChildWishes::due(Instant now) const {
  std::vector<ike::ChildWish> wishes;
  if (!all_.over(now)) return wishes;
  for (const Entry& entry : entries_) {
    if (now - entry.noted < kWait && entry.rest.over(now)) wishes.push_back(entry.wish);
  }
  return wishes;
}

void ChildWishes::fulfil(const model::TrafficSelectors& local, const model::TrafficSelectors& remote) {
  all_ = {};
  std::erase_if(entries_, [&](const Entry& entry) { return fulfils(local, remote, entry.wish); });
}

Duration ChildWishes::refuse(const ike::ChildWish& wish, bool whole, Instant now) {
  if (whole) return all_.begin(now);
  Entry* entry = find(wish);
  if (entry == nullptr) {
    note(wish, now);
    entry = find(wish);
  }
  return entry == nullptr ? all_.begin(now) : entry->rest.begin(now);
}

ChildWishes::Entry* ChildWishes::find(const ike::ChildWish& wish) {
  const auto found = std::ranges::find_if(entries_, [&](const Entry& entry) { return same(entry.wish, wish); });
  return found == entries_.end() ? nullptr : &*found;
}

}  // namespace culvert::control
