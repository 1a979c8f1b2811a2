// FragmentTracker: stateful fragment checking (RFC 4301 7.3, 7.4). Remembers what the first fragment of a packet said
// of its ports, so that those which follow go the same way; refuses fragments that rewrite one another (RFC 1858, RFC
// 3128, RFC 5722). Of fixed size and forgetful, with a secret hash: a flood of fragments can only make it useless.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "ipsec/acquire_queue.hpp"
#include "ipsec/fragment.hpp"
#include "ipsec/fragment_ranges.hpp"
#include "net/packet.hpp"

namespace culvert::ipsec {

struct FragmentBounds {
  /// Packets whose fragments are followed at a time.
  std::size_t packets = 1024;
  Duration age = std::chrono::seconds(30);
  /// Later fragments that wait for their first one.
  std::size_t early_fragments = 64;
  std::size_t early_bytes = std::size_t{128} * 1024;
  Duration early_age = std::chrono::seconds(1);
};

/// Names the packet that a fragment is of. `scope` keeps apart what must not vouch for each other: 0 for packets from
/// the protected side, the SA for those out of one.
struct FragmentKey {
  std::array<std::uint64_t, 6> words{};
  /// RFC 791 2.3: addresses, protocol and identification; RFC 8200 4.5: without the protocol.
  [[nodiscard]] static FragmentKey of(const net::PacketInfo& info, const FragmentFields& fields, std::uint64_t scope);
  friend bool operator==(const FragmentKey&, const FragmentKey&) = default;
};

class FragmentTracker {
 public:
  enum class Verdict : std::uint8_t {
    known,     // a first fragment, or one whose first was seen
    early,     // the first has not come
    overlap,   // not to go any further: it rewrites what others of the packet said, or one of them did
    duplicate  // brings nothing new; dropped without harm to its packet
  };

  FragmentTracker(const FragmentBounds& bounds, std::uint64_t seed);

  /// Judges one fragment. For a later one that is `known`, protocol and ports of the first are put into `info`, as if
  /// they could be seen.
  [[nodiscard]] Verdict see(const FragmentKey& key, const FragmentFields& fields, net::PacketInfo& info, Instant now);

  /// The same for one that `see` has judged before, and that waited since: nothing is remembered of it anew.
  [[nodiscard]] Verdict recall(const FragmentKey& key, net::PacketInfo& info, Instant now);

 private:
  struct Entry {
    FragmentKey key;
    FragmentRanges ranges;
    Instant expires = Instant::min();
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;
    bool ports_visible = false;
    bool poisoned = false;
  };
  static constexpr std::size_t kWays = 4;

  [[nodiscard]] std::size_t set_of(const FragmentKey& key) const;
  [[nodiscard]] Entry* find(const FragmentKey& key, Instant now);
  [[nodiscard]] Entry& make_room(const FragmentKey& key);
  static void show_ports(const Entry& entry, net::PacketInfo& info);
  [[nodiscard]] static bool same_flow(const Entry& entry, const net::PacketInfo& info);
  [[nodiscard]] Verdict add(Entry& entry, const FragmentFields& fields);

  FragmentBounds bounds_;
  std::array<std::uint64_t, 6> multipliers_{};
  std::size_t sets_;
  std::vector<Entry> entries_;  // made when the first fragment comes
};

/// Fragments that came before the first of their packet.
class EarlyFragments {
 public:
  explicit EarlyFragments(const FragmentBounds& bounds) : bounds_(bounds) {}

  /// Keeps a copy. False when there is no room.
  [[nodiscard]] bool push(const FragmentKey& key, const InnerPacket& packet, Instant now);
  /// All that wait for this packet's first fragment, in order of arrival.
  [[nodiscard]] std::vector<WaitingPacket> take(const FragmentKey& key);
  /// Drops what has waited too long; how many.
  std::size_t expire(Instant now);
  [[nodiscard]] std::optional<Instant> next_expiry() const;
  [[nodiscard]] bool empty() const { return waiting_.empty(); }

 private:
  struct Waiting {
    FragmentKey key;
    WaitingPacket packet;
  };
  FragmentBounds bounds_;
  std::deque<Waiting> waiting_;
  std::size_t bytes_ = 0;
};

}  // namespace culvert::ipsec
