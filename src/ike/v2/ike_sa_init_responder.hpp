// IKE_SA_INIT as responder (RFC 7296 1.2, 2.6): retransmissions, cookies and refusals cost no state; an IKE SA is made
// only for a request that is answered in full.
#pragma once

#include <string>

#include "ike/codec/parse.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/set_up_gate.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

class IkeSaInitResponder {
 public:
  IkeSaInitResponder(Core& core, const net::Path& path) : core_(core), path_(path) {}
  /// A message with exchange type IKE_SA_INIT, the Response flag clear, and SPIr zero.
  void handle(ByteView datagram, const codec::ParsedMessage& parsed);

 private:
  void answer(const codec::Message& request, ByteView datagram, const InitDigest& digest);
  void make_ike_sa(const codec::Message& request, ByteView datagram, const InitDigest& digest,
                   const model::ConnectionConfig& config, const model::ChosenProposal& chosen);
  void report(FailureKind kind, std::optional<model::ConnectionId> connection, std::optional<model::NotifyType> notify,
              std::string detail);

  Core& core_;
  net::Path path_;
  Passage passage_ = Passage::no;
};

}  // namespace culvert::ike::v2
