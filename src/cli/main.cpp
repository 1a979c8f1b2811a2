// The culvert command.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <unistd.h>

#include "cli/run.hpp"

namespace {

/// Colours for a terminal that has them, unless https://no-color.org says no.
bool wants_color(int descriptor) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return ::isatty(descriptor) == 1 && (no_color == nullptr || *no_color == '\0') && term != nullptr &&
         std::string(term) != "dumb";
}

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

int main(int argc, char** argv) {
  const culvert::cli::World world{.out = std::cout,
                                  .err = std::cerr,
                                  .color_out = wants_color(STDOUT_FILENO),
                                  .color_err = wants_color(STDERR_FILENO),
                                  .now = now,
                                  .in = &std::cin};
  const auto code = culvert::cli::run(std::vector<std::string>(argv + 1, argv + argc), world);
  std::cout.flush();
  return static_cast<int>(code);
}
