// Guard: looks over a text before the TOML parser does, for what could exhaust the parser's stack or memory.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "config/problem.hpp"

namespace culvert::config {

inline constexpr std::size_t kFileLimit = std::size_t{1024} * 1024;  // octets of one file
inline constexpr std::size_t kNestingLimit = 16;                     // of brackets, and of dots in one key

/// The first reason not to parse the text; its position has no file name. The scan knows strings and comments of
/// TOML 1.0, and errs on the side of the parser: what it lets through may still be no TOML.
[[nodiscard]] std::optional<Problem> guard(std::string_view text);

}  // namespace culvert::config
