// IKE_FOLLOWUP_KE as responder (RFC 9370 2.2.4): one additional key exchange, and with the last the SA that they are
// for.
#pragma once

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

class FollowUpResponder final : public ResponderExchange {
 public:
  /// `path` is where the request came from and the answer goes to.
  FollowUpResponder(Core& core, IkeSa& sa, const net::Path& path) : core_(core), sa_(sa), path_(path) {}

  /// May end, and with it destroy, the exchange.
  void start(const codec::Message& request);
  void handle_completion(RequestToken token, Completion result) override;

 private:
  void answer(codec::Message message);
  void refuse(model::NotifyType type);
  /// All secrets are there. What is answered instead when there is no SA after all.
  [[nodiscard]] std::optional<model::NotifyType> finish(const FollowUp& done);
  [[nodiscard]] std::optional<model::NotifyType> make(const FollowUp& done, const AwaitedIkeSa& ike_sa);
  [[nodiscard]] std::optional<model::NotifyType> make(const FollowUp& done, const AwaitedChild& child);

  Core& core_;
  IkeSa& sa_;
  const net::Path path_;
  model::MessageId answering_;
  Bytes link_;
  model::KeyExchangeMethod method_ = model::KeyExchangeMethod::none;
  RequestToken token_;
};

}  // namespace culvert::ike::v2
