// All timers of an IKE SA: retransmission, half-open limit, liveness, rekeying, expiry.
#pragma once

#include <optional>

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

/// The next instant at which handle_timers has something to do.
[[nodiscard]] std::optional<Instant> next_deadline(const Core& core, const IkeSa& sa);
/// Does what is due at core.now.
void handle_timers(Core& core, IkeSa& sa);

}  // namespace culvert::ike::v2
