// AcquireQueue: the first packets of a flow wait here while IKE makes their SA (RFC 4301 5.1). Bounded per rule, in
// all, and in time.
#pragma once

#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "ipsec/data_plane.hpp"
#include "ipsec/drop_reason.hpp"
#include "ipsec/packet_io.hpp"
#include "ipsec/spd.hpp"

namespace culvert::ipsec {

struct AcquireBounds {
  std::size_t packets = 64;  // per rule
  std::size_t bytes = std::size_t{512} * 1024;
  std::size_t total_bytes = std::size_t{8} * 1024 * 1024;
  Duration age = std::chrono::seconds(10);
};

/// A copy of an inner packet with the head- and tailroom that the engine's face promises.
class WaitingPacket {
 public:
  WaitingPacket(const InnerPacket& packet, Instant since);
  [[nodiscard]] InnerPacket view();
  [[nodiscard]] Instant since() const { return since_; }
  [[nodiscard]] std::size_t size() const { return storage_.size(); }

 private:
  Bytes storage_;
  Offload offload_;
  Instant since_;
};

class AcquireQueue {
 public:
  /// A rule, and the connection whose SAs it wants: the new SA of one concerns nobody who waits for another's.
  struct Rule {
    model::ConnectionId connection;
    PolicyId policy;
    friend auto operator<=>(const Rule&, const Rule&) = default;
  };

  explicit AcquireQueue(const AcquireBounds& bounds) : bounds_(bounds) {}

  /// Copies the packet into its rule's queue. False when that would pass a bound.
  [[nodiscard]] bool push(const Rule& rule, const InnerPacket& packet, Instant since);
  /// Whether control should be told (again) that the rule needs an SA with these selectors; of the same ones at most
  /// once a second. Marks it as told. A rule that takes selectors from its packets may ask for up to kMaxAsked SAs at a
  /// time.
  [[nodiscard]] bool should_ask(const Rule& rule, const SaSelectors& selectors, Instant now);
  static constexpr std::size_t kMaxAsked = 256;

  /// All that waits, rule by rule and in order within each.
  [[nodiscard]] std::vector<WaitingPacket> take_all();
  /// Likewise what waits for SAs of the connection. Costs by that, not by all that waits.
  [[nodiscard]] std::vector<WaitingPacket> take_of(model::ConnectionId connection);
  [[nodiscard]] bool has_any_of(model::ConnectionId connection) const;
  /// Drops what has waited too long; the number of packets dropped. Forgets rules that have not asked for a while.
  std::size_t expire(Instant now);
  [[nodiscard]] std::optional<Instant> next_expiry() const;
  [[nodiscard]] bool empty() const { return total_bytes_ == 0; }
  /// Rules of which it knows something.
  [[nodiscard]] std::size_t rules() const { return queues_.size(); }

 private:
  struct Queue {
    std::deque<WaitingPacket> packets;
    std::size_t bytes = 0;
    std::map<SaSelectors, Instant> asked;
    bool listed = false;  // in asking_
  };
  using Queues = std::map<Rule, Queue>;
  void note_asked(Queue& queue, const Rule& rule, Instant now);
  void forget_when_idle(Queues::iterator queue);
  void take(Queue& queue, std::vector<WaitingPacket>& taken);

  AcquireBounds bounds_;
  // Of 100,000 rules all may wait at once, while IKE brings their SAs one by one: none of this looks at all of them.
  Queues queues_;
  std::set<std::pair<Instant, Rule>> waiting_;   // rules with packets, by the first one's time
  std::deque<std::pair<Instant, Rule>> asking_;  // rules that have asked, by when they were last looked at
  std::size_t total_bytes_ = 0;
};

}  // namespace culvert::ipsec
