// Authentication that runs out (RFC 4478), and one IKE SA in place of another: the initiator sets up a new IKE SA with
// its Child SAs beside the old one, which ends only when the new one stands, so that no packet is lost.
#pragma once

#include <optional>

#include "ike/codec/message.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// As responder, into the last IKE_AUTH response.
void add_auth_lifetime(codec::Message& response, const Core& core, const IkeSa& sa,
                       const model::ConnectionConfig& config);
/// Right before the IKE SA is established; `response` is the last of IKE_AUTH, as initiator.
void begin_authentication_life(Core& core, IkeSa& sa, const model::ConnectionConfig& config,
                               const codec::Message* response);
/// AUTH_LIFETIME in an INFORMATIONAL of the responder's.
void take_auth_lifetime(Core& core, IkeSa& sa, const codec::Message& request);

/// Sets up another IKE SA in place of this one, unless that is under way.
void reauthenticate(Core& core, IkeSa& sa);
/// The IKE SA stands: the one whose place it takes ends soon.
void finish_replacement(Core& core, IkeSa& sa);
/// The IKE SA does not come to be: the one whose place it was to take goes on, and tries again.
void note_failed_replacement(Core& core, const IkeSa& sa);

[[nodiscard]] std::optional<Instant> next_life_time(const IkeSa& sa);
void handle_life_timers(Core& core, IkeSa& sa);

}  // namespace culvert::ike::v2
