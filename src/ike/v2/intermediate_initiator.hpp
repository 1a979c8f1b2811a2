// IKE_INTERMEDIATE as initiator: one additional key exchange (RFC 9370 2.2.2), then the next, then IKE_AUTH; with the
// last one, or alone, a PPK (RFC 9867).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/check.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

class IntermediateInitiator final : public InitiatorExchange {
 public:
  /// The next additional key exchange of the IKE SA is by `method`; or there is none, and a PPK is due.
  IntermediateInitiator(Core& core, IkeSa& sa, model::ConnectionConfig config,
                        std::optional<model::KeyExchangeMethod> method);

  [[nodiscard]] model::ExchangeType type() const override { return model::ExchangeType::ike_intermediate; }
  [[nodiscard]] Activity activity() const override { return Activity::set_up; }
  Progression start() override;
  Progression handle_response(const codec::Message& response) override;
  Progression handle_completion(RequestToken token, Completion result) override;
  void handle_bad_response(const std::string& fault) override;
  /// No answer came.
  void give_up() override;

 private:
  /// Only where it is named.
  [[nodiscard]] const model::Ppk& ppk() const {
    CHECK(config_.ppk);
    return *config_.ppk;
  }
  Progression handle_key_exchange(KeyExchangeResult computed);
  Progression handle_ppk(PpkResult result);
  void send();
  /// The peer's message is understood, its secret is known: what the new keys come of.
  Progression mix();
  Progression finish(ByteView skeyseed);
  Progression fail(FailureKind kind, std::optional<model::NotifyType> notify, std::string detail);

  Core& core_;
  IkeSa& sa_;
  model::ConnectionConfig config_;
  const std::optional<model::KeyExchangeMethod> method_;
  const bool names_ppk_;
  std::unique_ptr<crypto::KeyExchange> own_;
  Bytes confirmation_;                        // of the PPK
  SecretBytes skeyseed_;                      // of the key exchange
  std::optional<model::MessageId> answered_;  // the response is there, the keys are being computed
  RequestToken token_;
};

/// After IKE_SA_INIT, or an IKE_INTERMEDIATE: the next additional key exchange that was agreed on, or the PPK; else
/// IKE_AUTH.
void continue_set_up(Core& core, IkeSa& sa, model::ConnectionConfig config);

}  // namespace culvert::ike::v2
