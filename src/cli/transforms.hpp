#pragma once

#include "cli/exit_code.hpp"
#include "cli/options.hpp"
#include "cli/run.hpp"

namespace culvert::cli {

/// `culvert transforms`: prints model::transforms() with what the crypto layer knows of each. Needs no daemon.
[[nodiscard]] ExitCode list_transforms(const Options& options, const World& world);

}  // namespace culvert::cli
