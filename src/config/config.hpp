// Config: what the configuration files say, checked as a whole. docs/man/culvert.toml.5.md documents every field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.hpp"
#include "config/problem.hpp"
#include "model/connection.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::config {

inline constexpr std::string_view kDefaultPath = "/etc/culvert";
inline constexpr std::string_view kDefaultSocket = "/run/culvert/culvertd.sock";

enum class LogLevel : std::uint8_t { trace, debug, info, warning, error };
[[nodiscard]] std::string_view name_of(LogLevel level);
[[nodiscard]] std::optional<LogLevel> parse_log_level(std::string_view text);

/// The section [daemon]: at most one in all files together.
struct DaemonConfig {
  LogLevel log_level = LogLevel::info;
  std::string socket{kDefaultSocket};
  std::string tun_name = "culvert0";
  std::uint16_t ike_port = 500;
  std::uint16_t nat_port = 4500;
  /// The folder to which keys are written for a protocol analyser; absent: never.
  std::optional<std::string> export_keys;
  /// The routing table for the tunnels' routes: one of our own, never the kernel's.
  std::uint32_t routing_table = 4500;
  /// Set on the daemon's own outer packets, so that routing rules can tell them from inner ones.
  std::uint32_t fwmark = 4500;
  friend bool operator==(const DaemonConfig&, const DaemonConfig&) = default;
};

/// What the user wrote as `peer`: only `address` has ConnectionConfig::peer filled in; `dns_name` is to be resolved by
/// the daemon.
enum class PeerKind : std::uint8_t { address, dns_name, any };

struct TunnelConfig {
  /// `connection.id` is left 0: the daemon numbers connections, stable by name.
  model::ConnectionConfig connection;
  PeerKind peer_kind = PeerKind::address;
  /// The octets of the pre-shared key, whether written in the file or read from `secret_file`. Never empty.
  SecretBytes secret;
};

enum class RuleAction : std::uint8_t { bypass, discard };
[[nodiscard]] std::string_view name_of(RuleAction action);

/// One [[policy]]: an explicit rule, in front of the tunnels' rules, in the order written (files in sorted order).
struct PolicyRule {
  RuleAction action = RuleAction::discard;
  model::TrafficSelectors local;  // empty side in the file: all addresses of both families
  model::TrafficSelectors remote;
  model::SourcePlace place;
  friend bool operator==(const PolicyRule& a, const PolicyRule& b) {
    return a.action == b.action && a.local == b.local && a.remote == b.remote;
  }
};

struct Config {
  DaemonConfig daemon;
  std::vector<TunnelConfig> tunnels;  // in the order of the files
  std::vector<PolicyRule> policies;
  Problems warnings;
  std::vector<std::string> files;  // that were read, without secret files

  [[nodiscard]] const TunnelConfig* find(std::string_view name) const;
};

}  // namespace culvert::config
