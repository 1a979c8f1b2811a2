// Tunnel: whether one connection shall be up, and when to try (again). It knows counts and instants only; ControlPlane
// does the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/random.hpp"
#include "base/time.hpp"
#include "base/timer_queue.hpp"
#include "control/child_wishes.hpp"
#include "control/resource_wishes.hpp"
#include "control/view.hpp"
#include "model/configuration.hpp"
#include "model/connection.hpp"

namespace culvert::control {

class Tunnel {
 public:
  /// `attempts`, where it stands with the instant at which it wants to begin, must outlive it.
  Tunnel(model::ConnectionConfig config, std::string peer, bool can_initiate,
         TimerQueue<model::ConnectionId>& attempts);
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  [[nodiscard]] const model::ConnectionConfig& config() const { return config_; }
  model::ConnectionConfig& config() { return config_; }
  /// Where the peer is to be found: an address or a name; of several the one whose turn it is. Empty when any peer may
  /// come and we cannot initiate.
  [[nodiscard]] const std::string& peer() const {
    return peer_turn_ == 0 ? peer_ : config_.further_peers[peer_turn_ - 1];
  }
  [[nodiscard]] bool can_initiate() const { return can_initiate_; }
  [[nodiscard]] TunnelState state() const;
  /// We may begin anew without being asked: it is wanted up, or traffic is reason enough.
  [[nodiscard]] bool may_begin() const {
    return can_initiate_ && (wanted_ || config_.start == model::StartMode::on_demand);
  }
  [[nodiscard]] std::uint64_t attempts() const { return attempts_; }
  [[nodiscard]] std::optional<Instant> retry_at() const { return retry_at_; }
  [[nodiscard]] const std::optional<Failure>& last_failure() const { return last_failure_; }
  [[nodiscard]] bool attempt_running() const { return attempt_running_; }
  [[nodiscard]] std::uint64_t own_attempt() const { return own_attempt_; }
  [[nodiscard]] bool is_current_attempt(std::uint64_t attempt) const {
    return attempt_running_ && attempt == own_attempt_;
  }

  /// Of `remote` only what the peer names in `given` is the tunnel's.
  bool only_peer_subnets = false;

  /// Where the gateway has sent us, while the attempt there is running (RFC 5685).
  struct Lead {
    net::IpAddress from;
    std::optional<model::IkeSaId> ike_sa;  // that stands until then
    std::string gateway;                   // an address or a name
  };
  std::optional<Lead> lead;

  std::string progress;
  ChildWishes wishes;
  ResourceWishes resources;
  /// What the peer gave us, with address = "request".
  std::optional<model::Configuration> given;

  /// What configuration or `culvert up`/`down` want from now on.
  void want(bool up, Instant now);
  /// Traffic asks for the tunnel. Tells nothing; look at the queue of attempts afterwards.
  void acquire(Instant now);
  /// The network is another now: the next attempt, if one is planned, need not wait.
  void hurry(Instant now);
  /// To be called when the instant in the queue of attempts has come.
  std::uint64_t begin_attempt();
  /// An attempt of the peer's: counted, so that its failure has a number.
  void peer_attempt() { ++attempts_; }
  void failed(Instant now, std::string kind, std::string message, std::string hint, RandomSource& random);
  /// Records a failure that ends no attempt of ours (the peer's was refused).
  void peer_failed(Instant now, std::string kind, std::string message, std::string hint);
  /// Of the failure just recorded.
  void set_refusal(std::optional<model::AuthenticationRefusal> refusal) {
    if (last_failure_) last_failure_->refusal = std::move(refusal);
  }

  void child_up(Instant now);
  /// A Child SA went; `last` when no other of the tunnel stands, `wished` when we ended it ourselves.
  void child_down(Instant now, bool last);
  void closing() { closing_ = true; }
  /// Nothing of the tunnel stands any more.
  void all_gone(Instant now);

 private:
  void plan(Instant at) { retry_at_ = at; }
  /// The next place of the peer's; true while there are some that were not tried since the last success.
  [[nodiscard]] bool take_turn(RandomSource& random);
  /// Brings the queue of attempts up to date when it goes out of scope.
  class Change {
   public:
    explicit Change(Tunnel& tunnel) : tunnel_(tunnel) {}
    ~Change() { tunnel_.enqueue(); }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

   private:
    Tunnel& tunnel_;
  };
  void enqueue() { queue_.set(config_.id, attempt_running_ ? std::nullopt : retry_at_); }

  model::ConnectionConfig config_;
  std::string peer_;
  bool can_initiate_;
  std::size_t peer_turn_ = 0;      // 0: peer_
  std::size_t peers_in_vain_ = 0;  // in a row
  bool wanted_ = false;
  bool up_ = false;
  bool was_up_ = false;  // since it is wanted
  bool closing_ = false;
  bool attempt_running_ = false;
  unsigned failures_in_row_ = 0;
  std::uint64_t attempts_ = 0;     // ours and the peer's
  std::uint64_t own_attempt_ = 0;  // the number of our last one
  Instant up_since_{};
  unsigned brief_lives_ = 0;  // in a row
  std::optional<Instant> retry_at_;
  std::optional<Instant> not_before_;  // of an attempt that traffic asks for
  std::optional<Failure> last_failure_;
  TimerQueue<model::ConnectionId>& queue_;
};

}  // namespace culvert::control
