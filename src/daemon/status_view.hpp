// From the control plane's views to the control protocol's structs.
#pragma once

#include "api/schema.hpp"
#include "base/time.hpp"
#include "config/problem.hpp"
#include "control/failure_records.hpp"
#include "control/spd_list.hpp"
#include "control/view.hpp"
#include "ipsec/suite_support.hpp"
#include "model/connection.hpp"

namespace culvert::daemon {

/// `peer` is what the user wrote ("any" too). Instants become seconds from `now`; the failure's time becomes the time
/// of day. `ciphers` names who computes a suite.
[[nodiscard]] api::TunnelStatus to_status(const control::TunnelView& view, const model::ConnectionConfig& config,
                                          Instant now, ipsec::SuiteSupport& ciphers);
[[nodiscard]] api::PeerFailure to_failure(const control::FailureRecord& record, Instant now);
[[nodiscard]] api::TunnelSummary to_summary(const api::TunnelStatus& status);
/// Without keys, which the view does not have.
[[nodiscard]] api::ManualSa to_manual(const control::ManualView& view, Instant now, ipsec::SuiteSupport& ciphers);
[[nodiscard]] api::PolicyEntry to_policy(const control::SpdEntry& entry);
[[nodiscard]] api::TunnelState to_state(control::TunnelState state);
[[nodiscard]] std::vector<api::Problem> to_problems(const config::Problems& problems);
/// The same for a log: one line for what was refused, one for each problem, nothing unescaped of what a file says.
[[nodiscard]] std::vector<std::string> lines_of(const api::Error& error);
/// A name as a client sent it, for messages.
[[nodiscard]] std::string escaped_name(std::string_view name);
[[nodiscard]] std::string_view start_name(model::StartMode start);

}  // namespace culvert::daemon
