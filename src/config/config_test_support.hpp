// Helpers of the configuration tests: load one text, and name the problems in one line each.
#pragma once

#include <string>
#include <string_view>

#include "config/load.hpp"

namespace culvert::config::testing {

inline constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";

/// A whole tunnel with `extra` lines at its end; `extra` begins on line 6.
inline std::string tunnel(std::string_view extra = {}, std::string_view name = "office") {
  return "[tunnel." + std::string(name) +
         "]\npeer = \"192.0.2.2\"\nsecret = \"0123456789abcdef0123456789abcdef\"\nlocal = [\"10.1.0.0/16\"]\n"
         "remote = [\"10.2.0.0/16\"]\n" +
         std::string(extra);
}

inline Result<Config, Problems> load_text(std::string_view text, std::string_view file = "a.toml") {
  return load_texts({{std::string(file), std::string(text)}});
}

inline std::string lines(const Problems& problems) {
  std::string out;
  for (const Problem& problem : problems) out += problem.to_string() + "\n";
  return out;
}

/// All problems of a text, warnings of a good one too.
inline std::string problems_of(std::string_view text) {
  auto result = load_text(text);
  return lines(result ? result->warnings : result.error());
}

}  // namespace culvert::config::testing
