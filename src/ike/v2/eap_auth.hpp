// EAP within IKE_AUTH, what both roles have in common (RFC 7296 2.16): steps of the conversation as requests, and AUTH
// by the key that came of it.
#pragma once

#include <optional>
#include <string>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// Asks for the next step of the IKE SA's conversation; the connection has EAP. `only`: RFC 5998 is in force, and
/// methods that do not prove both sides are left out.
[[nodiscard]] RequestToken ask_eap(Core& core, IkeSa& sa, const model::ConnectionConfig& config, EapRequest::Step step,
                                   Bytes packet = {}, bool only = false);
/// What an initiator says about EAP in its first request.
void add_eap_notifies(codec::Message& message, const model::ConnectionConfig& config);
/// The initiator wants EAP to prove us, too, and we do.
[[nodiscard]] bool is_eap_only(const codec::Message& request, const model::ConnectionConfig& config);
/// What went well has proved both sides and made a key, so that no AUTH is needed beside it; else the fault, as a
/// sentence.
[[nodiscard]] std::optional<std::string> eap_only_fault(const EapResult& result);
/// Lets the conversation be forgotten, if there is one.
void end_eap(Core& core, IkeSa& sa);

/// The AUTH data of the side with that ID payload, by the key of the method; without one, by SK_p.
[[nodiscard]] SecretBytes eap_auth(const IkeSa& sa, const codec::IdPayload& id, const SecretBytes& msk);

/// "EAP of 'carol' by MSCHAPV2"; safe to print.
[[nodiscard]] std::string describe(const EapResult& result);

}  // namespace culvert::ike::v2
