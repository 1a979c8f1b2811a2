// PPK in IKE_SA_INIT and IKE_AUTH (RFC 8784): who uses one, who goes on without, and the keys with it. Rekeys know
// nothing of it: what it brought is in SK_d. For IKE_INTERMEDIATE (RFC 9867) see ppk_intermediate.hpp.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "base/secret.hpp"
#include "crypto/prf.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// prf+(PPK, key) for each of SK_d, SK_pi and SK_pr (RFC 8784 3), by whoever has the PPK.
[[nodiscard]] PpkKeys mix_ppk(crypto::Prf prf, ByteView ppk, const PpkKeys& keys);
/// The same, and what it is proved with where that is asked for (RFC 9867 3.1).
[[nodiscard]] PpkResult carry_out(crypto::Prf prf, ByteView ppk, const PpkRequest& request);
/// PPK_ID (RFC 8784 5.1).
[[nodiscard]] Bytes octets_of_id(const model::Ppk& ppk);

// Initiator.

/// USE_PPK in our IKE_SA_INIT, USE_PPK_INT or both, if the connection has one.
void offer_ppk(codec::Message& message, const model::ConnectionConfig& config);
/// From the peer's part of it.
void agree_on_ppk(IkeSa& sa, const codec::Message& peer, const model::ConnectionConfig& config);
/// IKE_INTERMEDIATE may be wanted for it.
[[nodiscard]] bool may_mix_ppk_early(const model::ConnectionConfig& config);
/// The connection insists on it, and the peer has none: the reason not to go on.
[[nodiscard]] std::optional<std::string> ppk_lack(const codec::Message& peer, const model::ConnectionConfig& config);

/// Asks for the keys with the connection's PPK.
[[nodiscard]] RequestToken ask_for_ppk(Core& core, const IkeSa& sa, const model::ConnectionConfig& config);

/// Between the last key exchange and IKE_AUTH: our AUTH without the PPK, where it is not required, and the keys with
/// it. Sends nothing. With EAP all of that is done before the AUTH behind it (RFC 8784 3).
class PpkInitiator final : public InitiatorExchange {
 public:
  PpkInitiator(Core& core, IkeSa& sa, model::ConnectionConfig config)
      : core_(core), sa_(sa), config_(std::move(config)) {}

  [[nodiscard]] model::ExchangeType type() const override { return model::ExchangeType::ike_auth; }
  [[nodiscard]] Activity activity() const override { return Activity::set_up; }
  Progression start() override;
  Progression handle_completion(RequestToken token, Completion result) override;
  Progression handle_response(const codec::Message&) override { return Progression::waiting; }
  void handle_bad_response(const std::string&) override {}

 private:
  Progression fail(std::string detail);

  Core& core_;
  IkeSa& sa_;
  model::ConnectionConfig config_;
  RequestToken token_;
};
/// IKE_AUTH, and before it what a PPK takes.
void start_proof(Core& core, IkeSa& sa, model::ConnectionConfig config);
/// PPK_IDENTITY and NO_PPK_AUTH, where they belong into our request.
void add_ppk(codec::Message& request, const IkeSa& sa, const model::ConnectionConfig& config);
/// The response says whether the peer uses it. Without it the keys are those without; or this is why not.
[[nodiscard]] std::optional<std::string> settle_ppk(IkeSa& sa, const codec::Message& response,
                                                    const model::ConnectionConfig& config);

// Responder.

/// What the answer to IKE_SA_INIT agrees to: the peer has a PPK, and one of the connections for it.
[[nodiscard]] std::optional<PpkState> agreed_ppk(const Core& core, const net::Path& path,
                                                 const codec::Message& request);
/// USE_PPK or USE_PPK_INT in that answer.
void answer_ppk(codec::Message& answer, const IkeSa& sa);
/// The connection insists on a PPK, and the peer knows of none: the reason to refuse it.
[[nodiscard]] std::optional<std::string> ppk_missing(const IkeSa& sa, const model::ConnectionConfig& config);
/// What comes of the IKE_AUTH request that has the peer's AUTH.
struct PpkVerdict {
  std::optional<RequestToken> asked;   // the keys are asked for; take_ppk has the answer
  std::optional<std::string> refusal;  // there is no IKE SA, for this reason
};
/// Where the peer's AUTH without the PPK counts, it takes the place of the one with it in `request`.
[[nodiscard]] PpkVerdict judge_ppk(Core& core, IkeSa& sa, codec::Message& request,
                                   const model::ConnectionConfig& config);

// Either.

/// The keys with the PPK are those of the IKE SA from now on. False: there is none.
[[nodiscard]] bool take_ppk(Core& core, IkeSa& sa, PpkResult result, const model::ConnectionConfig& config);

}  // namespace culvert::ike::v2
