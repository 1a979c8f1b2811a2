// The control plane's part in manual keys and rules: entries of files and of commands, and the one SPD of all of them.
#include <algorithm>

#include <fmt/format.h>

#include "config/clone.hpp"
#include "control/clear_packets.hpp"
#include "control/control_plane.hpp"
#include "control/network_wish.hpp"

namespace culvert::control {

using Level = Notice::Level;

// ---------------------------------------------------------------- files

void ControlPlane::apply_manual(const config::Config& config, const config::Diff& diff, Instant now) {
  for (const std::string& name : diff.manual_removed) manual_.remove(name);
  for (const config::TunnelChange& change : diff.manual_changed) manual_.remove(change.name);
  const auto add = [&](const std::string& name) {
    const config::ManualConfig* entry = config.find_manual(name);
    if (entry == nullptr) return;
    drop_command(name, entry->place.to_string());
    const auto added = manual_.add(config::clone(*entry), true, model::ConnectionId(++last_connection_), now);
    if (!added) notices_.push_back({Level::error, name, "not set up: " + added.error()});
  };
  for (const config::TunnelChange& change : diff.manual_changed) add(change.name);
  for (const std::string& name : diff.manual_added) add(name);
  rules_ = config.policies;
  // A file's word goes before a command's.
  for (const config::PolicyRule& rule : rules_) {
    if (!rule.name.empty()) drop_command(rule.name, rule.place.to_string());
  }
  for (const config::TunnelConfig& tunnel : config.tunnels)
    drop_command(tunnel.connection.name, tunnel.connection.place.to_string());
}

void ControlPlane::drop_command(const std::string& name, const std::string& place) {
  const bool sa = manual_.has(name) && !manual_.from_file(name);
  if (sa) manual_.remove(name);
  const bool rule = std::erase_if(command_rules_, [&](const auto& one) { return one.name == name; }) != 0;
  if (sa || rule) {
    notices_.push_back(
        {Level::warning, name, fmt::format("what a command added under this name gives way to {}", place)});
  }
}

// ---------------------------------------------------------------- commands

bool ControlPlane::name_taken(std::string_view name) const {
  if (manual_.has(name)) return true;
  const auto named = [&](const config::PolicyRule& rule) { return rule.name == name; };
  return by_name_.contains(std::string(name)) || std::ranges::any_of(rules_, named) ||
         std::ranges::any_of(command_rules_, named);
}

Result<void, std::string> ControlPlane::add_manual(config::ManualConfig entry, Instant now) {
  if (name_taken(entry.name)) return err(fmt::format("the name {} is taken", entry.name));
  auto added = manual_.add(std::move(entry), false, model::ConnectionId(++last_connection_), now);
  if (!added) return added;
  send_rules();
  settle(now);
  return {};
}

Result<void, std::string> ControlPlane::remove_manual(std::string_view name, Instant now) {
  if (!manual_.has(name)) return err(std::string());
  for (const ManualView& view : manual_.views()) {
    if (view.name == name && view.from_file)
      return err(fmt::format("it stands in {}: take it out there and run `culvert apply`", view.place));
  }
  manual_.remove(name);
  send_rules();
  settle(now);
  return {};
}

Result<void, std::string> ControlPlane::add_policy(config::PolicyRule rule, Instant now) {
  if (name_taken(rule.name)) return err(fmt::format("the name {} is taken", rule.name));
  const auto served = [&](std::string_view name) { return manual_.has(name) || by_name_.contains(std::string(name)); };
  if (rule.action == config::RuleAction::protect && !served(rule.sa))
    return err(fmt::format("there is no tunnel and no manual SA {}", rule.sa));
  if (manual_.has(rule.sa) && rule.populate != decltype(rule.populate){})
    return err(fmt::format(
        "the keys of {} are written down, so no SA can be made for a packet's values: take populate out", rule.sa));
  if (!rule.position.anchor.empty() && !name_taken(rule.position.anchor))
    return err(fmt::format("there is no rule, tunnel or manual SA {}", rule.position.anchor));
  notices_.push_back({Level::info, rule.name, "policy rule added by command"});
  command_rules_.push_back(std::move(rule));
  send_rules();
  settle(now);
  return {};
}

Result<void, std::string> ControlPlane::remove_policy(std::string_view name, Instant now) {
  for (const SpdEntry& entry : spd()) {
    if (entry.policy.name != name || entry.origin == RuleOrigin::command) continue;
    return err(fmt::format("it comes from {}: change it there", entry.place));
  }
  if (std::erase_if(command_rules_, [&](const auto& rule) { return rule.name == name; }) == 0)
    return err(std::string());
  notices_.push_back({Level::info, std::string(name), "policy rule removed by command"});
  send_rules();
  settle(now);
  return {};
}

// ---------------------------------------------------------------- the SPD

std::vector<Guarded> ControlPlane::guards() const {
  std::vector<Guarded> all = manual_.guards();
  // One that asks for its address may stand for everything local: behind those that say what they are for.
  for (const bool asks : {false, true}) {
    for (const auto& [id, tunnel] : tunnels_) {
      if (tunnel->config().request_addresses.empty() != asks) all.push_back(guard_of(*tunnel));
    }
  }
  return all;
}

std::vector<SpdEntry> ControlPlane::spd() const { return arrange_spd(rules_, command_rules_, guards()); }

void ControlPlane::send_rules() {
  const std::vector<SpdEntry> spd = this->spd();
  std::vector<ipsec::Policy> policies = policies_of(spd);
  NetworkWish wish = make_network_wish(spd, guards());
  wish.name_servers = name_servers();
  wish.clear_packets = make_clear_packet_wishes(policies);
  data_plane_.set_policies(std::move(policies));
  if (network_ == wish) return;
  network_ = wish;
  requests_.emplace_back(SetNetwork{std::move(wish)});
}

// ---------------------------------------------------------------- the ledger

void ControlPlane::handle_reservation(model::ChildSaId child,
                                      const Result<SequenceReservation, std::string>& reservation, Instant now) {
  manual_.handle_reservation(child, reservation, now);
  settle(now);
}

void ControlPlane::on(ipsec::SequenceGrantWanted&& event, Instant now) { manual_.grant_wanted(event.child, now); }

}  // namespace culvert::control
