#include <algorithm>
#include <array>
#include <utility>

#include "config/clone.hpp"

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

std::string RadiusServer::to_string() const {
  return name.empty() ? endpoint.to_string() : fmt::format("{}:{}", name, endpoint.port);
}

std::string_view name_of(RuleAction action) {
  switch (action) {
    case RuleAction::bypass: return "bypass";
    case RuleAction::discard: return "discard";
    case RuleAction::protect: return "protect";
  }
  return "unknown";
}

std::string_view name_of(RuleDirection direction) {
  switch (direction) {
    case RuleDirection::both: return "both";
    case RuleDirection::outbound: return "out";
    case RuleDirection::inbound: return "in";
  }
  return "unknown";
}

const TunnelConfig* Config::find(std::string_view name) const {
  const auto found = std::ranges::find(
      tunnels, name, [](const TunnelConfig& tunnel) { return std::string_view(tunnel.connection.name); });
  return found == tunnels.end() ? nullptr : &*found;
}

TunnelsByName by_name(const Config& config) {
  TunnelsByName tunnels;
  for (const TunnelConfig& tunnel : config.tunnels) tunnels.emplace(tunnel.connection.name, &tunnel);
  return tunnels;
}

const ManualConfig* Config::find_manual(std::string_view name) const {
  const auto found =
      std::ranges::find(manual, name, [](const ManualConfig& entry) { return std::string_view(entry.name); });
  return found == manual.end() ? nullptr : &*found;
}

ManualConfig clone(const ManualConfig& entry) {
  const model::ChildSaParams& from = entry.sa;
  ManualConfig out{.name = entry.name,
                   .place = entry.place,
                   .sa = {},
                   .policy = entry.policy,
                   .addresses = entry.addresses,
                   .inner_mtu = entry.inner_mtu};
  copy_but_keys(from, out.sa);
  out.sa.inbound = {from.inbound.encryption.clone(), from.inbound.integrity.clone()};
  out.sa.outbound = {from.outbound.encryption.clone(), from.outbound.integrity.clone()};
  return out;
}

void copy_but_keys(const model::ChildSaParams& from, model::ChildSaParams& to) {
  to.id = from.id;
  to.connection = from.connection;
  to.ike_sa = from.ike_sa;
  to.role = from.role;
  to.spi_inbound = from.spi_inbound;
  to.spi_outbound = from.spi_outbound;
  to.protocol = from.protocol;
  to.suite = from.suite;
  to.resource = from.resource;
  to.per_resource = from.per_resource;
  to.mode = from.mode;
  to.encapsulation = from.encapsulation;
  to.path = from.path;
  to.local = from.local;
  to.remote = from.remote;
  to.original_local = from.original_local;
  to.original_remote = from.original_remote;
  to.non_first_fragments = from.non_first_fragments;
  to.treatment = from.treatment;
  to.ipcomp = from.ipcomp;
  to.path_mtu = from.path_mtu;
  to.soft = from.soft;
  to.hard = from.hard;
  to.replay_window = from.replay_window;
  to.sequence_used = from.sequence_used;
  to.sequence_granted = from.sequence_granted;
}

}  // namespace culvert::config
