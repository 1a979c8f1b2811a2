// CREATE_CHILD_SA as initiator for a Child SA, new or rekeyed (RFC 7296 1.3.1, 1.3.3, 2.8, 2.8.1, 2.25.1).
#pragma once

#include <optional>
#include <string>

#include "base/check.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/follow_up_series.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/task.hpp"

namespace culvert::ike::v2 {

class CreateChildSaInitiator final : public InitiatorExchange {
 public:
  /// A new pair; with a wish one for that, else for all that the connection has.
  CreateChildSaInitiator(Core& core, IkeSa& sa, const CreateChildTask& task);
  /// A rekey of `old`.
  CreateChildSaInitiator(Core& core, IkeSa& sa, model::ChildSaId old, Retry retry);

  [[nodiscard]] model::ExchangeType type() const override {
    return series_ ? model::ExchangeType::ike_followup_ke : model::ExchangeType::create_child_sa;
  }
  [[nodiscard]] Activity activity() const override { return old_ ? Activity::rekey_child : Activity::create_child; }
  [[nodiscard]] std::optional<model::ChildSaId> child() const override { return old_; }
  [[nodiscard]] std::optional<model::ConnectionId> connection() const override { return connection_; }
  void give_up() override { unwanted_ = true; }
  [[nodiscard]] const ChildWish* wish() const override { return wish_ ? &*wish_ : nullptr; }
  Progression start() override;
  [[nodiscard]] std::optional<Task> not_begun() const override;
  [[nodiscard]] std::optional<Task> anew() const override { return as_task(retry_); }
  Progression handle_response(const codec::Message& response) override;
  Progression handle_completion(RequestToken token, Completion result) override;
  [[nodiscard]] std::size_t requests_left() const override;
  [[nodiscard]] bool awaits(RequestToken token) const override {
    return series_ ? series_->awaits(token) : token == token_;
  }
  void handle_bad_response(const std::string& fault) override;
  void abandon() override;
  void note_collision(const RekeyCollision& collision) override { collision_ = collision; }

 private:
  /// From the request on, until the pair is made or abandoned.
  [[nodiscard]] ChildOffer& offer() {
    CHECK(offer_);
    return *offer_;
  }
  /// Whether what it was to bring about is there, or can no longer be.
  [[nodiscard]] bool settled_meanwhile(const ChildSa* old) const;
  /// What it began with, and what it begins with again.
  [[nodiscard]] Task as_task(const Retry& retry) const;
  Progression send(const ChildSa* old, const ChildSa* fallback);
  void handle_refusal(const codec::NotifyPayload& error);
  void handle_agreement(const ChildAgreement& agreement, const codec::Message& response, ByteView shared_secret,
                        ByteView further);
  /// Begins the additional key exchanges that were agreed on, unless the peer's rekey has precedence.
  [[nodiscard]] Progression follow_up(ChildAgreement agreement, const codec::Message& response);
  [[nodiscard]] Progression follow(FollowUpSeries::Step step);
  void fail_series(const FollowUpSeries& series);
  [[nodiscard]] bool loses_to_peer(const Bytes& nonce_r) const;
  /// A guest of the IKE SA that the peer does not take there sets up its own.
  [[nodiscard]] bool go_alone(const ChildRefusal& refusal);
  /// The pair that the peer has made, or was about to make, goes.
  void win();
  void yield();
  void retry(Duration after, model::KeyExchangeMethod method = model::KeyExchangeMethod::none);
  void fail(const ChildRefusal& refusal, bool peer_has_it);
  [[nodiscard]] bool give_up_wish() const;

  Core& core_;
  IkeSa& sa_;
  std::optional<model::ChildSaId> old_;
  model::ConnectionId connection_;  // whose the pair is
  bool anew_ = false;               // CreateChildTask::anew
  bool unwanted_ = false;
  std::optional<ChildWish> wish_;
  Retry retry_;
  std::size_t additional_ = 0;  // key exchanges, at the most
  model::ConnectionConfig config_;
  std::optional<ChildOffer> offer_;
  Bytes nonce_;
  std::optional<RekeyCollision> collision_;
  std::optional<Instant> sent_at_;
  // Our part of the key exchange, before there is an offer for it.
  std::unique_ptr<crypto::KeyExchange> key_exchange_;
  model::KeyExchangeMethod method_ = model::KeyExchangeMethod::none;
  RequestToken token_;
  // The response, while the secret shared with the peer is computed.
  std::optional<codec::Message> response_;
  std::optional<KeyExchangeResult> computed_;
  // Behind it, what was agreed on, while additional key exchanges are under way.
  std::optional<ChildAgreement> agreement_;
  std::optional<FollowUpSeries> series_;
};

}  // namespace culvert::ike::v2
