// FlowCache: remembers, per flow, which rule and which SA its packets take. A front for the SPD and SAD; of fixed size,
// so that a flood of new flows can only make it useless, not large.
//
// Made for a million flows: an IPv4 entry is half a cache line, an IPv6 one a whole, and who has many packets calls
// `locate` for them well ahead, then `peek` for all, then `find_entry`, so that the memory's delays overlap.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/large_memory.hpp"
#include "base/prefetch.hpp"
#include "base/random.hpp"
#include "ipsec/data_plane.hpp"
#include "model/ids.hpp"
#include "net/packet.hpp"
#include "net/plain_packet.hpp"

namespace culvert::ipsec {

class SaPair;

/// Everything about a packet that a selector can see. IPv4 uses the last two words. Addresses and ports as they lie in
/// the packet.
struct FlowKey {
  static constexpr std::size_t kV4 = 3;    // IPv4's addresses
  static constexpr std::size_t kRest = 4;  // what is behind the addresses
  std::array<std::uint64_t, 5> words{};
  std::size_t place = 0;  // FlowCache::locate's

  [[nodiscard]] static FlowKey of(const net::PacketInfo& packet) {
    FlowKey key;
    const std::uint8_t* const source = packet.source.bytes().data();
    const std::uint8_t* const destination = packet.destination.bytes().data();
    if (packet.family == net::Family::v4) {
      std::uint8_t both[8];
      std::memcpy(both, source, 4);
      std::memcpy(both + 4, destination, 4);
      key.words[kV4] = word64(both);
    } else {
      std::memcpy(key.words.data(), source, 16);
      std::memcpy(key.words.data() + 2, destination, 16);
    }
    std::uint8_t ports[4];
    store_be16(ports, packet.source_port);
    store_be16(ports + 2, packet.destination_port);
    key.words[kRest] =
        (std::uint64_t{word32(ports)} << 32) | rest(packet.family, packet.protocol, packet.ports_visible);
    return key;
  }
  /// The same from a plain packet of IPv6 itself.
  void set_v6(const net::PlainPacket& plain, const std::uint8_t* packet) {
    std::memcpy(words.data(), packet + 8, 32);
    words[kRest] =
        (std::uint64_t{word32(packet + net::kIpv6HeaderSize)} << 32) | rest(net::Family::v6, plain.protocol, true);
  }
  /// The last word without the ports.
  [[nodiscard]] static std::uint64_t rest(net::Family family, std::uint8_t protocol, bool ports_visible) {
    return (std::uint64_t{protocol} << 16) | (std::uint64_t{ports_visible} << 8) | static_cast<std::uint64_t>(family);
  }
  /// What a plain packet of IPv4 has in its word of addresses, and the ports of the last one.
  [[nodiscard]] static std::uint64_t v4_addresses(const std::uint8_t* packet) { return word64(packet + 12); }
  /// See v4_addresses.
  [[nodiscard]] static std::uint64_t v4_ports(const std::uint8_t* packet) {
    return std::uint64_t{word32(packet + net::kIpv4HeaderSize)} << 32;
  }
  // As they lie in memory.
  [[nodiscard]] static std::uint64_t word64(const std::uint8_t* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
  }
  [[nodiscard]] static std::uint32_t word32(const std::uint8_t* at) {
    std::uint32_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
  }
  [[nodiscard]] bool is_v4() const { return (words[kRest] & 0xff) == static_cast<std::uint64_t>(net::Family::v4); }
  /// A number that is the same for all packets of a flow, and mostly another for other flows. Not secret.
  [[nodiscard]] std::uint64_t mix() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t word : words) sum = ((sum ^ word) * 0xff51'afd7'ed55'8ccdU) ^ (word >> 29);
    return sum;
  }
  friend bool operator==(const FlowKey& a, const FlowKey& b) { return a.words == b.words; }
};

/// What is decided for a flow: the place of its rule in the list, and an SA where the rule says protect.
struct FlowVerdict {
  static constexpr std::uint32_t kNoRule = 0x3fff'ffff;

  std::uint32_t rule = kNoRule;
  PolicyAction action = PolicyAction::discard;
  SaPair* sa = nullptr;
  /// Of several hosts behind a NAT nothing tells whom it is for; never kept.
  bool unclear = false;
};

/// How the cache keeps it.
struct FlowEntry {
  static constexpr std::uint32_t kActionBits = ~FlowVerdict::kNoRule;  // of `rule_and_action`

