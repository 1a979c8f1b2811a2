// The peer's CREATE_CHILD_SA request from its arrival to its answer, which a key exchange may have to be computed for
// (RFC 7296 1.3). It is judged when it comes and, if it had to wait, again when the answer can be made: what happened
// meanwhile counts as if the request had come only then.
#pragma once

#include <optional>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/exchange.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/payload_rules.hpp"

namespace culvert::ike::v2 {

/// Our part of the key exchange that the request calls for.
struct RequestedKeyExchange {
  model::KeyExchangeMethod method = model::KeyExchangeMethod::none;
  std::optional<KeyExchangeResult> computed;

  /// Whether it has been computed by this method. If not it is the one that is wanted.
  [[nodiscard]] bool is_ready(model::KeyExchangeMethod wanted) {
    const bool ready = computed && method == wanted;
    method = wanted;
    return ready;
  }
};

class CreateChildSaRequest final : public ResponderExchange {
 public:
  /// `path` is where the request came from and the answer goes to; `form` is that of a request of CREATE_CHILD_SA.
  CreateChildSaRequest(Core& core, IkeSa& sa, const net::Path& path, MessageForm form, const codec::Message& request)
      : core_(core), sa_(sa), path_(path), form_(form), request_(request) {}

  /// True when it is answered, false when it waits.
  [[nodiscard]] bool start();
  void handle_completion(RequestToken token, Completion result) override;

 private:
  /// Nothing when a key exchange must be computed first.
  [[nodiscard]] std::optional<codec::Message> handle();
  void answer(codec::Message message);

  Core& core_;
  IkeSa& sa_;
  const net::Path path_;
  const MessageForm form_;
  const codec::Message request_;
  RequestedKeyExchange key_exchange_;
  RequestToken token_;
};

}  // namespace culvert::ike::v2
