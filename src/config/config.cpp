#include "config/config.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace culvert::config {
namespace {

constexpr std::array<std::pair<LogLevel, std::string_view>, 5> kLogLevels = {{
    {LogLevel::trace, "trace"},
    {LogLevel::debug, "debug"},
    {LogLevel::info, "info"},
    {LogLevel::warning, "warning"},
    {LogLevel::error, "error"},
}};

}  // namespace

std::string_view name_of(LogLevel level) {
  for (const auto& [value, name] : kLogLevels) {
    if (value == level) return name;
  }
  return "unknown";
}

std::optional<LogLevel> parse_log_level(std::string_view text) {
  for (const auto& [value, name] : kLogLevels) {
    if (name == text) return value;
  }
  return std::nullopt;
}

std::string_view name_of(RuleAction action) { return action == RuleAction::bypass ? "bypass" : "discard"; }

const TunnelConfig* Config::find(std::string_view name) const {
  const auto found = std::ranges::find(
      tunnels, name, [](const TunnelConfig& tunnel) { return std::string_view(tunnel.connection.name); });
  return found == tunnels.end() ? nullptr : &*found;
}

}  // namespace culvert::config
