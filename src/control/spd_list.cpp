#include "control/spd_list.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace culvert::control {
namespace {

using Kind = config::RulePlace::Kind;

ipsec::PolicyAction to_action(config::RuleAction action) {
  switch (action) {
    case config::RuleAction::bypass: return ipsec::PolicyAction::bypass;
    case config::RuleAction::protect: return ipsec::PolicyAction::protect;
    case config::RuleAction::discard: break;
  }
  return ipsec::PolicyAction::discard;
}

ipsec::PolicyDirection to_direction(config::RuleDirection direction) {
  switch (direction) {
    case config::RuleDirection::outbound: return ipsec::PolicyDirection::outbound;
    case config::RuleDirection::inbound: return ipsec::PolicyDirection::inbound;
    case config::RuleDirection::both: break;
  }
  return ipsec::PolicyDirection::both;
}

SpdEntry entry_of(const config::PolicyRule& rule, RuleOrigin origin, const std::vector<Guarded>& guards) {
  SpdEntry entry;
  entry.policy.action = to_action(rule.action);
  entry.policy.local = rule.local;
  entry.policy.remote = rule.remote;
  entry.policy.direction = to_direction(rule.direction);
  entry.policy.populate = {rule.populate.local_address, rule.populate.remote_address, rule.populate.protocol,
                           rule.populate.local_port, rule.populate.remote_port};
  entry.policy.name = rule.name;
  entry.origin = origin;
  entry.place = rule.place.to_string();
  entry.sa = rule.sa;
  // Without an SA of that name the connection stays 0: what the rule protects waits, and never leaves in clear.
  const auto found = std::ranges::find(guards, rule.sa, &Guarded::name);
  if (rule.action == config::RuleAction::protect && found != guards.end()) entry.policy.connection = found->connection;
  return entry;
}

SpdEntry entry_of(const Guarded& guard) {
  SpdEntry entry;
  entry.policy.action = ipsec::PolicyAction::protect;
  entry.policy.local = guard.local;
  entry.policy.remote = guard.remote;
  if (guard.outbound_only) entry.policy.direction = ipsec::PolicyDirection::outbound;
  entry.security_labels = guard.security_labels;
  entry.policy.connection = guard.connection;
  entry.policy.name = guard.name;
  entry.origin = guard.origin;
  entry.place = guard.place;
  entry.sa = guard.name;
  return entry;
}

bool is_all_traffic(const model::TrafficSelector& selector) { return selector.protocol == 0 && selector.any_port(); }

/// What is left of the traffic between a host-to-host entry's addresses.
SpdEntry rest_of(const Guarded& guard, const net::AddressRange& local, const net::AddressRange& remote) {
  SpdEntry entry;
  entry.policy.action = ipsec::PolicyAction::bypass;
  entry.policy.local = {model::TrafficSelector::of(local)};
  entry.policy.remote = {model::TrafficSelector::of(remote)};
  // An ICMP error quotes a packet, which may be a protected one.
  entry.policy.errors_follow_quoted = true;
  entry.origin = RuleOrigin::implicit;
  entry.place = guard.place;
  entry.sa = guard.name;
  return entry;
}

/// A rule that stands beside another, until that one stands.
struct Anchored {
  SpdEntry entry;
  config::RulePlace place;
  bool placed = false;
};

class Arrangement {
 public:
  Arrangement(const std::vector<config::PolicyRule>& files, const std::vector<config::PolicyRule>& commands,
              const std::vector<Guarded>& guards)
      : guards_(guards) {
    add_at(Kind::first, commands, RuleOrigin::command, guards);
    std::ranges::reverse(list_);  // the newest command stands first of all
    add_at(Kind::first, files, RuleOrigin::file, guards);
    add_at(Kind::front, files, RuleOrigin::file, guards);
    add_at(Kind::front, commands, RuleOrigin::command, guards);
    front_end_ = list_.size();
    for (const RuleOrigin origin : {RuleOrigin::manual, RuleOrigin::tunnel}) {
      for (const Guarded& guard : guards) {
        if (guard.origin == origin && guard.own_rule) list_.push_back(entry_of(guard));
      }
    }
    add_at(Kind::last, files, RuleOrigin::file, guards);
    add_at(Kind::last, commands, RuleOrigin::command, guards);
    collect_anchored(files, RuleOrigin::file, guards);
    collect_anchored(commands, RuleOrigin::command, guards);
  }