  SaPair* sa = nullptr;
  std::uint32_t rule_and_action = 0;
  std::uint32_t generation = 0;

  FlowEntry(const FlowVerdict& verdict, std::uint32_t now)
      : sa(verdict.sa),
        rule_and_action(verdict.rule | static_cast<std::uint32_t>(verdict.action) << kActionShift),
        generation(now) {}
  [[nodiscard]] PolicyAction action() const { return static_cast<PolicyAction>(rule_and_action >> kActionShift); }
  /// Whether it is of that generation and says protect.
  [[nodiscard, gnu::always_inline]] bool protects(std::uint32_t now) const {
    static_assert(static_cast<unsigned>(PolicyAction::protect) == 0);
    return ((generation ^ now) | (rule_and_action & kActionBits)) == 0;
  }
  [[nodiscard]] FlowVerdict verdict() const { return {rule_and_action & FlowVerdict::kNoRule, action(), sa}; }

 private:
  static constexpr unsigned kActionShift = 30;
};

/// Four-way set associative; entries of an older generation count as absent.
class FlowCache {
 public:
  /// Room for `entries` flows of each family, rounded up to a power of two; memory that no flow has used stays the
  /// system's. With twice as many entries as flows, one flow in 25 finds its set full and is
  /// looked up each time; with four times as many, one in 200. `seed` is secret, so that
  /// nobody can aim at one set.
  FlowCache(std::size_t entries, std::uint64_t seed) {
    std::size_t size = kWays;
    while (size < entries) size *= 2;
    v4_ = Table<EntryV4>(size);
    v6_ = Table<EntryV6>(size);
    SeededRandom expander(seed);
    for (std::uint64_t& multiplier : multipliers_) multiplier = expander.u64() | 1;
  }

  /// Changes with each `invalidate`.
  [[nodiscard]] std::uint32_t generation() const { return generation_; }
  /// Forgets everything; after each change of the SPD.
  void invalidate() {
    followed_ = {};
    if (++generation_ != 0) return;
    // Entries of four billion changes ago must not come back.
    v4_.clear();
    v6_.clear();
    generation_ = 1;
  }

  /// A verdict that will be remembered follows from the SAs of this connection.
  void follow(model::ConnectionId connection) { word_of(connection) |= bit_of(connection); }
  /// After each change of the SAs that outbound packets of the connection may take. Forgets everything, too, but
  /// nothing where no verdict followed from them: SAs by the thousand that come up, or are rekeyed, without packets
  /// cost other flows nothing.
  void sas_changed(model::ConnectionId connection) {
    if ((word_of(connection) & bit_of(connection)) != 0) invalidate();
  }

  /// First of all for each key: works out its place and asks for the memory there.
  void locate(FlowKey& key) const {
    if (key.is_v4()) return locate_v4(key);
    key.place = v6_.place_of(hash_v6(key));
    v6_.prefetch(key.place);
  }
  /// The same for a key that is known to be one of IPv4.
  [[gnu::always_inline]] void locate_v4(FlowKey& key) const {
    key.place = locate_v4(key.words[FlowKey::kV4], key.words[FlowKey::kRest]);
  }
  /// By its two words; answers the place.
  [[nodiscard, gnu::always_inline]] std::size_t locate_v4(std::uint64_t addresses, std::uint64_t rest) const {
    const std::size_t place = v4_.place_of(hash_v4(addresses, rest));
    v4_.prefetch(place);
    return place;
  }
  /// Second, where many are looked up one after the other: asks for the rest of the set where the flow may stand beyond
  /// its first line. Does nothing for IPv4, whose second line lies beside the first and comes along with it.
  void peek(const FlowKey& key) const {
    if (!key.is_v4()) v6_.peek(key, generation_);
  }

  /// As `locate_v4` for many flows in a row: what it takes, in registers.
  class PlacesV4 {
   public:
    /// `rest` is the flow key's last word without the ports, the same for all.
    PlacesV4(const FlowCache& cache, std::uint64_t rest)
        : entries_(cache.v4_.memory()),
          mask_(cache.v4_.place_of(~std::size_t{0})),
          first_(cache.multipliers_[0]),
          last_(cache.multipliers_[4] ^ rest) {}
    /// `ports` as FlowKey::v4_ports says them.
    [[nodiscard, gnu::always_inline]] std::size_t locate(std::uint64_t addresses, std::uint64_t ports) const {
      const std::size_t place = folded_product(addresses ^ first_, ports ^ last_) & mask_;
      culvert::prefetch(entries_ + place);
      return place;
    }

