// diff: what `culvert apply` would change, in words.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace culvert::config {

/// One changed tunnel. Each line reads "peer: 192.0.2.1 -> 192.0.2.9"; of a secret only that it changed.
struct TunnelChange {
  std::string name;
  std::vector<std::string> changes;
  /// False when running SAs may stay as they are (only how the tunnel starts or how long its next SAs live changed).
  bool restarts = true;
  friend bool operator==(const TunnelChange&, const TunnelChange&) = default;
};

struct Diff {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<TunnelChange> changed;
  std::vector<std::string> unchanged;
  /// Manual entries, likewise; every change of one starts its SAs anew.
  std::vector<std::string> manual_added;
  std::vector<std::string> manual_removed;
  std::vector<TunnelChange> manual_changed;
  std::vector<std::string> manual_unchanged;
  bool policies_changed = false;
  bool pools_changed = false;
  bool radius_changed = false;
  /// Changes of [daemon]; those other than log_level take effect with a restart of culvertd only.
  std::vector<std::string> daemon;
  bool daemon_restart_needed = false;
  [[nodiscard]] bool empty() const {
    return added.empty() && removed.empty() && changed.empty() && !policies_changed && !pools_changed &&
           !radius_changed && daemon.empty() && manual_added.empty() && manual_removed.empty() &&
           manual_changed.empty();
  }
};

/// Tunnels are matched by name, each list is in the order of `wanted` (`removed`: of `running`).
[[nodiscard]] Diff diff(const Config& running, const Config& wanted);
/// What of [daemon] is in force after `wanted` was applied: `running`, but for what needs no restart.
[[nodiscard]] DaemonConfig in_force(const DaemonConfig& running, const DaemonConfig& wanted);

}  // namespace culvert::config
