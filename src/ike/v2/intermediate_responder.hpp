// IKE_INTERMEDIATE as responder: one additional key exchange (RFC 9370 2.2.2), a PPK (RFC 9867), or both.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/ppk_intermediate.hpp"

namespace culvert::ike::v2 {

class IntermediateResponder final : public ResponderExchange {
 public:
  /// `path` is where the request came from and the answer goes to. One more additional key exchange is agreed on, or a
  /// PPK is due.
  IntermediateResponder(Core& core, IkeSa& sa, const net::Path& path);

  /// May end, and with it destroy, the exchange.
  void start(const codec::Message& request);
  void handle_completion(RequestToken token, Completion result) override;

 private:
  void try_next_ppk();
  void handle_ppk(PpkResult result);
  void answer();
  void refuse(FailureKind kind, std::string detail, model::NotifyType notify = model::NotifyType::invalid_syntax);

  Core& core_;
  IkeSa& sa_;
  const net::Path path_;
  const std::optional<model::KeyExchangeMethod> method_;
  const bool last_;  // no additional key exchange comes behind it
  model::MessageId answering_;
  RequestToken token_;
  std::unique_ptr<crypto::KeyExchange> own_;
  SecretBytes skeyseed_;  // of the key exchange, then with the PPK
  bool ppk_named_ = false;
  std::vector<PpkCandidate> ppks_;  // the last one is looked at next
};

}  // namespace culvert::ike::v2