   private:
    const std::uint8_t* entries_;
    std::size_t mask_;
    std::uint64_t first_;
    std::uint64_t last_;
  };
  /// For many flows of IPv4 in a row: where they are, in registers. Good until the next change of the cache.
  class ProtectedV4 {
   public:
    explicit ProtectedV4(const FlowCache& cache) : entries_(cache.v4_.memory()), generation_(cache.generation_) {}
    /// The SA, or null when the flow is not known, is not to be protected or another engine's; and when it does not
    /// stand in its own place.
    [[nodiscard, gnu::always_inline]] SaPair* find(const FlowKey& key) const {
      const auto& entry = *reinterpret_cast<const EntryV4*>(entries_ + key.place);
      return entry.is(key) && entry.value.protects(generation_) ? entry.value.sa : nullptr;
    }
    /// The same for who takes an entry as four words, as they lie in memory of a little-endian CPU: the last two of the
    /// key, the SA, and a verdict, which is `wanted` as far as `kWantedBits` say.
    [[nodiscard, gnu::always_inline]] const std::uint8_t* words_at(const FlowKey& key) const {
      static_assert(offsetof(EntryV4, rest) == 8 && offsetof(EntryV4, value) == 16 &&
                    offsetof(FlowEntry, rule_and_action) == 8 && offsetof(FlowEntry, generation) == 12);
      return entries_ + key.place;
    }
    static constexpr std::uint64_t kWantedBits = std::uint64_t{0xffff'ffff} << 32 | FlowEntry::kActionBits;
    [[nodiscard]] std::uint64_t wanted() const { return std::uint64_t{generation_} << 32; }

   private:
    const std::uint8_t* entries_;
    std::uint32_t generation_;
  };
  /// Null when the flow is not known; good until the next change of the cache.
  [[nodiscard, gnu::always_inline]] const FlowEntry* find_entry(const FlowKey& key) const {
    if (key.is_v4()) [[likely]]
      return v4_.find(key, generation_);
    return v6_.find(key, generation_);
  }
  [[nodiscard]] std::optional<FlowVerdict> find(const FlowKey& key) const {
    const FlowEntry* const entry = find_entry(key);
    return entry == nullptr ? std::nullopt : std::optional(entry->verdict());
  }

  /// As if the flow had never been asked for.
  void forget(const FlowKey& key) { key.is_v4() ? v4_.forget(key) : v6_.forget(key); }
  /// Remembers a flow that `find` did not find; an older one of its set gives way when all places are taken.
  void insert(const FlowKey& key, const FlowVerdict& verdict) {
    key.is_v4() ? v4_.insert(key, verdict, generation_) : v6_.insert(key, verdict, generation_);
  }

 private:
  static constexpr std::size_t kWays = 4;
  struct alignas(32) EntryV4 {
    std::uint64_t addresses;
    std::uint64_t rest;
    FlowEntry value;
    EntryV4(const FlowKey& key, const FlowEntry& what)
        : addresses(key.words[FlowKey::kV4]), rest(key.words[FlowKey::kRest]), value(what) {}
    [[nodiscard]] bool is(const FlowKey& key) const {
      return ((addresses ^ key.words[FlowKey::kV4]) | (rest ^ key.words[FlowKey::kRest])) == 0;
    }
  };
  struct alignas(64) EntryV6 {
    std::array<std::uint64_t, 5> words;
    FlowEntry value;
    EntryV6(const FlowKey& flow, const FlowEntry& what) : words(flow.words), value(what) {}
    [[nodiscard]] bool is(const FlowKey& flow) const { return words == flow.words; }
  };
  static_assert(sizeof(EntryV4) == 32 && sizeof(EntryV6) == 64);

