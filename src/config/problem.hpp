// Problem: one thing that is wrong with a configuration, said so that the reader can mend it without asking.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace culvert::config {

enum class Severity : std::uint8_t { error, warning };

/// Where in a configuration file: `line` and `column` count from 1; 0 means the file as a whole.
struct Position {
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  /// "alice.toml:12:9", "alice.toml:12" or "alice.toml".
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Position&, const Position&) = default;
};

struct Problem {
  Severity severity = Severity::error;
  Position position;
  /// The full name of the setting, "tunnel.office.peer"; empty when no setting is at fault (a syntax error, say).
  std::string field;
  /// What was found and what is allowed. Never shows a secret.
  std::string message;
  /// The way out: what to write or to type.
  std::string hint;

  /// "alice.toml:12:9: error: tunnel.office.peer: MESSAGE\n  HINT" (without the second line when there is no hint).
  [[nodiscard]] std::string to_string() const;
  friend bool operator==(const Problem&, const Problem&) = default;
};

using Problems = std::vector<Problem>;

}  // namespace culvert::config
