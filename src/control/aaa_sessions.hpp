// AaaSessions: the sessions that an AAA server has allowed: how long they may last, what they carried, and what
// accounting is to hear of them (RFC 2866, RFC 2869 5.16). A session is an IKE SA and all that replace it. Pure: time
// and counters come in, records and the IKE SAs that must end go out.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "base/timer_queue.hpp"
#include "ike/face.hpp"
#include "ipsec/data_plane.hpp"
#include "model/aaa.hpp"
#include "model/ids.hpp"

namespace culvert::control {

class AaaSessions {
 public:
  /// What the Child SAs that stand in an IKE SA have carried.
  using Meter = std::function<model::SessionTraffic(model::IkeSaId)>;
  using Authorization = std::shared_ptr<const model::Authorization>;

  /// The IKE SA stands; `addresses` are what its peer was given. Null `authorization`: nothing is kept.
  void begin(model::IkeSaId sa, Authorization authorization, std::string tunnel, const net::Path& path,
             std::vector<net::IpAddress> addresses, Instant now);
  /// It goes on under another IKE SA: it was rekeyed.
  void move(model::IkeSaId from, model::IkeSaId to);
  void set_path(model::IkeSaId sa, const net::Path& path);
  /// A Child SA goes, having carried this.
  void add(model::IkeSaId sa, const ipsec::SaCounters& carried);
  /// The IKE SA is gone, its Child SAs went before.
  void end(model::IkeSaId sa, ike::CloseReason reason, Instant now);
  /// The daemon ends: so what ends from now on.
  void shut_down() { shutting_down_ = true; }

  /// IKE SAs that must end now: their time is up, or they carried nothing for long.
  [[nodiscard]] std::vector<model::IkeSaId> handle_time(const Meter& meter, Instant now);
  [[nodiscard]] std::optional<Instant> next_timeout() const { return timers_.next(); }

  /// In the order of their making.
  [[nodiscard]] std::vector<model::IkeSaId> find(const model::SessionQuery& query) const;
  /// The reason for accounting when it ends; what was noted first stays.
  void note_cause(model::IkeSaId sa, model::TerminateCause cause);
  void change(model::IkeSaId sa, const model::SessionChange& change, const Meter& meter, Instant now);

  /// Since the last call, in order.
  [[nodiscard]] std::vector<model::SessionRecord> take_records() { return std::exchange(records_, {}); }
  [[nodiscard]] bool empty() const { return sessions_.empty(); }

 private:
  struct Session {
    Authorization authorization;
    std::string tunnel;
    net::Path path;
    std::vector<net::IpAddress> addresses;
    Instant begun;
    model::SessionTraffic gone;  // of Child SAs that are no more
    std::uint64_t packets = 0;   // in all, when the idle time was last looked at
    OptionalInstant expires_at;
    OptionalInstant idle_at;
    OptionalInstant interim_at;
    model::TerminateCause cause = model::TerminateCause::none;
  };

  void record(const Session& session, model::SessionRecord::Kind kind, const model::SessionTraffic& traffic,
              model::TerminateCause cause, Instant now);
  void set_timer(model::IkeSaId sa, const Session& session);
  [[nodiscard]] static bool matches(const Session& session, const model::SessionQuery& query);

  std::map<model::IkeSaId, Session> sessions_;
  TimerQueue<model::IkeSaId> timers_;
  std::vector<model::SessionRecord> records_;
  bool shutting_down_ = false;
};

}  // namespace culvert::control