  // Sets of four entries in a row; a flow's own place among them comes first, so that IPv4 mostly needs one line.
  template <typename Entry>
  class Table {
   public:
    Table() = default;
    explicit Table(std::size_t size)
        : memory_(allocate_zeroed(size * sizeof(Entry), kWays * sizeof(Entry)), Free{size * sizeof(Entry)}),
          entries_(static_cast<Entry*>(memory_.get())),
          octets_(size * sizeof(Entry)) {}
    void clear() { std::memset(static_cast<void*>(entries_), 0, octets_); }
    /// Where a flow with that hash stands first, in octets: then nothing is left to do but add.
    [[nodiscard]] std::size_t place_of(std::size_t hash) const { return hash & (octets_ - sizeof(Entry)); }
    [[nodiscard]] const std::uint8_t* memory() const { return reinterpret_cast<const std::uint8_t*>(entries_); }
    void prefetch(std::size_t place) const { culvert::prefetch(&at(place, 0)); }
    void peek(const FlowKey& key, std::uint32_t generation) const {
      if (at(key.place, 0).is(key) && at(key.place, 0).value.generation == generation) return;
      for (std::size_t way = 1; way < kWays; ++way) culvert::prefetch(&at(key.place, way));
    }
    [[nodiscard, gnu::always_inline]] const FlowEntry* find(const FlowKey& key, std::uint32_t generation) const {
      const Entry& first = at(key.place, 0);
      if (first.is(key) && first.value.generation == generation) [[likely]]
        return &first.value;
      return find_behind(key, generation);
    }
    void forget(const FlowKey& key) {
      for (std::size_t way = 0; way < kWays; ++way) {
        if (at(key.place, way).is(key)) at(key.place, way).value.generation = 0;
      }
    }
    void insert(const FlowKey& key, const FlowVerdict& verdict, std::uint32_t generation) {
      std::size_t way = 0;
      while (way < kWays && at(key.place, way).value.generation == generation) ++way;
      if (way == kWays) {
        at(key.place, 1) = at(key.place, 0);
        way = 0;
      }
      at(key.place, way) = Entry(key, FlowEntry(verdict, generation));
    }

   private:
    [[nodiscard]] Entry& at(std::size_t place, std::size_t way) const {
      return *reinterpret_cast<Entry*>(reinterpret_cast<std::uint8_t*>(entries_) + (place ^ way * sizeof(Entry)));
    }
    // In the other ways.
    [[nodiscard, gnu::noinline]] const FlowEntry* find_behind(const FlowKey& key, std::uint32_t generation) const {
      for (std::size_t way = 1; way < kWays; ++way) {
        const Entry& entry = at(key.place, way);
        if (entry.is(key) && entry.value.generation == generation) return &entry.value;
      }
      return nullptr;
    }
    struct Free {
      std::size_t size;
      void operator()(void* memory) const { free_zeroed(memory, size); }
    };
    std::unique_ptr<void, Free> memory_;
    Entry* entries_ = nullptr;
    std::size_t octets_ = 0;  // a power of two
  };

  // Connections are numbered one after the other, so that as many as there are bits each have one of their own.
  static constexpr std::size_t kFollowedWords = 256;
  [[nodiscard]] std::uint64_t& word_of(model::ConnectionId connection) {
    return followed_[connection.value() / 64 % kFollowedWords];
  }
  [[nodiscard]] static std::uint64_t bit_of(model::ConnectionId connection) {
    return std::uint64_t{1} << connection.value() % 64;
  }

  // The two halves of a product of 128 bits: every bit of both factors reaches the low bits of the sum.
  [[nodiscard, gnu::always_inline]] static std::size_t folded_product(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{a} * b;
    return static_cast<std::size_t>(product) ^ static_cast<std::size_t>(product >> 64);
  }
  [[nodiscard]] std::size_t hash_v4(std::uint64_t addresses, std::uint64_t rest) const {
    return folded_product(addresses ^ multipliers_[0], rest ^ multipliers_[4]);
  }
  // Multilinear hashing: the products do not wait for each other, and the high bits depend on every bit of the key.
  [[nodiscard]] std::uint64_t term(const FlowKey& key, std::size_t i) const {
    const std::uint64_t word = key.words[i];
    return (word ^ (word >> 32)) * multipliers_[i];
  }
  [[nodiscard]] std::size_t hash_v6(const FlowKey& key) const {
    const std::uint64_t sum = term(key, 0) + term(key, 1) + term(key, 2) + term(key, 3) + term(key, 4);
    return static_cast<std::size_t>(sum >> 26);
  }

  std::array<std::uint64_t, 5> multipliers_{};
  std::uint32_t generation_ = 1;
  std::array<std::uint64_t, kFollowedWords> followed_{};
  Table<EntryV4> v4_;
  Table<EntryV6> v6_;
};

}  // namespace culvert::ipsec
