// SaIndex: the outbound SAs of one connection, found by a packet's selectors. Most connections have one pair, and a
// second one during a rekey; one that takes selectors from packets (RFC 4301 4.4.1.2) may have thousands, so beyond a
// few they stand in hash tables: one table for each combination of prefix lengths that occurs, of few possible ones.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ipsec/selector_box.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

class SaPair;

class SaIndex {
 public:
  /// `pair` is the newest now. It stays the caller's.
  void add(SaPair* pair);
  void remove(SaPair* pair);
  [[nodiscard]] bool empty() const { return pairs_.empty(); }
  /// The newest pair that sends and may carry the packet; a held one only when there is no other. Or null.
  [[nodiscard]] SaPair* find(const net::PacketInfo& packet) const;

 private:
  using Lengths = std::array<std::uint8_t, kSelectorFields>;
  struct Member {
    SaPair* pair = nullptr;
    std::uint64_t number = 0;  // in the order they came
  };
  struct Best {
    std::optional<Member> ready;
    std::optional<Member> held;
  };
  struct Table {
    net::Family family = net::Family::v4;
    Lengths lengths{};
    std::unordered_map<std::uint64_t, std::vector<Member>> buckets;  // each oldest first
  };
  using Values = std::array<Uint128, kSelectorFields>;

  void build_tables();
  [[nodiscard]] static std::vector<SelectorBox> boxes_of_pair(const SaPair& pair);
  [[nodiscard]] static Lengths lengths_of(const SelectorBox& box);
  [[nodiscard]] static std::uint64_t key_of(net::Family family, const Lengths& lengths, const Values& values);
  [[nodiscard]] std::vector<Member>& bucket_of(const SelectorBox& box);
  void put(const Member& member);
  static void look(const std::vector<Member>& members, const net::PacketInfo& packet, Best& best);

  std::vector<Member> pairs_;  // oldest first
  std::uint64_t next_number_ = 0;
  std::vector<Table> tables_;  // empty while there are only a few pairs
};

}  // namespace culvert::ipsec
