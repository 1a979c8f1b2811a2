#include "ipsec/fragment_tracker.hpp"

#include <algorithm>
#include <cstring>

#include "base/random.hpp"

namespace culvert::ipsec {

FragmentKey FragmentKey::of(const net::PacketInfo& info, const FragmentFields& fields, std::uint64_t scope) {
  FragmentKey key;
  std::memcpy(key.words.data(), info.source.bytes().data(), info.source.size());
  std::memcpy(key.words.data() + 2, info.destination.bytes().data(), info.destination.size());
  const bool v4 = info.family == net::Family::v4;
  key.words[4] = fields.identification | (v4 ? std::uint64_t{1} << 63 | std::uint64_t{fields.protocol} << 32 : 0);
  key.words[5] = scope;
  return key;
}

FragmentTracker::FragmentTracker(const FragmentBounds& bounds, std::uint64_t seed) : bounds_(bounds), sets_(1) {
  while (sets_ * kWays < bounds.packets) sets_ *= 2;
  SeededRandom expander(seed);
  for (std::uint64_t& multiplier : multipliers_) multiplier = expander.u64() | 1;
}

FragmentTracker::Verdict FragmentTracker::see(const FragmentKey& key, const FragmentFields& fields,
                                              net::PacketInfo& info, Instant now) {
  if (rewrites_transport_header(fields)) return Verdict::overlap;
  Entry* entry = find(key, now);
  if (entry != nullptr && entry->poisoned) return Verdict::overlap;
  if (fields.offset != 0) {
    if (entry == nullptr) return Verdict::early;
    const Verdict verdict = add(*entry, fields);
    show_ports(*entry, info);
    return verdict;
  }
  if (entry != nullptr) {
    // A new packet under an old identification is fine once the old one has passed whole.
    if (!entry->ranges.complete()) {
      if (same_flow(*entry, info)) return add(*entry, fields);
      entry->poisoned = true;
      return Verdict::overlap;
    }
  } else {
    entry = &make_room(key);
  }
  *entry = {.key = key,
            .ranges = {},
            .expires = now + bounds_.age,
            .source_port = info.source_port,
            .destination_port = info.destination_port,
            .protocol = info.protocol,
            .ports_visible = info.ports_visible};
  return add(*entry, fields);
}

FragmentTracker::Verdict FragmentTracker::recall(const FragmentKey& key, net::PacketInfo& info, Instant now) {
  if (!info.is_later_fragment) return Verdict::known;
  const Entry* const entry = find(key, now);
  if (entry == nullptr) return Verdict::early;
  if (entry->poisoned) return Verdict::overlap;
  show_ports(*entry, info);
  return Verdict::known;
}

void FragmentTracker::show_ports(const Entry& entry, net::PacketInfo& info) {
  info.protocol = entry.protocol;
  info.source_port = entry.source_port;
  info.destination_port = entry.destination_port;
  info.ports_visible = entry.ports_visible;
}

FragmentTracker::Verdict FragmentTracker::add(Entry& entry, const FragmentFields& fields) {
  switch (entry.ranges.add(fields.offset, fields.end(), !fields.more)) {
    case FragmentRanges::Added::fresh: return Verdict::known;
    case FragmentRanges::Added::contained: return Verdict::duplicate;
    case FragmentRanges::Added::overlapping:
    case FragmentRanges::Added::too_scattered: break;
  }
  // RFC 5722 4: with one overlap the whole packet is refused, fragments still to come included.
  entry.poisoned = true;
  return Verdict::overlap;
}

std::size_t FragmentTracker::set_of(const FragmentKey& key) const {
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < key.words.size(); ++i) {
    hash += (key.words[i] ^ (key.words[i] >> 32)) * multipliers_[i];
  }
  return (static_cast<std::size_t>(hash >> 32) & (sets_ - 1)) * kWays;
}

FragmentTracker::Entry* FragmentTracker::find(const FragmentKey& key, Instant now) {
  if (entries_.empty()) return nullptr;
  const std::size_t first = set_of(key);
  for (std::size_t i = first; i < first + kWays; ++i) {
    if (entries_[i].expires > now && entries_[i].key == key) return &entries_[i];
  }
  return nullptr;
}

FragmentTracker::Entry& FragmentTracker::make_room(const FragmentKey& key) {
  if (entries_.empty()) entries_.resize(sets_ * kWays);
  const auto first = entries_.begin() + static_cast<std::ptrdiff_t>(set_of(key));
  return *std::min_element(first, first + kWays, [](const Entry& a, const Entry& b) { return a.expires < b.expires; });
}

bool FragmentTracker::same_flow(const Entry& entry, const net::PacketInfo& info) {
  return entry.protocol == info.protocol && entry.ports_visible == info.ports_visible &&
         entry.source_port == info.source_port && entry.destination_port == info.destination_port;
}

bool EarlyFragments::push(const FragmentKey& key, const InnerPacket& packet, Instant now) {
  WaitingPacket copy(packet, now);
  if (waiting_.size() >= bounds_.early_fragments || bytes_ + copy.size() > bounds_.early_bytes) return false;
  bytes_ += copy.size();
  waiting_.push_back({key, std::move(copy)});
  return true;
}

std::vector<WaitingPacket> EarlyFragments::take(const FragmentKey& key) {
  std::vector<WaitingPacket> taken;
  for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
    if (waiting->key != key) {
      ++waiting;
      continue;
    }
    bytes_ -= waiting->packet.size();
    taken.push_back(std::move(waiting->packet));
    waiting = waiting_.erase(waiting);
  }
  return taken;
}

std::size_t EarlyFragments::expire(Instant now) {
  std::size_t dropped = 0;
  for (; !waiting_.empty() && waiting_.front().packet.since() + bounds_.early_age <= now; ++dropped) {
    bytes_ -= waiting_.front().packet.size();
    waiting_.pop_front();
  }
  return dropped;
}

std::optional<Instant> EarlyFragments::next_expiry() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.front().packet.since() + bounds_.early_age;
}

}  // namespace culvert::ipsec
