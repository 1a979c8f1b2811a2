// InitiatorExchange: one request of ours with all that must be remembered until its response. ResponderExchange: one
// request of the peer that waits for completions before it is answered. One class, and file, per exchange.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "ike/codec/message.hpp"
#include "ike/face.hpp"
#include "ike/v2/task.hpp"
#include "model/iana/exchange_type.hpp"
#include "model/ids.hpp"

namespace culvert::ike::v2 {

/// What an exchange is about, for the collision rules of RFC 7296 2.25.
enum class Activity : std::uint8_t { set_up, create_child, rekey_child, rekey_ike, delete_child, delete_ike, inform };

/// The peer's rekey of what this exchange of ours rekeys (RFC 7296 2.8.1, 2.8.2).
struct RekeyCollision {
  // The pair that it made, or the IKE SA; neither while additional key exchanges are still to come (RFC 9370 2.2.4).
  std::optional<model::ChildSaId> child;
  std::optional<model::IkeSaId> ike_sa;
  Bytes nonce_i;
  Bytes nonce_r;
  // The peer has deleted the IKE SA again: for it was to go, or for the peer wants none any more.
  bool deleted = false;
};
/// True when the SA made with the nonces `a` holds the lowest of the four and must go. Octet by octet, the end of a
/// nonce being lower than any octet (RFC 7296 2.8.1).
[[nodiscard]] inline bool has_lowest_nonce(const Bytes& a_i, const Bytes& a_r, const Bytes& b_i, const Bytes& b_r) {
  return std::min(a_i, a_r) < std::min(b_i, b_r);
}

enum class Progression : std::uint8_t { waiting, done };

class InitiatorExchange {
 public:
  virtual ~InitiatorExchange() = default;
  [[nodiscard]] virtual model::ExchangeType type() const = 0;
  [[nodiscard]] virtual Activity activity() const = 0;
  /// The number of its last request; nothing before the first.
  [[nodiscard]] std::optional<model::MessageId> request() const { return request_; }
  void note_sent(model::MessageId id) { request_ = id; }
  /// How many requests it may still send, at the most.
  [[nodiscard]] virtual std::size_t requests_left() const { return request_ ? 0 : 1; }
  /// The Child SA that it rekeys or deletes.
  [[nodiscard]] virtual std::optional<model::ChildSaId> child() const { return std::nullopt; }

  /// Whose Child SA it makes or rekeys.
  [[nodiscard]] virtual std::optional<model::ConnectionId> connection() const { return std::nullopt; }
  /// What it makes is wanted no more, and goes at once.
  virtual void give_up() {}

  /// What the new Child SA that it makes is wanted for.
  [[nodiscard]] virtual const ChildWish* wish() const { return nullptr; }

  /// Sends the request, now or after a completion (`waiting`); `done` when there is nothing to do any more.
  virtual Progression start() = 0;
  /// The task to begin it with again, as long as it waits for a completion and the peer has heard nothing of it: until
  /// then it collides with nothing of the peer's.
  [[nodiscard]] virtual std::optional<Task> not_begun() const { return std::nullopt; }
  /// The task to do the same with again, when its request can have no answer any more (RFC 6311 9).
  [[nodiscard]] virtual std::optional<Task> anew() const { return not_begun(); }
  /// The authentic response, its payload set checked. While it runs the IKE SA has no exchange, so that it may begin
  /// another.
  virtual Progression handle_response(const codec::Message& response) = 0;
  virtual Progression handle_completion(RequestToken token, Completion result) {
    (void)token, (void)result;
    return Progression::waiting;
  }
  /// The peer rekeys the same SA, and we have answered as usual.
  virtual void note_collision(const RekeyCollision& collision) { (void)collision; }
  /// And has deleted what its rekey made, before ours is answered.
  virtual void note_collision_deleted() {}
  /// The peer's response could not be parsed or lacks payloads: give back what was reserved.
  virtual void handle_bad_response(const std::string& fault) = 0;
  /// No response came, or the IKE SA ended underneath: give back what was reserved.
  virtual void abandon() {}
  /// It waits for this completion.
  [[nodiscard]] virtual bool awaits(RequestToken token) const {
    (void)token;
    return true;
  }

 private:
  std::optional<model::MessageId> request_;
};

/// Until it answers, the message id of its request is taken: retransmissions are ignored, and what the peer sends out
/// of its window is too. When the IKE SA ends underneath it goes without an answer.
class ResponderExchange {
 public:
  virtual ~ResponderExchange() = default;
  /// May end, and with it destroy, the exchange. Tokens of questions given up are ignored.
  virtual void handle_completion(RequestToken token, Completion result) = 0;
};

}  // namespace culvert::ike::v2
