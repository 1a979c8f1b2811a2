// IKE_AUTH as initiator (RFC 7296 1.2, 2.15, 2.21.2). Two waits beside the one for the response: for our own AUTH, and
// for the verdict on the peer's.
#pragma once

#include <optional>
#include <string>

#include "base/check.hpp"
#include "ike/v2/auth_rounds.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/redirect.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

class IkeAuthInitiator final : public InitiatorExchange {
 public:
  IkeAuthInitiator(Core& core, IkeSa& sa, model::ConnectionConfig config);

  [[nodiscard]] model::ExchangeType type() const override { return model::ExchangeType::ike_auth; }
  [[nodiscard]] Activity activity() const override { return Activity::set_up; }
  Progression start() override;
  Progression handle_response(const codec::Message& response) override;
  Progression handle_completion(RequestToken token, Completion result) override;
  void handle_bad_response(const std::string& fault) override;
  void abandon() override;
  /// No answer came.
  void give_up() override;

 private:
  /// Only where there are several (RFC 4739).
  [[nodiscard]] InitiatorRounds& rounds() {
    CHECK(rounds_);
    return *rounds_;
  }
  [[nodiscard]] const InitiatorRounds& rounds() const {
    CHECK(rounds_);
    return *rounds_;
  }
  /// Null: without AUTH, for EAP.
  void send(const OwnProof* proof);
  /// The responder is whom we expect and, where it has AUTH, proves itself in the expected way; else it is refused, and
  /// this is false.
  [[nodiscard]] bool fits_responder(const codec::Message& response);
  void finish(const Completion& verdict, const codec::Message& response);
  /// The responder is who it says it is; its last response, which has the Child SA.
  void conclude(const codec::Message& response);
  void finish_child(const codec::Message& response);
  void leave_for(const GatewayNote& note);
  void refuse_configuration(const codec::Message& response, std::string detail);
  void refuse_peer(FailureKind kind, std::string detail,
                   std::optional<model::AuthenticationRefusal> refusal = std::nullopt);

  [[nodiscard]] Progression handle_eap_response(const codec::Message& response);
  [[nodiscard]] Progression begin_eap(const codec::Message& response);
  [[nodiscard]] Progression check_eap_auth(const codec::Message& response);
  [[nodiscard]] Progression handle_eap_completion(Completion result);
  [[nodiscard]] Progression take_eap_step(const EapResult& result);
  /// AUTH by the key that EAP has made; with a PPK the keys that it gives come first.
  [[nodiscard]] Progression prove_by_eap();
  /// By this notification, with EAP begun.
  [[nodiscard]] Progression refused_by_peer(model::NotifyType error,
                                            const std::optional<model::AuthenticationRefusal>& refusal);
  /// Before the responder takes the IKE SA for established.
  [[nodiscard]] Progression refuse_in_eap(FailureKind kind, std::string detail,
                                          std::optional<model::AuthenticationRefusal> refusal = std::nullopt);

  // Several rounds (ike_auth_initiator_rounds.cpp).
  [[nodiscard]] Progression start_rounds();
  [[nodiscard]] Progression begin_own_round();
  /// Null: without AUTH, for EAP.
  [[nodiscard]] Progression send_round(const OwnProof* proof);
  [[nodiscard]] Progression handle_round_completion(Completion result);
  [[nodiscard]] Progression handle_round_response(const codec::Message& response);
  /// What the response says of the responder is found right: what does it mean for our own round?
  [[nodiscard]] Progression go_on(const codec::Message& response);
  [[nodiscard]] Progression end_own_round(const codec::Message& response);
  [[nodiscard]] Progression next_round(const codec::Message& response);
  /// The responder takes the IKE SA for established, if it was content with the last request.
  [[nodiscard]] bool stands_there() const;
  [[nodiscard]] Progression refused_in_round(model::NotifyType error);
  [[nodiscard]] Progression refuse_round(FailureKind kind, std::string detail,
                                         std::optional<model::AuthenticationRefusal> refusal);

  Core& core_;
  IkeSa& sa_;
  model::ConnectionConfig config_;  // from the configuration payload on as it narrows it
  codec::IdPayload id_i_;
  std::optional<ChildOffer> offer_;
  std::optional<ChildRefusal> no_offer_;
  bool childless_ = false;  // RFC 6023
  std::optional<codec::Message> response_;
  RequestToken token_;
  /// What EAP waits for.
  enum class EapStage : std::uint8_t { none, first_answer, verdict, step, server, ppk, server_auth };
  EapStage eap_ = EapStage::none;
  bool eap_only_ = false;  // RFC 5998: it proves the responder as well
  codec::IdPayload id_r_;
  Bytes eap_packet_;                          // that came with the responder's proof
  std::optional<model::NotifyType> eap_end_;  // the responder has refused us; the reason may be in its last packet
  SecretBytes msk_;
  std::optional<InitiatorRounds> rounds_;
};

/// Begins IKE_AUTH for an IKE SA whose IKE_SA_INIT is done.
void start_ike_auth(Core& core, IkeSa& sa, model::ConnectionConfig config);

}  // namespace culvert::ike::v2
