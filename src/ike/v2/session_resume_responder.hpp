// IKE_SESSION_RESUME as responder (RFC 5723 4.3.2): the request costs one look at its ticket, and state only if that is
// good.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ike/codec/parse.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ticket.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

class SessionResumeResponder {
 public:
  SessionResumeResponder(Core& core, const net::Path& path) : core_(core), path_(path) {}
  /// A message with that exchange type, the Response flag clear, and SPIr zero.
  void handle(ByteView datagram, const codec::ParsedMessage& parsed);

 private:
  /// Why the ticket is not taken, in words; nothing when it is, and `config` is then the connection.
  [[nodiscard]] std::optional<std::string_view> refusal(const TicketState& state,
                                                        const model::ConnectionConfig*& config) const;
  void refuse(const codec::Message& request, std::string_view why);
  void resume(const codec::Message& request, ByteView datagram, const InitDigest& digest,
              const model::ConnectionConfig& config, TicketState state);

  Core& core_;
  net::Path path_;
};

/// In IKE_AUTH of an IKE SA that is being resumed: why the peer's request does not go with the ticket (RFC 5723 4.3.3).
[[nodiscard]] std::optional<std::string> resumption_fault(const Core& core, const IkeSa& sa,
                                                          const model::ConnectionConfig& config,
                                                          const codec::Message& request);

}  // namespace culvert::ike::v2