  std::vector<SpdEntry> take() {
    for (bool moved = true; moved;) {
      moved = false;
      for (Anchored& one : anchored_) moved |= place(one);
    }
    for (Anchored& one : anchored_) {
      if (one.placed) continue;
      list_.insert(list_.begin() + static_cast<std::ptrdiff_t>(front_end_), std::move(one.entry));
      ++front_end_;
    }
    add_rests();
    std::uint32_t id = 0;
    for (SpdEntry& entry : list_) entry.policy.id = ipsec::PolicyId(++id);
    return std::move(list_);
  }

 private:
  void add_at(Kind kind, const std::vector<config::PolicyRule>& rules, RuleOrigin origin,
              const std::vector<Guarded>& guards) {
    for (const config::PolicyRule& rule : rules) {
      if (rule.position.kind == kind) list_.push_back(entry_of(rule, origin, guards));
    }
  }

  void collect_anchored(const std::vector<config::PolicyRule>& rules, RuleOrigin origin,
                        const std::vector<Guarded>& guards) {
    for (const config::PolicyRule& rule : rules) {
      if (!rule.position.anchor.empty()) anchored_.push_back({entry_of(rule, origin, guards), rule.position});
    }
  }

  bool place(Anchored& one) {
    if (one.placed) return false;
    auto at = std::ranges::find(list_, one.place.anchor, [](const SpdEntry& entry) { return entry.policy.name; });
    if (at == list_.end()) return false;
    if (one.place.kind == Kind::after) ++at;
    const auto index = static_cast<std::size_t>(at - list_.begin());
    list_.insert(at, std::move(one.entry));
    if (index <= front_end_) ++front_end_;
    return one.placed = true;
  }

  void add_rests() {
    for (const Guarded& guard : guards_) {
      if (!guard.host_to_host || !guard.own_rule) continue;
      std::set<std::pair<net::AddressRange, net::AddressRange>> pairs;
      for (const model::TrafficSelector& local : guard.local) {
        for (const model::TrafficSelector& remote : guard.remote) {
          const bool partial = !is_all_traffic(local) || !is_all_traffic(remote);
          if (local.addresses.family() == remote.addresses.family() && partial)
            pairs.emplace(local.addresses, remote.addresses);
        }
      }
      for (const auto& [local, remote] : pairs) list_.push_back(rest_of(guard, local, remote));
    }
  }

  const std::vector<Guarded>& guards_;
  std::vector<SpdEntry> list_;
  std::size_t front_end_ = 0;  // where the rules without a position end
  std::vector<Anchored> anchored_;
};

}  // namespace

std::string_view name_of(RuleOrigin origin) {
  switch (origin) {
    case RuleOrigin::file: return "rule";
    case RuleOrigin::command: return "command";
    case RuleOrigin::tunnel: return "tunnel";
    case RuleOrigin::manual: return "manual";
    case RuleOrigin::implicit: return "implicit";
  }
  return "unknown";
}

bool between_outer_addresses(const model::TrafficSelectors& local, const model::TrafficSelectors& remote,
                             const std::optional<net::IpAddress>& outer_local,
                             const std::optional<net::IpAddress>& outer_remote) {
  const auto are = [](const model::TrafficSelectors& side, const std::optional<net::IpAddress>& outer) {
    return !side.empty() && std::ranges::all_of(side, [&](const model::TrafficSelector& selector) {
      return selector.addresses.first == selector.addresses.last && (!outer || selector.addresses.first == *outer);
    });
  };
  // Our own outer address may be left to routing; the peer's has to be known.
  return outer_remote && are(local, outer_local) && are(remote, outer_remote);
}

Guarded guarded(const model::ConnectionConfig& tunnel) {
  return {.connection = tunnel.id,
          .name = tunnel.name,
          .place = tunnel.place.to_string(),
          .origin = RuleOrigin::tunnel,
          .own_rule = true,
          .local = tunnel.local,
          .remote = tunnel.remote,
          .addresses = tunnel.addresses,
          .inner_mtu = tunnel.inner_mtu,
          .host_to_host = tunnel.mode == model::Mode::transport ||
                          between_outer_addresses(tunnel.local, tunnel.remote, tunnel.local_address, tunnel.peer),
          .security_labels = tunnel.security_labels};
}

std::vector<SpdEntry> arrange_spd(const std::vector<config::PolicyRule>& files,
                                  const std::vector<config::PolicyRule>& commands, const std::vector<Guarded>& guards) {
  return Arrangement(files, commands, guards).take();
}

std::vector<ipsec::Policy> policies_of(const std::vector<SpdEntry>& spd) {
  std::vector<ipsec::Policy> policies;
  policies.reserve(spd.size());
  for (const SpdEntry& entry : spd) policies.push_back(entry.policy);
  return policies;
}

}  // namespace culvert::control
