#include "ipsec/sa_index.hpp"

#include <algorithm>

#include "ipsec/sa.hpp"
#include "ipsec/spd.hpp"

namespace culvert::ipsec {
namespace {

// So many are compared one by one. Below the half of it the tables are given up again.
constexpr std::size_t kFew = 8;
// A pair of longer lists stands in the table for everything.
constexpr std::size_t kMaxBoxes = 32;

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  const Uint128 product = Uint128{hash ^ value} * 0x9e3779b97f4a7c15U;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

void SaIndex::add(SaPair* pair) {
  pairs_.push_back({pair, next_number_++});
  if (!tables_.empty()) {
    put(pairs_.back());
  } else if (pairs_.size() > kFew) {
    build_tables();
  }
}

void SaIndex::remove(SaPair* pair) {
  const auto is_it = [pair](const Member& member) { return member.pair == pair; };
  std::erase_if(pairs_, is_it);
  if (tables_.empty()) return;
  if (pairs_.size() < kFew / 2) return tables_.clear();
  for (const SelectorBox& box : boxes_of_pair(*pair)) std::erase_if(bucket_of(box), is_it);
  for (Table& table : tables_) std::erase_if(table.buckets, [](const auto& bucket) { return bucket.second.empty(); });
  std::erase_if(tables_, [](const Table& table) { return table.buckets.empty(); });
}

SaPair* SaIndex::find(const net::PacketInfo& packet) const {
  Best best;
  if (tables_.empty()) {
    look(pairs_, packet, best);
  } else {
    Values values{};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = field_of(packet, static_cast<SelectorField>(i));
    for (const Table& table : tables_) {
      if (table.family != packet.family) continue;
      const auto bucket = table.buckets.find(key_of(table.family, table.lengths, values));
      if (bucket != table.buckets.end()) look(bucket->second, packet, best);
    }
  }
  if (best.ready) return best.ready->pair;
  return best.held ? best.held->pair : nullptr;
}

// The newest of these that fits, if it is newer than what was found elsewhere.
void SaIndex::look(const std::vector<Member>& members, const net::PacketInfo& packet, Best& best) {
  for (auto member = members.rbegin(); member != members.rend(); ++member) {
    if (best.ready && member->number < best.ready->number) return;
    const SaPair& pair = *member->pair;
    if (!pair.sends() || !selectors_match(pair.params.local, pair.params.remote, packet)) continue;
    if (!pair.held) {
      best.ready = *member;
      return;
    }
    if (!best.held || best.held->number < member->number) best.held = *member;
  }
}

void SaIndex::build_tables() {
  for (const Member& member : pairs_) put(member);
}

void SaIndex::put(const Member& member) {
  for (const SelectorBox& box : boxes_of_pair(*member.pair)) {
    std::vector<Member>& bucket = bucket_of(box);
    if (bucket.empty() || bucket.back().number != member.number) bucket.push_back(member);
  }
}

std::vector<SelectorBox> SaIndex::boxes_of_pair(const SaPair& pair) {
  const model::TrafficSelectors local = pair.params.local.all();
  const model::TrafficSelectors remote = pair.params.remote.all();
  if (local.size() * remote.size() > kMaxBoxes) {
    return {SelectorBox::all(net::Family::v4), SelectorBox::all(net::Family::v6)};
  }
  std::vector<SelectorBox> boxes;
  for (const model::TrafficSelector& from : local) {
    for (const model::TrafficSelector& to : remote) {
      for (const SelectorBox& box : boxes_of(from, to)) boxes.push_back(box);
    }
  }
  return boxes;
}

// Rounded down to few values, so that few tables serve all.
SaIndex::Lengths SaIndex::lengths_of(const SelectorBox& box) {
  using enum SelectorField;
  const auto length = [&](SelectorField field) { return prefix_length(box.family, field, box[field]); };
  const auto address = [&](SelectorField field) -> std::uint8_t {
    const unsigned bits = field_bits(box.family, field);
    const unsigned exact = length(field);
    if (exact == bits) return static_cast<std::uint8_t>(bits);
    return static_cast<std::uint8_t>(exact >= bits / 2 ? bits / 2 : 0);
  };
  const auto all_or_none = [&](SelectorField field) {
    const unsigned bits = field_bits(box.family, field);
    return static_cast<std::uint8_t>(length(field) == bits ? bits : 0);
  };
  return {address(source), address(destination), all_or_none(protocol), all_or_none(source_port),
          all_or_none(destination_port)};
}

std::uint64_t SaIndex::key_of(net::Family family, const Lengths& lengths, const Values& values) {
  std::uint64_t hash = 0x6a09e667f3bcc909;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const unsigned cut = field_bits(family, static_cast<SelectorField>(i)) - lengths[i];
    const Uint128 kept = cut == 128 ? 0 : values[i] >> cut;
    hash = mixed(hash, static_cast<std::uint64_t>(kept));
    if (kept >> 64 != 0) hash = mixed(hash, static_cast<std::uint64_t>(kept >> 64));
  }
  return hash;
}

std::vector<SaIndex::Member>& SaIndex::bucket_of(const SelectorBox& box) {
  const Lengths lengths = lengths_of(box);
  Values values{};
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = box.fields[i].first;
  auto table = std::ranges::find_if(
      tables_, [&](const Table& one) { return one.family == box.family && one.lengths == lengths; });
  if (table == tables_.end()) table = tables_.insert(table, Table{box.family, lengths, {}});
  return table->buckets[key_of(box.family, lengths, values)];
}

}  // namespace culvert::ipsec
