// When a negotiation that failed is tried again.
#pragma once

#include "base/time.hpp"
#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

/// After a refusal: a quarter of what is left of the SA's life, at most a minute, at least a second. `old` null: a
/// minute.
[[nodiscard]] Duration retry_delay(Core& core, const ChildSa* old);
[[nodiscard]] Duration retry_delay(Core& core, std::optional<Instant> expire_at);
/// After TEMPORARY_FAILURE: the same, but a few seconds at most, by chance, so that both sides do not collide again
/// (RFC 7296 2.25).
[[nodiscard]] Duration collision_delay(Core& core, const ChildSa* old);
[[nodiscard]] Duration collision_delay(Core& core, std::optional<Instant> expire_at);
/// RFC 7296 2.25: a peer that answers TEMPORARY_FAILURE for minutes has another idea of the state than we: then the IKE
/// SA is closed. True when it is. `retry` is of the negotiation that was refused.
[[nodiscard]] bool give_up_on_temporary_failure(Core& core, IkeSa& sa, Retry& retry);

/// The peer had forgotten the beginning of it (RFC 9370 2.2.4: STATE_NOT_FOUND). After several times the IKE SA is
/// closed. True when it is.
[[nodiscard]] bool is_forgotten_for_good(Core& core, IkeSa& sa, Retry& retry);

}  // namespace culvert::ike::v2
