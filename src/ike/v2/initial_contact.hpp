// INITIAL_CONTACT as initiator (RFC 7296 2.4): whether we may say that there is no other IKE SA between these
// identities.
#pragma once

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"
#include "model/connection.hpp"

namespace culvert::ike::v2 {

/// No other IKE SA of the connection stands, nor of another connection with the same ends, which a peer would end as
/// well: it knows of identities, not of connections. To be asked when IKE_AUTH is about to leave.
[[nodiscard]] bool is_first_contact(Core& core, const IkeSa& sa, const model::ConnectionConfig& config);

}  // namespace culvert::ike::v2
