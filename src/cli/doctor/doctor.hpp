// culvert doctor: what stands in the way of tunnels on this host, and the way out.
#pragma once

#include "cli/doctor/finding.hpp"
#include "cli/exit_code.hpp"
#include "cli/options.hpp"
#include "cli/run.hpp"

namespace culvert::cli::doctor {

/// Looks, judges and prints. `ok` when there is no problem, else `failed`.
[[nodiscard]] ExitCode run(const Options& options, const World& world);

/// The findings in 80 columns, grouped, with a summary; and as a JSON document.
[[nodiscard]] std::string render(const Findings& findings, bool color);
[[nodiscard]] std::string to_json_text(const Findings& findings);

}  // namespace culvert::cli::doctor
