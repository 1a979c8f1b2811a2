// CREATE_CHILD_SA as responder for the IKE SA itself (RFC 7296 1.3.2, 2.8.2, 2.18, 2.25).
#pragma once

#include <optional>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/create_child_sa_request.hpp"
#include "ike/v2/follow_up.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

class RekeyIkeSaResponder {
 public:
  RekeyIkeSaResponder(Core& core, IkeSa& sa, RequestedKeyExchange& key_exchange)
      : core_(core), sa_(sa), key_exchange_(key_exchange) {}
  /// The answer; nothing when the key exchange must be computed first.
  [[nodiscard]] std::optional<codec::Message> handle(const codec::Message& request);

 private:
  [[nodiscard]] bool busy() const;
  /// The successor comes with the last of the additional key exchanges that were agreed on.
  [[nodiscard]] codec::Message await_further(codec::Message answer, FollowUp awaited);

  Core& core_;
  IkeSa& sa_;
  RequestedKeyExchange& key_exchange_;
};

/// `next`, made by the peer's rekey with these nonces, takes over from `sa`; or later, if a rekey of ours leaves open
/// which of the two will.
void take_over(Core& core, IkeSa& sa, IkeSa& next, ByteView nonce_i, ByteView nonce_r);

}  // namespace culvert::ike::v2
