#include "config/commands.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.hpp"
#include "config/draft.hpp"
#include "config/guard.hpp"

namespace culvert::config {
namespace {

constexpr std::size_t kSettingLimit = 64;
constexpr std::size_t kValueLimit = 8192;
constexpr std::array<std::string_view, 4> kKeySettings = {"encryption_key_in", "encryption_key_out", "integrity_key_in",
                                                          "integrity_key_out"};
constexpr std::array<std::string_view, 5> kListSettings = {"local", "remote", "address", "populate", "compat"};

Problem problem_of(std::string field, std::string message, std::string hint) {
  return {Severity::error, {std::string(kCommandPlace)}, std::move(field), std::move(message), std::move(hint)};
}

/// The value as TOML where it is no text: 0x1001, true, { packet_size = 1400 }.
bool insert_as_toml(toml::table& table, const std::string& name, const std::string& value) {
  const std::string line = "v = " + value;
  if (value.empty() || value.find('\n') != std::string::npos || guard(line)) return false;
  try {
    toml::table parsed = toml::parse(line);
    const toml::node* node = parsed.get("v");
    if (node == nullptr || parsed.size() != 1) return false;
    if (!node->is_integer() && !node->is_boolean() && !node->is_floating_point() && !node->is_array() &&
        !node->is_table() && !node->is_string()) {
      return false;
    }
    node->visit([&](const auto& one) { table.insert(name, one); });
    return true;
  } catch (const toml::parse_error&) {
    return false;
  }
}

toml::array as_list(const std::string& value) {
  toml::array list;
  std::size_t start = 0;
  while (start <= value.size()) {
    const std::size_t comma = std::min(value.find(',', start), value.size());
    list.push_back(value.substr(start, comma - start));
    start = comma + 1;
  }
  return list;
}

/// The settings as the table that a file would hold.
Result<toml::table, Problems> table_of(const Settings& settings) {
  toml::table root;
  if (settings.size() > kSettingLimit)
    return err(Problems{problem_of({}, "these are too many settings", "a setting stands once")});
  for (const auto& [setting, value] : settings) {
    const std::string shown = escaped(setting, 60);
    if (value.size() > kValueLimit) return err(Problems{problem_of(shown, "the value is too long", "shorten it")});
    toml::table* table = &root;
    std::string name = setting;
    if (const std::size_t dot = setting.find('.'); dot != std::string::npos) {
      const std::string outer = setting.substr(0, dot);
      name = setting.substr(dot + 1);
      if (!root.contains(outer)) root.insert(outer, toml::table());
      table = root[outer].as_table();
    }
    if (table == nullptr || name.empty() || table->contains(name))
      return err(Problems{problem_of(shown, "the setting stands twice", "write it once")});
    if (is_key_setting(setting)) {
      table->insert(name, value);
    } else if (std::ranges::find(kListSettings, std::string_view(setting)) != kListSettings.end() &&
               !value.starts_with('[') && value.find(',') != std::string::npos) {
      table->insert(name, as_list(value));
    } else if (!insert_as_toml(*table, name, value)) {
      table->insert(name, value);
    }
  }
  return root;
}

Problems only_errors(Problems problems) {
  std::erase_if(problems, [](const Problem& problem) { return problem.severity != Severity::error; });
  return problems;
}

}  // namespace

bool is_key_setting(std::string_view setting) { return std::ranges::find(kKeySettings, setting) != kKeySettings.end(); }

Result<ManualConfig, Problems> manual_from(const std::string& name, const Settings& settings,
                                           const DaemonConfig& daemon) {
  if (!can_be_name(name))
    return err(
        Problems{problem_of("manual", fmt::format("{} cannot name an SA", in_quotes(name)), std::string(kNameHint))});
  for (const auto& [setting, value] : settings) {
    if (is_key_setting(setting) && !value.starts_with("0x") && !value.starts_with("0s"))
      return err(Problems{problem_of(setting, "this is not written as a key",
                                     "send \"0x\" and hexadecimal digits; the culvert command reads files by @FILE")});
  }
  auto table = table_of(settings);
  if (!table) return err(table.error());
  const std::string file(kCommandPlace);
  Draft draft;
  draft.daemon = daemon;
  draft.manual.push_back(
      read_manual(Section(*table, fmt::format("manual.{}", name), file, draft.problems), name, draft.problems));
  check_manual(draft);
  if (Problems errors = only_errors(std::move(draft.problems)); !errors.empty()) return err(std::move(errors));
  return std::move(draft.manual.front().config);
}

Result<PolicyRule, Problems> policy_from(const std::string& name, const Settings& settings) {
  Settings all = settings;
  if (std::ranges::none_of(settings, [](const auto& entry) { return entry.first == "name"; }))
    all.emplace_back("name", '"' + escaped(name, 255) + '"');
  auto table = table_of(all);
  if (!table) return err(table.error());
  const std::string file(kCommandPlace);
  Problems problems;
  DraftPolicy draft = read_policy(Section(*table, "policy", file, problems));
  if (draft.rule.name != name && problems.empty())
    problems.push_back(problem_of("policy.name", "the rule has a name already", "take name=... out"));
  if (Problems errors = only_errors(std::move(problems)); !errors.empty()) return err(std::move(errors));
  return std::move(draft.rule);
}

}  // namespace culvert::config
