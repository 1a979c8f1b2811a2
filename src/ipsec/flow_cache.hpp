// FlowCache: remembers, per flow, which rule and which SA its packets take. A front for the SPD and SAD; of fixed size,
// so that a flood of new flows can only make it useless, not large.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

struct Policy;
class SaPair;

/// Everything about a packet that a selector can see.
struct FlowKey {
  std::array<std::uint64_t, 5> words{};

  [[nodiscard]] static FlowKey of(const net::PacketInfo& packet) {
    FlowKey key;
    const std::uint8_t* const source = packet.source.bytes().data();
    const std::uint8_t* const destination = packet.destination.bytes().data();
    if (packet.family == net::Family::v4) {
      std::memcpy(key.words.data(), source, 4);
      std::memcpy(key.words.data() + 2, destination, 4);
    } else {
      std::memcpy(key.words.data(), source, 16);
      std::memcpy(key.words.data() + 2, destination, 16);
    }
    key.words[4] = (std::uint64_t{packet.source_port} << 48) | (std::uint64_t{packet.destination_port} << 32) |
                   (std::uint64_t{packet.protocol} << 16) | (std::uint64_t{packet.ports_visible} << 8) |
                   static_cast<std::uint64_t>(packet.family);
    return key;
  }
  friend bool operator==(const FlowKey&, const FlowKey&) = default;
};

/// Two-way set associative; entries of an older generation count as absent.
class FlowCache {
 public:
  struct Entry {
    FlowKey key;
    const Policy* policy = nullptr;
    SaPair* sa = nullptr;  // null unless the rule says protect
    std::uint64_t generation = 0;
  };

  /// `entries` is rounded up to a power of two. `seed` is secret, so that nobody can aim at one set.
  FlowCache(std::size_t entries, std::uint64_t seed) {
    std::size_t size = 2;
    while (size < entries) size *= 2;
    entries_.resize(size);
    SeededRandom expander(seed);
    for (std::uint64_t& multiplier : multipliers_) multiplier = expander.u64() | 1;
  }

  /// Forgets everything; after each change of the SPD, and of the SAs that outbound packets may take.
  void invalidate() { ++generation_; }

  /// The entry of this flow, or null.
  [[nodiscard]] const Entry* find(const FlowKey& key) const {
    const std::size_t first = set_of(key);
    for (std::size_t i = first; i < first + 2; ++i) {
      const Entry& entry = entries_[i];
      if (entry.generation == generation_ && entry.key == key) return &entry;
    }
    return nullptr;
  }

  /// Remembers a flow that `find` did not find; the older one of its set gives way.
  void insert(const FlowKey& key, const Policy* policy, SaPair* sa) {
    const std::size_t first = set_of(key);
    entries_[first + 1] = entries_[first];
    entries_[first] = {key, policy, sa, generation_};
  }

 private:
  // Multilinear hashing: the products do not wait for each other, and the high bits depend on every bit of the key.
  [[nodiscard]] std::size_t set_of(const FlowKey& key) const {
    std::uint64_t hash = 0;
    for (std::size_t i = 0; i < key.words.size(); ++i) {
      const std::uint64_t word = key.words[i];
      hash += (word ^ (word >> 32)) * multipliers_[i];
    }
    return static_cast<std::size_t>(hash >> 32) & (entries_.size() - 2);
  }

  std::array<std::uint64_t, 5> multipliers_{};
  std::uint64_t generation_ = 1;
  std::vector<Entry> entries_;
};

}  // namespace culvert::ipsec
