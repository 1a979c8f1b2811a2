// Running another program: with arguments as they are (no shell), a text on its input, and a bound on its time.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "io/error.hpp"

namespace culvert::io {

/// The program of that name in PATH; empty when there is none.
[[nodiscard]] std::string find_program(std::string_view name);

/// Runs `words[0]`, a path, and waits until it ends, at most `limit`: then it is killed. The error tells what it said
/// on its error output, cut and escaped. Blocks: for threads that may.
[[nodiscard]] Result<void, IoError> run_command(std::span<const std::string> words, std::string_view input,
                                                Duration limit);

}  // namespace culvert::io
