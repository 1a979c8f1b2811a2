// SetUpExchange: the first exchange of an IKE SA as initiator, IKE_SA_INIT or IKE_SESSION_RESUME: its answer is not
// protected.
#pragma once

#include "ike/codec/parse.hpp"
#include "ike/v2/exchange.hpp"
#include "net/address.hpp"

namespace culvert::ike::v2 {

class SetUpExchange : public InitiatorExchange {
 public:
  [[nodiscard]] Activity activity() const final { return Activity::set_up; }
  Progression handle_response(const codec::Message&) final { return Progression::waiting; }
  void handle_bad_response(const std::string&) final {}

  virtual void handle_init_response(const net::Path& path, ByteView datagram, const codec::ParsedMessage& parsed) = 0;
  /// No valid answer came in time: what to tell the user.
  void give_up() override = 0;
};

}  // namespace culvert::ike::v2
