// What `culvert sa` and `culvert policy` ask of the daemon.
#include <algorithm>

#include <fmt/format.h>

#include "config/commands.hpp"
#include "daemon/daemon.hpp"
#include "daemon/status_view.hpp"

namespace culvert::daemon {
namespace {

config::Settings settings_of(const api::AddRequest& request) {
  config::Settings settings;
  for (const api::Setting& setting : request.settings) settings.emplace_back(setting.name, setting.value);
  return settings;
}

/// The request's copies of keys go with it; these are ours.
void wipe_settings(config::Settings& settings) {
  for (auto& [name, value] : settings) {
    if (config::is_key_setting(name)) wipe({reinterpret_cast<std::uint8_t*>(value.data()), value.size()});
  }
}

api::Error wrong_settings(const std::string& what, const config::Problems& problems) {
  return {api::ErrorCode::config_invalid, what + ": the settings are wrong; nothing was changed",
          "culvert.toml(5) has them all.", "", to_problems(problems)};
}

api::Error conflict(const std::string& what, const std::string& message) {
  return {api::ErrorCode::conflict, fmt::format("{}: {}", what, message), "", "", {}};
}

api::Error not_there(const char* kind, const std::string& name) {
  return {api::ErrorCode::not_found,
          fmt::format("there is no {} {}", kind, escaped_name(name)),
          fmt::format("Run: culvert {} list", kind == std::string_view("rule") ? "policy" : "sa"),
          "",
          {}};
}

}  // namespace

std::vector<api::ManualSa> Daemon::manual_views() {
  std::vector<api::ManualSa> list;
  for (const control::ManualView& view : control_->manual_sas()) list.push_back(to_manual(view, now(), ciphers_));
  return list;
}

Result<api::ManualSaList, api::Error> Daemon::manual_sas() { return api::ManualSaList{manual_views()}; }

Result<api::ManualSa, api::Error> Daemon::add_sa(const api::AddRequest& request) {
  config::Settings settings = settings_of(request);
  auto entry = config::manual_from(request.name, settings, config_.daemon);
  wipe_settings(settings);
  const std::string what = fmt::format("manual SA {}", escaped_name(request.name));
  if (!entry) return err(wrong_settings(what, entry.error()));
  const auto added = control_->add_manual(std::move(*entry), now());
  if (!added) return err(conflict(what, added.error()));
  pump();
  for (api::ManualSa& sa : manual_views()) {
    if (sa.name == request.name) return std::move(sa);
  }
  return err(not_there("manual SA", request.name));
}

Result<api::Removed, api::Error> Daemon::remove_sa(const std::string& name) {
  const auto removed = control_->remove_manual(name, now());
  if (!removed) {
    if (removed.error().empty()) return err(not_there("manual SA", name));
    return err(conflict(fmt::format("manual SA {}", escaped_name(name)), removed.error()));
  }
  pump();
  return api::Removed{name};
}

Result<api::PolicyList, api::Error> Daemon::policies() {
  api::PolicyList list;
  for (const control::SpdEntry& entry : control_->spd()) list.policies.push_back(to_policy(entry));
  std::map<std::string, std::string, std::less<>> states;
  for (const api::ManualSa& sa : manual_views()) states.emplace(sa.name, sa.state);
  for (const control::TunnelView& tunnel : control_->tunnels())
    states.emplace(tunnel.name, api::name_of(to_state(tunnel.state)));
  for (api::PolicyEntry& entry : list.policies) {
    const auto state = states.find(entry.sa);
    if (state != states.end()) entry.state = state->second;
  }
  return list;
}

Result<api::PolicyList, api::Error> Daemon::add_policy(const api::AddRequest& request) {
  auto rule = config::policy_from(request.name, settings_of(request));
  const std::string what = fmt::format("rule {}", escaped_name(request.name));
  if (!rule) return err(wrong_settings(what, rule.error()));
  const auto added = control_->add_policy(std::move(*rule), now());
  if (!added) return err(conflict(what, added.error()));
  pump();
  return policies();
}

Result<api::Removed, api::Error> Daemon::remove_policy(const std::string& name) {
  const auto removed = control_->remove_policy(name, now());
  if (!removed) {
    if (removed.error().empty()) return err(not_there("rule", name));
    return err(conflict(fmt::format("rule {}", escaped_name(name)), removed.error()));
  }
  pump();
  return api::Removed{name};
}

}  // namespace culvert::daemon
