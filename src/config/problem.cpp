#include "config/problem.hpp"

#include <fmt/format.h>

namespace culvert::config {

std::string Position::to_string() const {
  if (line == 0) return file;
  if (column == 0) return fmt::format("{}:{}", file, line);
  return fmt::format("{}:{}:{}", file, line, column);
}

std::string Problem::to_string() const {
  std::string out = fmt::format("{}: {}: ", position.to_string(), severity == Severity::error ? "error" : "warning");
  if (!field.empty()) out += field + ": ";
  out += message;
  if (!hint.empty()) out += "\n  " + hint;
  return out;
}

}  // namespace culvert::config
