// SaIndex: the outbound SAs of one connection, found by a packet's selectors. Most connections have one pair, and a
// second one during a rekey: those are a list through the pairs themselves. One that takes selectors from packets (RFC
// 4301 4.4.1.2) may have thousands, so beyond a few they stand in hash tables: one table for each combination of prefix
// lengths that occurs, of few possible ones.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/flat_table.hpp"
#include "ipsec/selector_box.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

class SaPair;
struct NatPeerFilter;
struct SaSelectors;

class SaIndex {
 public:
  SaIndex();
  ~SaIndex();
  SaIndex(SaIndex&& other) noexcept;
  SaIndex& operator=(SaIndex&& other) noexcept;

  /// `pair` is the newest now: its `order` is above that of all others. It stays the caller's.
  void add(SaPair* pair);
  void remove(SaPair* pair);
  [[nodiscard]] bool empty() const { return newest_ == nullptr; }
  [[nodiscard]] bool has_one() const;
  [[nodiscard]] explicit operator bool() const { return !empty(); }
  /// Any of the pairs; there must be one.
  [[nodiscard]] const SaPair& any() const { return *newest_; }
  /// The newest pair that sends and may carry the packet; a held one only when there is no other. Or null. With
  /// `within` only pairs whose selectors lie within these, with `peers` only those that it admits.
  [[nodiscard]] SaPair* find(const net::PacketInfo& packet, const SaSelectors* within = nullptr,
                             const NatPeerFilter* peers = nullptr) const;

 private:
  using Lengths = std::array<std::uint8_t, kSelectorFields>;
  using Values = std::array<Uint128, kSelectorFields>;
  struct Best {
    SaPair* ready = nullptr;
    SaPair* held = nullptr;
  };
  // The pairs of one key, oldest first: one by itself, or a list of them all.
  struct Bucket {
    std::uint64_t key = 0;
    SaPair* one = nullptr;
    std::unique_ptr<std::vector<SaPair*>> more;
    [[nodiscard]] explicit operator bool() const { return one != nullptr; }
  };
  struct KeyOfBucket {
    std::uint64_t operator()(const Bucket& bucket) const { return bucket.key; }
  };
  struct Table {
    net::Family family = net::Family::v4;
    Lengths lengths{};
    FlatTable<Bucket, KeyOfBucket> buckets;
  };
  struct Many;

  [[nodiscard]] static std::vector<SelectorBox> boxes_of_pair(const SaPair& pair);
  [[nodiscard]] static Lengths lengths_of(const SelectorBox& box);
  [[nodiscard]] static std::uint64_t key_of(net::Family family, const Lengths& lengths, const Values& values);
  [[nodiscard]] static std::uint64_t key_of(const Table& table, const SelectorBox& box);
  void put(SaPair* pair);
  void take_out(SaPair* pair);
  static void take_out(Table& table, std::uint64_t key, const SaPair* pair);
  struct Wanted {
    const net::PacketInfo& packet;
    const SaSelectors* within;
    const NatPeerFilter* peers;
  };
  static bool look(SaPair& pair, const Wanted& wanted, Best& best);

  SaPair* newest_ = nullptr;    // of a list by SaPair::older, SaPair::newer
  std::unique_ptr<Many> many_;  // null while there are only a few pairs
};

}  // namespace culvert::ipsec
