// Classifier: which of many ordered boxes is the first that holds a packet, at a cost that hardly depends on their
// number. Built once, then only read.
//
// A tree of hash tables. Each box is covered by a prefix in every field (an address range of two blocks by two); boxes
// whose prefixes are about equally long share a table, whose key is the packet's fields cut to those lengths. What
// falls into one bucket is a short list, or a node of finer tables, or, where prefixes cannot tell boxes apart (ranges
// that overlap each other), a tree of binary cuts. Tables stand in the order of their first box, so that a match ends
// the search in all that can only hold later ones. The last word has always the box itself.
//
// Nothing is copied but by cuts and by ranges of two blocks; cuts have a budget proportional to the number of boxes.
// Beyond it lists stay uncut: then a lookup takes longer, and memory stays bounded.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/large_memory.hpp"
#include "ipsec/selector_box.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

/// One box and its place in the order; several may share a place.
struct ClassifierEntry {
  SelectorBox box;  // its protocol is one value or all of them
  std::uint32_t order = 0;
  /// False when the box is only a hull: whether a packet in it belongs to it, `Confirm` says.
  bool exact = true;
};

/// Asked about packets inside boxes that are not exact.
class Confirm {
 public:
  virtual ~Confirm() = default;
  [[nodiscard]] virtual bool confirm(std::uint32_t order, const net::PacketInfo& packet) const = 0;
};

/// What was built; for tests and figures.
struct ClassifierShape {
  std::size_t rules = 0;   // in lists, copies included
  std::size_t tables = 0;  // in all nodes
  std::size_t root_tables = 0;
  std::size_t cuts = 0;
  std::size_t longest_list = 0;  // of those longer than a bucket may be
  std::size_t bytes = 0;
};

/// `Address` is std::uint32_t for IPv4 and Uint128 for IPv6.
template <typename Address>
class Classifier {
 public:
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  static constexpr net::Family kFamily = sizeof(Address) == 4 ? net::Family::v4 : net::Family::v6;

  Classifier() = default;
  /// `entries` are of this family and stand in their order.
  explicit Classifier(const std::vector<ClassifierEntry>& entries);

  /// The lowest order of a box that holds the packet, or kNone.
  [[nodiscard]] std::uint32_t find(const net::PacketInfo& packet, const Confirm& confirm) const;

  /// Asks for the memory where `find` begins, for packets looked up soon.
  void prefetch(const net::PacketInfo& packet) const;

  [[nodiscard]] ClassifierShape shape() const;

 private:
  template <typename>
  friend class ClassifierBuilder;

  // Names a list of up to 32 rules (top bit set), or a node.
  using Ref = std::uint32_t;
  static constexpr Ref kEmpty = 0x7fff'ffff;
  static constexpr Ref kListFlag = 0x8000'0000;
  static constexpr unsigned kOffsetBits = 26;
  static constexpr std::size_t kShortList = 32;
  static constexpr std::size_t kMaxTables = 16;  // of a node

  // A box as the last check wants it: 32 octets for IPv4, two to a cache line.
  struct Rule {
    Address source = 0;
    Address source_width = 0;
    Address destination = 0;
    Address destination_width = 0;
    std::uint16_t source_port_first = 0;
    std::uint16_t source_port_last = 0;
    std::uint16_t destination_port_first = 0;
    std::uint16_t destination_port_last = 0;
    std::uint8_t protocol = 0;
    std::uint8_t flags = 0;
    std::uint32_t order = 0;
  };
  static constexpr std::uint8_t kAnyProtocol = 1;
  static constexpr std::uint8_t kSourceOpaque = 2;
  static constexpr std::uint8_t kDestinationOpaque = 4;
  static constexpr std::uint8_t kInexact = 8;

  using Words = std::array<std::uint64_t, 5>;  // IPv4 uses the first and the last

  // Boxes of one key hash share a bucket, whatever their keys: the lists' own check tells them apart. So the hash is
  // all that a slot has to know.
  struct Slot {
    std::uint32_t key = 0;
    Ref child = kEmpty;
  };
  struct Table {
    Words masks{};
    std::uint32_t first_slot = 0;
    std::uint32_t slot_mask = 0;
    std::uint32_t first_order = 0;
  };
  enum class Kind : std::uint8_t { tables, list, cut };
  struct Node {
    Kind kind = Kind::list;
    SelectorField field = SelectorField::source;  // of a cut
    std::uint32_t first = 0;                      // table, rule, or the child below the cut
    std::uint32_t count = 0;                      // or the child from the cut on
    Uint128 cut = 0;
  };
  // A packet, prepared once for the whole search.
  struct Query {
    const net::PacketInfo& packet;
    const Confirm& confirm;
    Address source = 0;
    Address destination = 0;
    Words words{};
    std::uint32_t best = kNone;
  };

  [[nodiscard]] static Address address_of(const net::IpAddress& address);
  [[nodiscard]] static Words words_of(Uint128 source, Uint128 destination, std::uint64_t protocol,
                                      std::uint64_t source_port, std::uint64_t destination_port);
  [[nodiscard]] static std::uint32_t hash(const Words& words, const Words& masks);
  [[nodiscard]] static bool matches(const Rule& rule, const Query& query);
  [[nodiscard]] static Words words_of(const net::PacketInfo& packet);
  void search(Ref ref, Query& query) const;
  void search_tables(const Node& node, Query& query) const;
  void search_list(std::size_t first, std::size_t count, Query& query) const;

  std::vector<Rule, LargeAllocator<Rule>> rules_;
  std::vector<Slot, LargeAllocator<Slot>> slots_;
  std::vector<Table> tables_;
  std::vector<Node> nodes_;
  Ref root_ = kEmpty;
};

extern template class Classifier<std::uint32_t>;
extern template class Classifier<Uint128>;

}  // namespace culvert::ipsec
