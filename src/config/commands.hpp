// commands: what `culvert sa add` and `culvert policy add` name, read by the same rules as the files.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"

namespace culvert::config {

/// Settings as given on the command line: "peer" and "192.0.2.2", "aggfrag.rate" and "1MB". A value is read as TOML
/// where it is a number, true, false, a list or a table, and as text otherwise; local, remote, address and populate may
/// also be lists with commas.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// The entry as [manual.NAME] would give it; keys are written out ("0x..."), never read from files here. Problems have
/// no line.
[[nodiscard]] Result<ManualConfig, Problems> manual_from(const std::string& name, const Settings& settings,
                                                         const DaemonConfig& daemon);
/// The rule as [[policy]] would give it. What `sa`, `before` and `after` name is the caller's to look up.
[[nodiscard]] Result<PolicyRule, Problems> policy_from(const std::string& name, const Settings& settings);

/// Settings that hold a key, and must be read from a file or standard input by whoever gives the command.
[[nodiscard]] bool is_key_setting(std::string_view setting);

inline constexpr std::string_view kCommandPlace = "command";

}  // namespace culvert::config
