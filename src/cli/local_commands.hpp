// The commands that need no daemon.
#pragma once

#include "cli/exit_code.hpp"
#include "cli/options.hpp"
#include "cli/run.hpp"

namespace culvert::cli {

/// Loads a configuration and prints all its problems.
[[nodiscard]] ExitCode check(const Options& options, const World& world);
/// Prints 32 random octets as config::parse_secret reads them, or writes them to a new file.
[[nodiscard]] ExitCode keygen(const Options& options, const World& world);
[[nodiscard]] ExitCode version(const Options& options, const World& world);

}  // namespace culvert::cli
