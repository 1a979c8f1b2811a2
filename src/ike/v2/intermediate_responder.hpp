// IKE_INTERMEDIATE as responder: one additional key exchange (RFC 9370 2.2.2).
#pragma once

#include <string>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

class IntermediateResponder final : public ResponderExchange {
 public:
  /// `path` is where the request came from and the answer goes to. One more additional key exchange is agreed on.
  IntermediateResponder(Core& core, IkeSa& sa, const net::Path& path);

  /// May end, and with it destroy, the exchange.
  void start(const codec::Message& request);
  void handle_completion(RequestToken token, Completion result) override;

 private:
  void refuse(FailureKind kind, std::string detail);

  Core& core_;
  IkeSa& sa_;
  const net::Path path_;
  const model::KeyExchangeMethod method_;
  model::MessageId answering_;
  RequestToken token_;
};

}  // namespace culvert::ike::v2
