#include "ipsec/classifier.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "ipsec/classifier_builder.hpp"

namespace culvert::ipsec {
namespace {

// Both halves of the product: every bit of the result depends on every bit of both.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const Uint128 product = Uint128{a} * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Odd numbers without a pattern (the golden ratio's and the square roots' of 2, 3, 5 and 7 first 64 bits).
constexpr std::uint64_t kSalt[] = {0x9e3779b97f4a7c15, 0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                   0xa54ff53a5f1d36f1};

}  // namespace

template <typename Address>
Classifier<Address>::Classifier(const std::vector<ClassifierEntry>& entries) {
  ClassifierBuilder<Address>(*this, entries).build();
}

template <typename Address>
Address Classifier<Address>::address_of(const net::IpAddress& address) {
  const std::uint8_t* const at = address.bytes().data();
  if constexpr (sizeof(Address) == 4) {
    return load_be32(at);
  } else {
    return Uint128{load_be64(at)} << 64 | load_be64(at + 8);
  }
}

template <typename Address>
typename Classifier<Address>::Words Classifier<Address>::words_of(Uint128 source, Uint128 destination,
                                                                  std::uint64_t protocol, std::uint64_t source_port,
                                                                  std::uint64_t destination_port) {
  const std::uint64_t rest = protocol << 34 | source_port << 17 | destination_port;
  const auto low = [](Uint128 value) { return static_cast<std::uint64_t>(value); };
  if constexpr (sizeof(Address) == 4) {
    return {low(source) << 32 | low(destination), 0, 0, 0, rest};
  } else {
    return {low(source >> 64), low(source), low(destination >> 64), low(destination), rest};
  }
}

template <typename Address>
std::uint32_t Classifier<Address>::hash(const Words& words, const Words& masks) {
  std::uint64_t addresses = 0;
  if constexpr (sizeof(Address) == 4) {
    addresses = words[0] & masks[0];
  } else {
    addresses = fold((words[0] & masks[0]) ^ kSalt[0], (words[1] & masks[1]) ^ kSalt[1]) +
                fold((words[2] & masks[2]) ^ kSalt[2], (words[3] & masks[3]) ^ kSalt[3]);
  }
  // Twice: one product alone leaves the low bits of similar keys similar.
  return static_cast<std::uint32_t>(fold(fold(addresses ^ kSalt[0], (words[4] & masks[4]) ^ kSalt[4]), kSalt[1]) >> 16);
}

template <typename Address>
bool Classifier<Address>::matches(const Rule& rule, const Query& query) {
  const net::PacketInfo& packet = query.packet;
  if (static_cast<Address>(query.source - rule.source) > rule.source_width) return false;
  if (static_cast<Address>(query.destination - rule.destination) > rule.destination_width) return false;
  if ((rule.flags & kAnyProtocol) == 0 && rule.protocol != packet.protocol) return false;
  if (!packet.ports_visible) {
    if ((rule.flags & kSourceOpaque) == 0 || (rule.flags & kDestinationOpaque) == 0) return false;
  } else if (packet.source_port < rule.source_port_first || packet.source_port > rule.source_port_last ||
             packet.destination_port < rule.destination_port_first ||
             packet.destination_port > rule.destination_port_last) {
    return false;
  }
  return (rule.flags & kInexact) == 0 || query.confirm.confirm(rule.order, packet);
}

template <typename Address>
typename Classifier<Address>::Words Classifier<Address>::words_of(const net::PacketInfo& packet) {
  const auto port = [&](std::uint16_t value) { return packet.ports_visible ? value : kOpaquePort; };
  return words_of(address_of(packet.source), address_of(packet.destination), packet.protocol, port(packet.source_port),
                  port(packet.destination_port));
}

template <typename Address>
std::uint32_t Classifier<Address>::find(const net::PacketInfo& packet, const Confirm& confirm) const {
  Query query{packet, confirm, address_of(packet.source), address_of(packet.destination), words_of(packet), kNone};
  search(root_, query);
  return query.best;
}

template <typename Address>
void Classifier<Address>::prefetch(const net::PacketInfo& packet) const {
  if (root_ == kEmpty || (root_ & kListFlag) != 0 || nodes_[root_].kind != Kind::tables) return;
  const Words words = words_of(packet);
  const Table* const tables = tables_.data() + nodes_[root_].first;
  for (std::uint32_t i = 0; i < nodes_[root_].count; ++i) {
    __builtin_prefetch(slots_.data() + tables[i].first_slot + (hash(words, tables[i].masks) & tables[i].slot_mask));
  }
}

template <typename Address>
void Classifier<Address>::search(Ref ref, Query& query) const {
  for (;;) {
    if ((ref & kListFlag) != 0) {
      const std::size_t count = ((ref & ~kListFlag) >> kOffsetBits) + 1;
      return search_list(ref & ((1U << kOffsetBits) - 1), count, query);
    }
    if (ref == kEmpty) return;
    const Node& node = nodes_[ref];
    if (node.kind == Kind::tables) return search_tables(node, query);
    if (node.kind == Kind::list) return search_list(node.first, node.count, query);
    ref = field_of(query.packet, node.field) < node.cut ? node.first : node.count;
  }
}

// All tables' memory is asked for before any of it is looked at: the waits run side by side.
template <typename Address>
void Classifier<Address>::search_tables(const Node& node, Query& query) const {
  const Table* const tables = tables_.data() + node.first;
  std::array<std::uint32_t, kMaxTables> keys;
  std::array<Ref, kMaxTables> children;
  std::uint32_t count = 0;
  for (; count < node.count && tables[count].first_order < query.best; ++count) {
    keys[count] = hash(query.words, tables[count].masks);
    __builtin_prefetch(slots_.data() + tables[count].first_slot + (keys[count] & tables[count].slot_mask));
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const Slot* const slots = slots_.data() + tables[i].first_slot;
    std::uint32_t at = keys[i] & tables[i].slot_mask;
    while (slots[at].child != kEmpty && slots[at].key != keys[i]) at = (at + 1) & tables[i].slot_mask;
    children[i] = slots[at].child;
    if ((children[i] & kListFlag) != 0) {
      const Rule* const list = rules_.data() + (children[i] & ((1U << kOffsetBits) - 1));
      __builtin_prefetch(list);
      __builtin_prefetch(reinterpret_cast<const std::uint8_t*>(list) + 64);
    }
  }
  for (std::uint32_t i = 0; i < count && tables[i].first_order < query.best; ++i) search(children[i], query);
}

template <typename Address>
void Classifier<Address>::search_list(std::size_t first, std::size_t count, Query& query) const {
  for (const Rule* rule = rules_.data() + first; count-- > 0; ++rule) {
    if (rule->order >= query.best) return;
    if (matches(*rule, query)) {
      query.best = rule->order;
      return;
    }
  }
}

template <typename Address>
ClassifierShape Classifier<Address>::shape() const {
  ClassifierShape shape{.rules = rules_.size(), .tables = tables_.size()};
  if (root_ != kEmpty && (root_ & kListFlag) == 0 && nodes_[root_].kind == Kind::tables) {
    shape.root_tables = nodes_[root_].count;
  }
  for (const Node& node : nodes_) {
    if (node.kind == Kind::cut) ++shape.cuts;
    if (node.kind == Kind::list) shape.longest_list = std::max<std::size_t>(shape.longest_list, node.count);
  }
  shape.bytes = rules_.capacity() * sizeof(Rule) + slots_.capacity() * sizeof(Slot) +
                tables_.capacity() * sizeof(Table) + nodes_.capacity() * sizeof(Node);
  return shape;
}

template class Classifier<std::uint32_t>;
template class Classifier<Uint128>;

}  // namespace culvert::ipsec
