// The second half of IKE_SA_INIT as responder (RFC 7296 1.2, 2.14): the IKE SA is half-open and has no keys until the
// key exchange is computed; then it is keyed and the request answered.
#pragma once

#include <string_view>

#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"
#include "model/proposal.hpp"

namespace culvert::ike::v2 {

class IkeSaInitAnswer final : public ResponderExchange {
 public:
  /// `sa` has what the request said; `encapsulation` is that of the connection.
  IkeSaInitAnswer(Core& core, IkeSa& sa, model::EncapsulationPolicy encapsulation, model::ChosenProposal chosen);

  void start(ByteView peer_value);
  void handle_completion(RequestToken token, Completion result) override;

 private:
  void answer(ByteView public_value);
  /// The peer's value is none.
  void refuse();
  /// Our own crypto failed.
  void fail(std::string_view why);

  Core& core_;
  IkeSa& sa_;
  const model::EncapsulationPolicy encapsulation_;
  const model::ChosenProposal chosen_;
  RequestToken token_;
};

}  // namespace culvert::ike::v2
