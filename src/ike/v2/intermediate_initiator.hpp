// IKE_INTERMEDIATE as initiator: one additional key exchange (RFC 9370 2.2.2), then the next, then IKE_AUTH.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

class IntermediateInitiator final : public InitiatorExchange {
 public:
  /// The next additional key exchange of the IKE SA is by `method`.
  IntermediateInitiator(Core& core, IkeSa& sa, model::ConnectionConfig config, model::KeyExchangeMethod method);

  [[nodiscard]] model::ExchangeType type() const override { return model::ExchangeType::ike_intermediate; }
  [[nodiscard]] Activity activity() const override { return Activity::set_up; }
  Progression start() override;
  Progression handle_response(const codec::Message& response) override;
  Progression handle_completion(RequestToken token, Completion result) override;
  void handle_bad_response(const std::string& fault) override;
  /// No answer came.
  void give_up();

 private:
  Progression fail(FailureKind kind, std::optional<model::NotifyType> notify, std::string detail);

  Core& core_;
  IkeSa& sa_;
  model::ConnectionConfig config_;
  const model::KeyExchangeMethod method_;
  std::unique_ptr<crypto::KeyExchange> own_;
  std::optional<model::MessageId> answered_;  // the response is there, its secret is being computed
  RequestToken token_;
};

/// After IKE_SA_INIT, or an IKE_INTERMEDIATE: the next additional key exchange that was agreed on, else IKE_AUTH.
void continue_set_up(Core& core, IkeSa& sa, model::ConnectionConfig config);

}  // namespace culvert::ike::v2
