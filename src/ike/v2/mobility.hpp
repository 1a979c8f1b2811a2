// Mobility: what an IKE SA knows of other ways to its peer than its path (RFC 4555, RFC 7296 2.23). Boxed, for most IKE
// SAs never need it.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.hpp"
#include "ike/v2/rate_limiter.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

struct Mobility {
  /// Addresses that the peer has beside that of the path, as it said last (RFC 4555 3.4).
  std::vector<net::IpAddress> peers;
  /// Addresses of ours that the peer was told of.
  std::vector<net::IpAddress> told;
  /// Ways to try while the peer does not answer on the path, the best first; and the next of them.
  std::vector<net::Path> ways;
  std::size_t next_way = 0;
  /// Control was asked for them, and the peer has not answered anything since.
  bool in_doubt = false;
  /// Our request of this number went to `trial` first, and not to the path.
  std::optional<model::MessageId> trying;
  net::Path trial;
  /// Our requests of these numbers have gone over several paths: the response to one does not say which of them leads
  /// to the peer. Those that are awaited, and the one answered last.
  std::set<model::MessageId> spread;
  /// The peer's newest request that changed addresses.
  std::optional<model::MessageId> newest_update;
  /// The Child SAs are still on the path before, for the peer was not seen at its new address yet; and requests of ours
  /// but the oldest wait, too.
  bool children_wait = false;
  /// Requests that went to an address because something authentic came from there, and nobody has answered yet.
  FixedRateLimiter<4, 5000> asked_elsewhere;
  /// Where the last response came from.
  net::Path answered_on;
  /// The digest of our address as the peer saw it last (RFC 4555 3.8).
  Bytes seen_as;
};

}  // namespace culvert::ike::v2
