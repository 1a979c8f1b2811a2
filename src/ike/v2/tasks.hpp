// Starts what an IKE SA means to do, one request at a time, as its phase and window allow.
#pragma once

#include <optional>

#include "ike/v2/core.hpp"
#include "ike/v2/ike_sa.hpp"

namespace culvert::ike::v2 {

void run_tasks(Core& core, IkeSa& sa);
/// When a task that waits for its time wants to be looked at.
[[nodiscard]] std::optional<Instant> next_task_time(const Core& core, const IkeSa& sa);

}  // namespace culvert::ike::v2
