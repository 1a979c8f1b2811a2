// ExchangeWindow: the message ids of one IKE SA in both directions, retransmission of our requests and the responses
// kept for retransmissions of the peer's (RFC 7296 2.1 to 2.3). Knows datagrams and numbers only, not what the messages
// say.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/small_map.hpp"
#include "base/time.hpp"
#include "ike/v2/outgoing.hpp"
#include "model/ids.hpp"

namespace culvert::ike::v2 {

/// When a request is sent again: after `first`, then after ever longer waits by `factor`, `tries` sends in all.
struct RetransmitPolicy {
  Duration first{};
  double factor = 2.0;
  unsigned tries = 1;

  /// The wait after the send with the given number, the first being 0; without jitter.
  [[nodiscard]] Duration wait_after(unsigned sends_before) const;
  /// From the first send until giving up.
  [[nodiscard]] Duration span() const;
};

class ExchangeWindow {
 public:
  // ---- requests of ours

  /// RFC 7296 2.3: no request beyond the window that the peer has granted; one until it says otherwise. Also not with
  /// so many about to be sent, and reckoned from the oldest that has no answer.
  [[nodiscard]] bool may_send(std::size_t planned = 0) const;
  /// The peer grants so many; it never takes any back (RFC 7296 2.3).
  void grant(std::uint32_t window) { send_window_ = std::max(send_window_, window); }
  [[nodiscard]] std::uint32_t granted() const { return send_window_; }
  [[nodiscard]] bool is_wide() const { return send_window_ > 1; }
  [[nodiscard]] model::MessageId next_id() const { return next_id_; }
  /// Takes the request with next_id(), just sent for the first time. The caller keeps to the window.
  void sent(Outgoing request, const RetransmitPolicy& policy, Instant now, RandomSource& random);
  /// Replaces an outstanding request, also just sent: IKE_SA_INIT with a cookie or another key exchange keeps its
  /// number.
  void replaced(model::MessageId id, Outgoing request, Instant now, RandomSource& random);
  /// The waits start over for an outstanding request, just sent in another form.
  void restart(model::MessageId id, Instant now, RandomSource& random);
  [[nodiscard]] bool awaits(model::MessageId id) const { return outstanding_.contains(id); }
  [[nodiscard]] bool idle() const { return outstanding_.empty(); }
  /// The requests without an answer, in order.
  [[nodiscard]] std::vector<model::MessageId> awaited() const;
  /// The outstanding request, or null.
  [[nodiscard]] Outgoing* request(model::MessageId id);
  /// How often the outstanding request was sent, in the form that it has now.
  [[nodiscard]] unsigned sends(model::MessageId id) const { return outstanding_.at(id).sends; }
  /// A valid response came: the request is done.
  void answered(model::MessageId id) { outstanding_.erase(id); }
  /// Stops retransmitting without an answer; the ids stay used.
  void forget_requests() { outstanding_.clear(); }
  /// Our next request gets this number, if it is no lower than it would be; requests without an answer are forgotten.
  void skip_to(model::MessageId next);
  /// Shortens what is left of every outstanding request: the waits start again, as `policy` says. Never lengthens the
  /// time left.
  void hasten(const RetransmitPolicy& policy, Instant now, RandomSource& random);

  [[nodiscard]] std::optional<Instant> deadline() const;
  struct Due {
    std::vector<model::MessageId> resend;  // RFC 7296 2.1: bitwise identical, unless in other fragments
    bool give_up = false;                  // a request stays without an answer
  };
  [[nodiscard]] Due handle_timeout(Instant now, RandomSource& random);

  // ---- requests of the peer

  /// It has been told that so many may be under way.
  void widen(std::uint32_t window) { receive_window_ = std::max(receive_window_, window); }
  /// The first number of a request that the peer cannot send before it has the answer to that with this one.
  [[nodiscard]] model::MessageId proves(model::MessageId answered) const {
    return model::MessageId(answered.value() + receive_window_);
  }

  /// The number of the next request in order.
  [[nodiscard]] model::MessageId expected_id() const { return expected_id_; }
  /// One more than the highest number of a request that came.
  [[nodiscard]] model::MessageId beyond_received() const;
  /// The next request has this number, if it is no lower than it would be; nothing before it is taken or answered.
  void expect(model::MessageId next);

  enum class Verdict : std::uint8_t {
    fresh,     // next in order: process it
    repeated,  // answered before: send the cached response again
    busy,      // being processed: ignore
    old,       // its response is forgotten: ignore (RFC 7296 2.1)
    ahead      // beyond the window: ignore
  };
  [[nodiscard]] Verdict classify(model::MessageId id) const;
  /// The fresh request is being processed from here on.
  void accept(model::MessageId id);
  /// Keeps the response until the window has moved past it; with `now`, at least until forget_answers.
  void respond(model::MessageId id, Outgoing response, std::optional<Instant> now = std::nullopt);
  /// Gives back the memory of responses that are so old that no retransmission of their requests is under way.
  void forget_answers(Instant now);
  [[nodiscard]] Outgoing* response(model::MessageId id);
  /// How often the request has come again, this time included, since it was answered or this was forgotten.
  [[nodiscard]] unsigned count_repetition(model::MessageId id) { return ++responses_.at(id).repetitions; }
  void forget_repetitions(model::MessageId id) { responses_.at(id).repetitions = 0; }

 private:
  struct Outstanding {
    Outgoing request;
    RetransmitPolicy policy;
    unsigned sends = 1;
    Instant next;
  };
  struct Answer {
    std::optional<Outgoing> response;  // nothing while the request is being processed
    unsigned repetitions = 0;
  };
  void schedule(Outstanding& request, Instant now, RandomSource& random) const;

  std::uint32_t send_window_ = 1;
  std::uint32_t receive_window_ = 1;
  model::MessageId next_id_{0};
  model::MessageId expected_id_{0};
  SmallMap<model::MessageId, Outstanding> outstanding_;
  SmallMap<model::MessageId, Answer> responses_;
  OptionalInstant answered_at_;  // the last time
};

}  // namespace culvert::ike::v2
