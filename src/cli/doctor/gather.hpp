// Gather: looks at the host, reads the configuration and asks the daemon, if one answers. Changes nothing.
#pragma once

#include <string>

#include "cli/doctor/facts.hpp"

namespace culvert::cli::doctor {

struct Sources {
  std::string socket;
  std::string config;  // empty: the one of the daemon that runs, else the default
};
[[nodiscard]] Facts gather(const Sources& sources);

}  // namespace culvert::cli::doctor
