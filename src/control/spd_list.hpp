// The effective SPD: the rules of files, of commands, of manual entries and of tunnels in one order.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "ipsec/data_plane.hpp"
#include "model/connection.hpp"

namespace culvert::control {

/// Who made a rule.
enum class RuleOrigin : std::uint8_t { file, command, tunnel, manual, implicit };
[[nodiscard]] std::string_view name_of(RuleOrigin origin);

/// What has SAs: a tunnel or a manual entry, with the traffic that they are for.
struct Guarded {
  model::ConnectionId connection;
  std::string name;
  std::string place;  // "office.toml:3" or "command"
  RuleOrigin origin = RuleOrigin::tunnel;
  bool own_rule = true;
  model::TrafficSelectors local;
  model::TrafficSelectors remote;
  std::vector<model::InnerAddress> addresses;
  std::optional<std::uint16_t> inner_mtu;
  /// Its remote addresses are the peer's outer ones: what it does not protect of the traffic to them is there all the
  /// same.
  bool host_to_host = false;
  /// Nothing can come in by it yet: its rule says what leaves.
  bool outbound_only = false;
  /// RFC 9478: what matches is taken for traffic with one of these, for nothing else of this host says what it has.
  std::vector<model::SecurityLabel> security_labels = {};
};
/// True when both sides are one address each, and these are the outer ones.
[[nodiscard]] bool between_outer_addresses(const model::TrafficSelectors& local, const model::TrafficSelectors& remote,
                                           const std::optional<net::IpAddress>& outer_local,
                                           const std::optional<net::IpAddress>& outer_remote);
[[nodiscard]] Guarded guarded(const model::ConnectionConfig& tunnel);

struct SpdEntry {
  ipsec::Policy policy;  // its id is the place in the list, from 1
  RuleOrigin origin = RuleOrigin::file;
  std::string place;
  std::string sa;  // protect: who serves it
  std::vector<model::SecurityLabel> security_labels = {};
};

/// In this order: rules with `position = "first"` (the last command's first of all), rules without a position, manual
/// entries, tunnels, rules with `position = "last"`; then each rule that names another is put beside it. One whose
/// anchor is not there stands with those without a position. Last of all come implicit rules: routes lead all traffic
/// to the peer of a host-to-host entry into TUN, so what its own rule leaves of the traffic between these addresses is
/// bypassed, unless a rule of the user's says otherwise.
[[nodiscard]] std::vector<SpdEntry> arrange_spd(const std::vector<config::PolicyRule>& files,
                                                const std::vector<config::PolicyRule>& commands,
                                                const std::vector<Guarded>& guards);
[[nodiscard]] std::vector<ipsec::Policy> policies_of(const std::vector<SpdEntry>& spd);

}  // namespace culvert::control
