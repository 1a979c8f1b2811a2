// CREATE_CHILD_SA as responder for a Child SA, new or rekeyed (RFC 7296 1.3.1, 1.3.3, 2.8, 2.25.1), or one of several
// with the same selectors (RFC 9611).
#pragma once

#include <optional>

#include "base/result.hpp"
#include "ike/codec/message.hpp"
#include "ike/v2/child_negotiation.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/create_child_sa_request.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

/// What the key exchanges of a request have brought; `further` with additional ones.
struct ExchangedSecrets {
  model::MessageId request;  // of the last of them
  ByteView shared_secret;
  ByteView further;
  ByteView nonce_i;
  ByteView nonce_r;
};
/// The pair that the peer asked for, in place of `old` if there is one.
void install_answered(Core& core, IkeSa& sa, const model::ConnectionConfig& config, const ChildAgreement& agreement,
                      ChildSa* old, const ExchangedSecrets& secrets);

class CreateChildSaResponder {
 public:
  CreateChildSaResponder(Core& core, IkeSa& sa, RequestedKeyExchange& key_exchange)
      : core_(core), sa_(sa), key_exchange_(key_exchange) {}
  /// The answer; nothing when the key exchange must be computed first.
  [[nodiscard]] std::optional<codec::Message> handle(const codec::Message& request);

 private:
  [[nodiscard]] std::optional<codec::Message> create(const codec::Message& request, ChildSa* old);
  /// The pair comes with the last of the additional key exchanges that were agreed on.
  [[nodiscard]] codec::Message await_further(codec::Message answer, const ChildChoice& choice, const ChildSa* old,
                                             const ExchangedSecrets& secrets);
  /// What to answer with; or the refusal.
  [[nodiscard]] Result<ChildChoice, codec::Message> choose(const codec::Message& request,
                                                           const model::ConnectionConfig& config, const ChildSa* old);

  Core& core_;
  IkeSa& sa_;
  RequestedKeyExchange& key_exchange_;
};

}  // namespace culvert::ike::v2
