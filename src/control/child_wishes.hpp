// ChildWishes: the packets of one tunnel that no Child SA carries yet (ipsec::Acquire), and which of them are worth
// asking the peer for now: what was refused is asked for ever more rarely (RFC 4301 4.4.1.2, RFC 7296 2.9).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.hpp"
#include "control/wish_rest.hpp"
#include "ike/face.hpp"
#include "ipsec/data_plane.hpp"
#include "model/connection.hpp"

namespace culvert::control {

/// What the packet's SA may carry: what its rule says, within what the tunnel has. Nothing when the tunnel has no room
/// for the packet.
[[nodiscard]] std::optional<ike::ChildWish> wish_of(const ipsec::Acquire& acquire,
                                                    const model::ConnectionConfig& config);
/// Whether a Child SA with these selectors carries the packet, and no more than it may.
[[nodiscard]] bool fulfils(const model::TrafficSelectors& local, const model::TrafficSelectors& remote,
                           const ike::ChildWish& wish);

class ChildWishes {
 public:
  /// So many are known at a time; packets beyond them ask again.
  static constexpr std::size_t kMost = 64;

  void note(const ike::ChildWish& wish, Instant now);
  /// Those that still wait and that nothing forbids to ask for.
  [[nodiscard]] std::vector<ike::ChildWish> due(Instant now) const;
  /// A Child SA with these selectors stands.
  void fulfil(const model::TrafficSelectors& local, const model::TrafficSelectors& remote);
  /// The peer, or we, refused. `whole` when no other wish would fare better. How long it rests.
  Duration refuse(const ike::ChildWish& wish, bool whole, Instant now);
  void clear() { *this = {}; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    ike::ChildWish wish;
    Instant noted;
    WishRest rest;
  };
  [[nodiscard]] Entry* find(const ike::ChildWish& wish);
  void make_room(Instant now);

  std::vector<Entry> entries_;  // in the order in which they came
  WishRest all_;
};

}  // namespace culvert::control
