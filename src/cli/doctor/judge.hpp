// What the facts mean. Pure: the same facts give the same findings.
#pragma once

#include "cli/doctor/facts.hpp"
#include "cli/doctor/finding.hpp"

namespace culvert::cli::doctor {

/// Everything, in the order in which it is shown.
[[nodiscard]] Findings judge(const Facts& facts);

/// Its parts, each appended.
void judge_machine(const Facts& facts, Findings& findings);  // rights, offloads, CPU, clock
void judge_network(const Facts& facts, Findings& findings);  // ports, filters, kernel settings
void judge_daemon(const Facts& facts, Findings& findings);   // configuration and daemon
void judge_tunnels(const Facts& facts, Findings& findings);  // each tunnel's peer, networks and state

}  // namespace culvert::cli::doctor
