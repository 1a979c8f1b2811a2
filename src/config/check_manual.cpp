// Checks across manual entries and rules: one meaning for each name and SPI, no key twice, rules that refer to
// something.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "config/draft.hpp"
#include "config/manual_keys.hpp"

namespace culvert::config {
namespace {

void complain(Problems& problems, const Position& at, std::string field, std::string message, std::string hint,
              Severity severity = Severity::error) {
  problems.push_back({severity, at, std::move(field), std::move(message), std::move(hint)});
}

std::string field_of(const DraftManual& entry, std::string_view key) {
  return fmt::format("manual.{}{}{}", entry.config.name, key.empty() ? "" : ".", key);
}

std::string_view out_key(const DraftManual& entry) {
  return entry.config.sa.outbound.encryption.empty() ? "integrity_key_out" : "encryption_key_out";
}

/// Ports and addresses that only the whole configuration shows.
void check_port(DraftManual& entry, const DaemonConfig& daemon, Problems& problems) {
  model::ChildSaParams& sa = entry.config.sa;
  if (sa.encapsulation != model::Encapsulation::udp) return;
  if (sa.path.local.port == 0) sa.path.local.port = daemon.nat_port;
  if (sa.path.local.port == daemon.nat_port) return;
  complain(problems, entry.header, field_of(entry, "local_port"),
           fmt::format("{} is not culvertd's port for ESP in UDP", sa.path.local.port),
           fmt::format("take the setting out, or write {} as nat_port in [daemon] writes it", daemon.nat_port));
}

void check_keys(const DraftManual& first, const DraftManual& second, Problems& problems) {
  const model::ChildSaParams& a = first.config.sa;
  const model::ChildSaParams& b = second.config.sa;
  const auto out_a = ledger_key(a.suite, a.outbound);
  const auto out_b = ledger_key(b.suite, b.outbound);
  if (out_a.first.empty() && out_a.second.empty()) return;
  const bool counts = counts_nonces(a.suite) || counts_nonces(b.suite);
  const auto severity = counts ? Severity::error : Severity::warning;
  const std::string danger = counts ? ": numbers used twice under one key break the cipher" : "";
  if (same_ledger_key(out_a, out_b)) {
    complain(
        problems, second.key, field_of(second, out_key(second)),
        fmt::format("it is the outbound key of {} at {} too{}", first.config.name, first.header.to_string(), danger),
        "write a key of its own for each SA", severity);
  } else if (same_ledger_key(out_a, ledger_key(b.suite, b.inbound)) ||
             same_ledger_key(out_b, ledger_key(a.suite, a.inbound))) {
    complain(problems, second.key, field_of(second, out_key(second)),
             fmt::format("{} at {} has the same key in the other direction{}", first.config.name,
                         first.header.to_string(), danger),
             "write a key of its own for each direction of each SA", severity);
  }
}

void check_pairs(Draft& draft) {
  for (std::size_t second = 0; second < draft.manual.size(); ++second) {
    const DraftManual& b = draft.manual[second];
    for (std::size_t first = 0; first < second; ++first) {
      const DraftManual& a = draft.manual[first];
      const model::Spi spi = b.config.sa.spi_inbound;
      if (spi.value() != 0 && a.config.sa.spi_inbound == spi) {
        complain(draft.problems, b.spi, field_of(b, "spi_in"),
                 fmt::format("0x{:x} is the SPI of {} at {} too", spi.value(), a.config.name, a.spi.to_string()),
                 "an inbound SA is found by its SPI alone, ESP and AH together: write another number here and as the "
                 "peer's spi_out");
      }
      check_keys(a, b, draft.problems);
    }
  }
}

/// Who has a name: tunnels, manual entries and rules share one space, because rules refer to all of them.
using Names = std::set<std::string, std::less<>>;

Names check_names(Draft& draft) {
  std::map<std::string, Position, std::less<>> seen;
  Names all;
  for (const DraftTunnel& tunnel : draft.tunnels) seen.emplace(tunnel.config.connection.name, tunnel.header);
  const auto add = [&](const std::string& name, const Position& at, std::string field) {
    const auto [found, fresh] = seen.emplace(name, at);
    if (fresh) return;
    complain(draft.problems, at, std::move(field),
             fmt::format("the name {} is taken at {}", in_quotes(name), found->second.to_string()),
             "tunnels, manual entries and rules share their names: choose another");
  };
  for (const DraftManual& entry : draft.manual) add(entry.config.name, entry.header, field_of(entry, ""));
  for (const DraftPolicy& policy : draft.policies) {
    if (!policy.rule.name.empty()) add(policy.rule.name, policy.name, "policy.name");
  }
  for (const auto& [name, at] : seen) all.insert(name);
  return all;
}

bool serves(const Draft& draft, std::string_view name) {
  return std::ranges::any_of(draft.tunnels, [&](const auto& t) { return t.config.connection.name == name; }) ||
         std::ranges::any_of(draft.manual, [&](const auto& m) { return m.config.name == name; });
}

/// RFC 4301 5.1: where the SA cannot carry what the rule matches, the packets would wait for ever.
void check_cover(const DraftPolicy& policy, const Draft& draft, Problems& problems) {
  for (const DraftManual& entry : draft.manual) {
    if (entry.config.name != policy.rule.sa) continue;
    const auto meets = [](const model::TrafficSelectors& a, const model::TrafficSelectors& b) {
      return std::ranges::any_of(a, [&](const auto& x) {
        return std::ranges::any_of(b, [&](const auto& y) { return x.intersection(y).has_value(); });
      });
    };
    if (meets(policy.rule.local, entry.config.sa.local) && meets(policy.rule.remote, entry.config.sa.remote)) continue;
    complain(problems, policy.sa, "policy.sa",
             fmt::format("{} carries nothing of what this rule matches: {} to {}", policy.rule.sa,
                         model::to_string(entry.config.sa.local), model::to_string(entry.config.sa.remote)),
             "give rule and SA selectors that overlap");
  }
}

/// RFC 4301 4.4.1.2: each packet's values make an SA of their own, and an SA with wider selectors does not serve.
void check_populate(const DraftPolicy& policy, const Draft& draft, Problems& problems) {
  if (policy.rule.populate == decltype(policy.rule.populate){}) return;
  if (std::ranges::none_of(draft.manual, [&](const auto& m) { return m.config.name == policy.rule.sa; })) return;
  complain(problems, policy.sa, "policy.sa",
           fmt::format("the keys of {} are written down, so no SA can be made for a packet's values", policy.rule.sa),
           "take populate out, or name a tunnel");
}

void check_policies(Draft& draft, const Names& names) {
  for (const DraftPolicy& policy : draft.policies) {
    const PolicyRule& rule = policy.rule;
    if (rule.action == RuleAction::protect && !rule.sa.empty()) {
      if (serves(draft, rule.sa)) {
        check_cover(policy, draft, draft.problems);
        check_populate(policy, draft, draft.problems);
      } else {
        complain(draft.problems, policy.sa, "policy.sa",
                 fmt::format("there is no tunnel and no manual entry {}", in_quotes(rule.sa)),
                 "write the name of one: sa = \"NAME\" for [tunnel.NAME] or [manual.NAME]");
      }
    }
    const std::string& anchor = rule.position.anchor;
    if (anchor.empty()) continue;
    const std::string field = rule.position.kind == RulePlace::Kind::before ? "policy.before" : "policy.after";
    if (anchor == rule.name || !names.contains(anchor)) {
      complain(draft.problems, policy.anchor, field,
               anchor == rule.name ? "a rule cannot stand beside itself"
                                   : fmt::format("there is no rule, tunnel or manual entry {}", in_quotes(anchor)),
               "write the name of another rule, of a tunnel or of a manual entry");
    }
  }
}

/// "a before b, b before a".
void check_circles(Draft& draft) {
  const auto named = [&](const std::string& name) -> const DraftPolicy* {
    const auto found = std::ranges::find(draft.policies, name, [](const DraftPolicy& p) { return p.rule.name; });
    return found == draft.policies.end() ? nullptr : &*found;
  };
  for (const DraftPolicy& policy : draft.policies) {
    const DraftPolicy* at = &policy;
    std::size_t steps = 0;
    while (at != nullptr && !at->rule.position.anchor.empty() && steps <= draft.policies.size()) {
      at = named(at->rule.position.anchor);
      ++steps;
      if (at == &policy && steps > 1) {
        complain(draft.problems, policy.anchor, "policy", "the rules refer to each other in a circle",
                 "give one of them position = \"first\" or none");
        return;
      }
    }
  }
}

}  // namespace

void check_manual(Draft& draft) {
  for (DraftManual& entry : draft.manual) check_port(entry, draft.daemon, draft.problems);
  check_pairs(draft);
  check_policies(draft, check_names(draft));
  check_circles(draft);
}

}  // namespace culvert::config
