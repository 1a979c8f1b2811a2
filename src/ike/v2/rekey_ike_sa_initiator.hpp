// CREATE_CHILD_SA as initiator for the IKE SA itself (RFC 7296 1.3.2, 2.8.2, 2.18, 2.25.2).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/key_exchange.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/follow_up_series.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/task.hpp"
#include "model/connection.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {

class RekeyIkeSaInitiator final : public InitiatorExchange {
 public:
  RekeyIkeSaInitiator(Core& core, IkeSa& sa, Retry retry) : core_(core), sa_(sa), retry_(retry) {}

  [[nodiscard]] model::ExchangeType type() const override {
    return series_ ? model::ExchangeType::ike_followup_ke : model::ExchangeType::create_child_sa;
  }
  [[nodiscard]] Activity activity() const override { return Activity::rekey_ike; }
  Progression start() override;
  [[nodiscard]] std::optional<Task> not_begun() const override {
    return sent_ ? std::nullopt : std::optional<Task>(RekeyIkeTask{.retry = retry_});
  }
  [[nodiscard]] std::optional<Task> anew() const override { return RekeyIkeTask{.retry = retry_}; }
  Progression handle_response(const codec::Message& response) override;
  Progression handle_completion(RequestToken token, Completion result) override;
  void handle_bad_response(const std::string&) override {}
  void note_collision(const RekeyCollision& collision) override { collision_ = collision; }
  void note_collision_deleted() override {
    if (collision_) collision_->deleted = true;
  }

 private:
  Progression send();
  void handle_refusal(const codec::NotifyPayload& error);
  /// What the response chose, if it may: all but its public value is looked at.
  [[nodiscard]] std::optional<model::ChosenProposal> accept(const codec::Message& response) const;
  void fail_for(const codec::Message& response);
  /// All secrets are there.
  void finish(const codec::Message& response, const model::ChosenProposal& accepted, ByteView further);
  void settle(const codec::Message& response, IkeSa& next);
  /// Begins the additional key exchanges that were agreed on, unless the peer's rekey has precedence.
  [[nodiscard]] Progression follow_up(const codec::Message& response, model::ChosenProposal accepted);
  [[nodiscard]] Progression follow(FollowUpSeries::Step step);
  void fail_series();
  /// How a simultaneous rekey of the peer's stands against ours: the IKE SA that it has made, if it has, and whether
  /// ours is the one to go.
  struct Standing {
    IkeSa* theirs = nullptr;
    bool loses = false;
  };
  [[nodiscard]] Standing compare(const Bytes& nonce_r) const;
  void win(IkeSa* theirs);
  /// RFC 7296 2.8.2: the peer's one was to stay, and the peer has deleted it: nothing is left to go on with.
  void close_with_theirs();
  void retry(Duration after, model::KeyExchangeMethod method = model::KeyExchangeMethod::none);
  void fail(FailureKind kind, std::optional<model::NotifyType> notify, std::string detail);

  Core& core_;
  IkeSa& sa_;
  Retry retry_;
  std::vector<model::Proposal> offered_;
  std::unique_ptr<crypto::KeyExchange> key_exchange_;
  model::KeyExchangeMethod method_ = model::KeyExchangeMethod::none;  // of key_exchange_, there or asked for
  model::IkeSpi spi_;
  PromisedSpi promise_;  // of it
  Bytes nonce_;
  std::optional<RekeyCollision> collision_;
  bool sent_ = false;
  RequestToken token_;
  // The response, while the secret shared with the peer is computed.
  std::optional<codec::Message> response_;
  std::optional<KeyExchangeResult> computed_;
  // Behind it, what was agreed on, while additional key exchanges are under way.
  std::optional<model::ChosenProposal> accepted_;
  std::optional<FollowUpSeries> series_;
};

/// The keys and SPIs of a rekey, put into a new IKE SA that has all else of `old`. `role` is ours in the rekey,
/// `further` as for skeyseed_rekey. Null when our crypto fails.
[[nodiscard]] IkeSa* make_rekeyed_ike_sa(Core& core, IkeSa& old, const model::IkeSuite& suite, model::Role role,
                                         model::IkeSpi spi_i, model::IkeSpi spi_r, ByteView shared_secret,
                                         ByteView nonce_i, ByteView nonce_r, ByteView further = {});
/// `next` takes over from `old`: it is announced, and inherits the Child SAs (RFC 7296 2.18).
void promote(Core& core, IkeSa& old, IkeSa& next);

}  // namespace culvert::ike::v2
