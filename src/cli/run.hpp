// run: one invocation of the culvert command.
#pragma once

#include <chrono>
#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "cli/exit_code.hpp"

namespace culvert::cli {

/// What the command touches of the world.
struct World {
  std::ostream& out;
  std::ostream& err;
  bool color_out = false;
  bool color_err = false;
  std::function<std::int64_t()> now;                      // milliseconds since 1970
  std::chrono::milliseconds poll{100};                    // between looks at a tunnel that is coming up
  std::istream* in = nullptr;                             // for keys
  std::function<bool()> follow_on = [] { return true; };  // asked before each round of `log -f`
};

/// `arguments` without the program's name. With --json, standard output gets exactly one document (`log -f`: one entry
/// per line), which on failure is the error.
[[nodiscard]] ExitCode run(std::vector<std::string> arguments, const World& world);

}  // namespace culvert::cli
