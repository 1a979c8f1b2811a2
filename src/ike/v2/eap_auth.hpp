// EAP within IKE_AUTH, what both roles have in common (RFC 7296 2.16): steps of the conversation as requests, and AUTH
// by the key that came of it.
#pragma once

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// Asks for the next step of the IKE SA's conversation; the connection has EAP.
[[nodiscard]] RequestToken ask_eap(Core& core, IkeSa& sa, const model::ConnectionConfig& config, EapRequest::Step step,
                                   Bytes packet = {});
/// Lets the conversation be forgotten, if there is one.
void end_eap(Core& core, IkeSa& sa);

/// The AUTH data of the side with that ID payload, by the key of the method; without one, by SK_p.
[[nodiscard]] SecretBytes eap_auth(const IkeSa& sa, const codec::IdPayload& id, const SecretBytes& msk);

/// "EAP of 'carol' by MSCHAPV2"; safe to print.
[[nodiscard]] std::string describe(const EapResult& result);

}  // namespace culvert::ike::v2
