// IKE_SESSION_RESUME as initiator (RFC 5723 4.3): shows the ticket that the peer gave us. Where it is refused, an IKE
// SA is set up in full at once.
#pragma once

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "ike/v2/ike_sa_init_initiator.hpp"
#include "ike/v2/set_up_exchange.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

class SessionResumeInitiator final : public SetUpExchange {
 public:
  /// `ticket`: to be shown; `beginning`: as the IKE SA was begun, for another one in its place.
  SessionResumeInitiator(Core& core, IkeSa& sa, const model::ConnectionConfig& config, Bytes ticket,
                         Beginning beginning);

  [[nodiscard]] model::ExchangeType type() const override { return model::ExchangeType::ike_session_resume; }
  Progression start() override;
  void handle_init_response(const net::Path& path, ByteView datagram, const codec::ParsedMessage& parsed) override;
  void give_up() override;

 private:
  void send();
  void handle_cookie(const codec::NotifyPayload& notify);
  void agree(const codec::Message& message, ByteView datagram, const net::Path& path);

  Core& core_;
  IkeSa& sa_;
  const model::ConnectionConfig config_;
  const Bytes ticket_;
  Beginning beginning_;
  Bytes nonce_;
  Bytes cookie_;
  unsigned cookies_taken_ = 0;
  Bytes request_;
};

/// The IKE SA cannot be resumed: forgets the ticket, and begins one in full in its place. Ends the exchange that calls.
void begin_in_full(Core& core, IkeSa& sa, Beginning beginning, const std::string& why);

}  // namespace culvert::ike::v2
