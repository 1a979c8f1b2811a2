// `culvert bench ike`: the load generator of src/load with a command line and a report.
#pragma once

#include "cli/exit_code.hpp"
#include "cli/options.hpp"
#include "cli/run.hpp"

namespace culvert::cli {

[[nodiscard]] ExitCode bench_ike(const Options& options, const World& world);

}  // namespace culvert::cli
