// IKE_AUTH as responder (RFC 7296 1.2, 2.15, 2.21.2): who the peer is, whether it proves it, then our own proof and the
// Child SA.
#pragma once

#include <optional>
#include <string>

#include "base/check.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/auth_rounds.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/establish.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

class IkeAuthResponder final : public ResponderExchange {
 public:
  /// `path` is where the request came from and the answer goes to.
  IkeAuthResponder(Core& core, IkeSa& sa, const net::Path& path) : core_(core), sa_(sa), path_(path) {}

  void start(const codec::Message& request);
  /// Another IKE_AUTH request after the first, as EAP brings them.
  void handle_further(const codec::Message& request, const net::Path& path);
  void handle_completion(RequestToken token, Completion result) override;

 private:
  /// What was chosen by the peer's identity or its ticket; before that nobody asks.
  [[nodiscard]] model::ConnectionConfig& connection_config() {
    CHECK(config_);
    return *config_;
  }
  [[nodiscard]] const model::ConnectionConfig& connection_config() const {
    CHECK(config_);
    return *config_;
  }
  /// Only where there are several (RFC 4739).
  [[nodiscard]] ResponderRounds& rounds() {
    CHECK(rounds_);
    return *rounds_;
  }
  [[nodiscard]] const ResponderRounds& rounds() const {
    CHECK(rounds_);
    return *rounds_;
  }
  /// The connection for the identities of the request (RFC 4301 4.4.3); the reason in words when there is none.
  /// `by`: how the peer's AUTH proves it; nothing when it has none, and wants EAP.
  [[nodiscard]] const model::ConnectionConfig* choose_connection(std::optional<model::Authentication> by,
                                                                 std::string& why_not) const;
  /// Whom the connections for the peer's address expect.
  [[nodiscard]] std::string expectations() const;
  void report_unknown(const std::string& why_not, const model::AuthenticationRefusal& refusal);
  void start_resumed();
  [[nodiscard]] bool lacks_child() const;
  /// By which the peer's AUTH proves it; nothing when it has none, and wants EAP.
  [[nodiscard]] std::optional<model::Authentication> claimed_method() const;
  /// The connection is known, and so is that its PPK is the one that is in the keys already, if one is.
  void begin_proof();
  void refuse_childless();
  /// The peer is who it says it is.
  void note_proof(const Completion& result);
  /// Into the answer; `with_identity`: it does not follow a proof of ours.
  void add_proof(OwnProof proof, bool with_identity);
  /// Both sides have proved who they are: what is left is an address, if the peer asks for one.
  void finish();
  void answer();
  void answer_child(codec::Message& answer, const Rivalry& rivalry);
  void send_away(codec::Message answer, const std::string& gateway);
  void start_eap();
  void handle_eap_completion(Completion result);
  void take_eap_step(EapResult result);
  [[nodiscard]] NegotiationFailed refused_in_eap(const EapResult& result) const;
  void check_eap_auth(codec::Message request);
  void take_eap_auth(const codec::Message& request);
  void send_eap(Bytes packet);
  void refuse(model::NotifyType type, FailureKind kind, std::string detail,
              std::optional<model::AuthenticationRefusal> refusal = std::nullopt);

  // Several rounds (ike_auth_responder_rounds.cpp).
  void start_rounds();
  void begin_peer_round(const codec::Message& request);
  void handle_round_completion(Completion result);
  void end_peer_round();
  /// The initiator's part of the request is done: takes our own next proof along.
  void answer_round();
  void deliver_round();
  /// A request that does not go on with EAP.
  void further_round(const codec::Message& request);
  /// EAP has gone well, and the AUTH behind it.
  void end_eap_round(const codec::Message& request);
  void refuse_round(std::string why);

  Core& core_;
  IkeSa& sa_;
  net::Path path_;
  codec::Message request_;      // the first
  model::MessageId answering_;  // of the last
  std::optional<model::ConnectionConfig> config_;
  codec::IdPayload id_i_;  // the last
  codec::IdPayload id_r_;  // likewise
  std::optional<AddressResult> given_;
  bool verified_ = false;
  RequestToken token_;
  /// What EAP waits for.
  enum class EapStage : std::uint8_t { none, own_proof, step, peer, peer_auth, ppk };
  EapStage eap_ = EapStage::none;
  bool eap_only_ = false;        // RFC 5998: it proves us as well
  codec::Message first_answer_;  // IDr, CERT and AUTH, and what the next answer has besides, until it goes
  Bytes eap_farewell_;           // EAP-Failure, to go with the refusal
  bool reported_ = false;        // that the peer is refused, before it has heard the last of it
  SecretBytes msk_;
  codec::Message eap_request_;  // that has the AUTH behind EAP, while the keys with the PPK are made
  std::string group_;           // that EAP names
  std::optional<ResponderRounds> rounds_;
};

}  // namespace culvert::ike::v2
