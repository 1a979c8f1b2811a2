// Draft: what was read so far, with the places that checks across sections and files must name.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/problem.hpp"
#include "config/section.hpp"

namespace culvert::config {

/// Selectors and, at the same index, where each was written.
struct LocatedSelectors {
  model::TrafficSelectors selectors;
  std::vector<Position> positions;
};

struct DraftTunnel {
  TunnelConfig config;
  Position header;
  Position peer;
  bool secret_in_file = false;  // the configuration file itself holds the secret
  LocatedSelectors local;
  LocatedSelectors remote;
};

struct Draft {
  DaemonConfig daemon;
  std::optional<Position> daemon_position;
  std::vector<DraftTunnel> tunnels;
  std::vector<PolicyRule> policies;
  Problems problems;
};

/// The settings of [daemon].
[[nodiscard]] DaemonConfig read_daemon(Section section);
/// One [tunnel.NAME].
[[nodiscard]] DraftTunnel read_tunnel(Section section, std::string name, Problems& problems);
/// One [[policy]].
[[nodiscard]] PolicyRule read_policy(Section section);

/// The selectors of a list setting; complaints name the entry at fault.
[[nodiscard]] LocatedSelectors read_selectors(Section& section, std::string_view key);
/// The secret of `secret` or `secret_file`; empty after a complaint.
[[nodiscard]] SecretBytes read_secret(Section& section);
/// A weak algorithm that `compat` allows.
struct CompatWord {
  std::string word;
  Position position;
  bool used = false;  // by a suite read so far
};
[[nodiscard]] std::vector<CompatWord> read_compat(Section& section);
/// The suites of `ike` or `esp`, or the defaults.
[[nodiscard]] std::vector<model::Proposal> read_proposals(Section& section, std::string_view key,
                                                          model::ProtocolId protocol, std::span<CompatWord> compat);
/// Warns of words that no suite needed, once all are read.
void check_compat_used(Section& section, std::span<const CompatWord> compat);

/// Who may read or write a file with a secret in it, judged by mode and owner; nothing when all is well. No error when
/// the file cannot be looked at.
struct FileVerdict {
  Severity severity;
  std::string message;
  std::string hint;
};
[[nodiscard]] std::optional<FileVerdict> judge_secret_file(const std::string& path);

/// Duplicate names, overlapping subnets, peers that cannot be told apart; adds to `draft.problems`.
void check_across(Draft& draft);

}  // namespace culvert::config
