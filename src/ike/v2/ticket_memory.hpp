// What the endpoint remembers of tickets (RFC 5723): as responder those that are good no more before their time, as
// initiator those that it was given.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "ike/v2/ticket.hpp"
#include "model/ids.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

/// IKE SAs whose tickets were used, or went with them: RFC 5723 9.8's list, bounded. Of too many, those that end
/// soonest are forgotten first.
class SpentTickets {
 public:
  using Key = std::pair<model::IkeSpi, model::IkeSpi>;
  /// `until`: when the ticket would end by itself, in seconds since 1970, as `now` is.
  void add(const Key& ike_sa, std::int64_t until, std::int64_t now) {
    while (!order_.empty() && (order_.begin()->first <= now || order_.size() >= kMost)) {
      until_.erase(order_.begin()->second);
      order_.erase(order_.begin());
    }
    if (until <= now) return;
    const auto [known, fresh] = until_.emplace(ike_sa, until);
    if (!fresh) {
      if (known->second >= until) return;
      order_.erase({known->second, ike_sa});
      known->second = until;
    }
    order_.emplace(until, ike_sa);
  }
  [[nodiscard]] bool has(const Key& ike_sa) const { return until_.contains(ike_sa); }

 private:
  static constexpr std::size_t kMost = 100'000;
  std::map<Key, std::int64_t> until_;
  std::set<std::pair<std::int64_t, Key>> order_;
};

struct HeldTicket {
  Bytes ticket;
  Instant good_until;
  TicketState state;        // the same as inside, as far as we know it
  model::IkeSaId ike_sa;    // of ours
  net::IpAddress gateway;   // that gave it
  bool unanswered = false;  // it was shown, and nothing came back: the next attempt goes without it
};

}  // namespace culvert::ike::v2
