// IKE_AUTH as responder, with a shared key (RFC 7296 1.2, 2.15, 2.21.2): who the peer is, whether it has the secret,
// then the Child SA.
#pragma once

#include <optional>
#include <string>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/establish.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

class IkeAuthResponder {
 public:
  /// `path` is where the request came from and the answer goes to.
  IkeAuthResponder(Core& core, IkeSa& sa, const net::Path& path) : core_(core), sa_(sa), path_(path) {}

  void start(const codec::Message& request);
  void handle_completion(RequestToken token, SharedKeyMacResult result);

 private:
  /// The connection for the identities of the request (RFC 4301 4.4.3); the reason in words when there is none.
  [[nodiscard]] const model::ConnectionConfig* choose_connection(std::string& why_not) const;
  /// Whom the connections for the peer's address expect.
  [[nodiscard]] std::string expectations() const;
  void ask_for_mac(model::Role signer, ByteView first_message, ByteView peer_nonce, const codec::IdPayload& id);
  void answer(const SecretBytes& mac);
  void answer_child(codec::Message& answer, const Rivalry& rivalry);
  void refuse(model::NotifyType type, FailureKind kind, std::string detail);

  Core& core_;
  IkeSa& sa_;
  const net::Path path_;
  codec::Message request_;
  std::optional<model::ConnectionConfig> config_;
  codec::IdPayload id_r_;
  bool verified_ = false;
  RequestToken token_;
};

}  // namespace culvert::ike::v2
