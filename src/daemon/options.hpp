// The command line of culvertd.
#pragma once

#include <optional>
#include <string>

#include "config/config.hpp"

namespace culvert::daemon {

struct Options {
  std::string config{config::kDefaultPath};
  std::string socket;                         // empty: what the configuration says
  std::string state;                          // likewise
  std::optional<config::LogLevel> log_level;  // over the configuration's
  bool check = false;
};

/// Either options to run with, or the exit code to end with at once (help, version, a wrong command line), already
/// printed.
struct ParsedOptions {
  std::optional<Options> options;
  int exit_code = 0;
};
[[nodiscard]] ParsedOptions parse_options(int argc, char** argv);

/// Exit codes of culvertd, as docs/man/culvertd.8.md lists them.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;         // could not start, or a fault while running
inline constexpr int kExitUsage = 2;          // wrong command line
inline constexpr int kExitConfigInvalid = 4;  // the configuration has errors; nothing was changed

}  // namespace culvert::daemon
