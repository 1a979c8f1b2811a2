// From the control plane's views to the control protocol's structs.
#pragma once

#include "api/schema.hpp"
#include "base/time.hpp"
#include "control/view.hpp"
#include "model/connection.hpp"

namespace culvert::daemon {

/// `peer` is what the user wrote ("any" too). Instants become seconds from `now`; the failure's time becomes the time
/// of day.
[[nodiscard]] api::TunnelStatus to_status(const control::TunnelView& view, const model::ConnectionConfig& config,
                                          Instant now);
[[nodiscard]] api::TunnelSummary to_summary(const api::TunnelStatus& status);
[[nodiscard]] std::string_view start_name(model::StartMode start);

}  // namespace culvert::daemon
