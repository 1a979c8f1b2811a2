// INFORMATIONAL as responder (RFC 7296 1.4, 1.4.1, 2.25): DELETE in every order of collision, liveness, notifications.
#pragma once

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/redirect.hpp"

namespace culvert::ike::v2 {

class InformationalResponder {
 public:
  InformationalResponder(Core& core, IkeSa& sa, const net::Path& path) : core_(core), sa_(sa), path_(path) {}
  /// The response; the IKE SA is still there to seal it.
  [[nodiscard]] codec::Message handle(const codec::Message& request);
  /// What must wait until the response is sent: the end of the IKE SA.
  void finish();

 private:
  void handle_child_deletes(const codec::Message& request, codec::Message& answer);
  void handle_notifies(const codec::Message& request);
  void leave(const GatewayNote& gateway);

  Core& core_;
  IkeSa& sa_;
  const net::Path path_;  // that the request came on
  bool ike_deleted_ = false;
  bool authentication_failed_ = false;
  std::optional<GatewayNote> redirect_;
};

}  // namespace culvert::ike::v2
