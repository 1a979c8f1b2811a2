#include "ipsec/sa_index.hpp"

#include <algorithm>
#include <utility>

#include "ipsec/nat_flows.hpp"
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

bool lies_within(const SaPair& pair, const SaSelectors& selectors) {
  return model::is_subset(pair.params.local.all(), selectors.local) &&
         model::is_subset(pair.params.remote.all(), selectors.remote);
}

}  // namespace

struct SaIndex::Many {
  std::size_t pairs = 0;
  std::vector<Table> tables;
};

SaIndex::SaIndex() = default;
SaIndex::~SaIndex() = default;
SaIndex::SaIndex(SaIndex&& other) noexcept
    : newest_(std::exchange(other.newest_, nullptr)), many_(std::move(other.many_)) {}
SaIndex& SaIndex::operator=(SaIndex&& other) noexcept {
  newest_ = std::exchange(other.newest_, nullptr);
  many_ = std::move(other.many_);
  return *this;
}

bool SaIndex::has_one() const { return newest_ != nullptr && newest_->older == nullptr; }

void SaIndex::add(SaPair* pair) {
  pair->older = newest_;
  pair->newer = nullptr;
  if (newest_ != nullptr) newest_->newer = pair;
  newest_ = pair;
  if (many_ != nullptr) return put(pair);
  std::vector<SaPair*> newest_first;
  for (SaPair* at = newest_; at != nullptr; at = at->older) newest_first.push_back(at);
  if (newest_first.size() <= kFew) return;
  many_ = std::make_unique<Many>();
  for (auto at = newest_first.rbegin(); at != newest_first.rend(); ++at) put(*at);
}

void SaIndex::remove(SaPair* pair) {
  (pair->newer != nullptr ? pair->newer->older : newest_) = pair->older;
  if (pair->older != nullptr) pair->older->newer = pair->newer;
  pair->older = pair->newer = nullptr;
  if (many_ == nullptr) return;
  take_out(pair);
  if (many_->pairs < kFew / 2) many_.reset();
}

SaPair* SaIndex::find(const net::PacketInfo& packet, const SaSelectors* within, const NatPeerFilter* peers) const {
  const Wanted wanted{packet, within, peers};
  Best best;
  if (many_ == nullptr) {
    for (SaPair* pair = newest_; pair != nullptr; pair = pair->older) {
      if (look(*pair, wanted, best)) break;
    }
  } else {
    Values values{};
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = field_of(packet, static_cast<SelectorField>(i));
    for (const Table& table : many_->tables) {
      if (table.family != packet.family) continue;
      const Bucket* const bucket = table.buckets.find(key_of(table.family, table.lengths, values));
      if (bucket == nullptr) continue;
      if (bucket->more == nullptr) {
        (void)look(*bucket->one, wanted, best);
        continue;
      }
      for (auto pair = bucket->more->rbegin(); pair != bucket->more->rend(); ++pair) {
        if (look(**pair, wanted, best)) break;
      }
    }
  }
  return best.ready != nullptr ? best.ready : best.held;
}

// Takes the pair if it fits and is newer than what was found elsewhere. True when an older one can no longer be better.
bool SaIndex::look(SaPair& pair, const Wanted& wanted, Best& best) {
  if (best.ready != nullptr && pair.order < best.ready->order) return true;
  if (!pair.sends() || !selectors_match(pair.params.local, pair.params.remote, wanted.packet)) return false;
  if (wanted.within != nullptr && !lies_within(pair, *wanted.within)) return false;
  if (wanted.peers != nullptr && !wanted.peers->admits(pair)) return false;
  SaPair*& found = pair.held ? best.held : best.ready;
  if (found == nullptr || found->order < pair.order) found = &pair;
  return !pair.held;
}

void SaIndex::put(SaPair* pair) {
  ++many_->pairs;
  for (const SelectorBox& box : boxes_of_pair(*pair)) {
    const Lengths lengths = lengths_of(box);
    auto table = std::ranges::find_if(
        many_->tables, [&](const Table& one) { return one.family == box.family && one.lengths == lengths; });
    if (table == many_->tables.end()) table = many_->tables.insert(table, Table{box.family, lengths, {}});
    const std::uint64_t key = key_of(*table, box);
    Bucket* const bucket = table->buckets.find(key);
    if (bucket == nullptr) {
      table->buckets.insert({key, pair, nullptr});
      continue;
    }
    if (bucket->more == nullptr) bucket->more = std::make_unique<std::vector<SaPair*>>(1, bucket->one);
    // Two boxes of a pair may have one key.
    if (bucket->more->back() != pair) bucket->more->push_back(pair);
  }
}

void SaIndex::take_out(SaPair* pair) {
  --many_->pairs;
  for (const SelectorBox& box : boxes_of_pair(*pair)) {
    const Lengths lengths = lengths_of(box);
    for (Table& table : many_->tables) {
      if (table.family == box.family && table.lengths == lengths) take_out(table, key_of(table, box), pair);
    }
  }
  std::erase_if(many_->tables, [](const Table& table) { return table.buckets.empty(); });
}

void SaIndex::take_out(Table& table, std::uint64_t key, const SaPair* pair) {
  Bucket* const bucket = table.buckets.find(key);
  if (bucket == nullptr) return;  // another box of the pair had the same key
  if (bucket->more == nullptr) {
    if (bucket->one == pair) (void)table.buckets.erase(bucket);
    return;
  }
  std::erase(*bucket->more, pair);
  bucket->one = bucket->more->front();
  if (bucket->more->size() == 1) bucket->more.reset();
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

std::uint64_t SaIndex::key_of(const Table& table, const SelectorBox& box) {
  Values values{};
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = box.fields[i].first;
  return key_of(table.family, table.lengths, values);
}

}  // namespace culvert::ipsec
