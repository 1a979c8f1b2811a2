// GroupPolicy: what those peers of one tunnel get and may reach who belong together, by identity or by the word of who
// authenticated them (RFC 4301 4.4.3: the PAD says which Child SAs an authenticated peer may have).
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "model/identity.hpp"
#include "model/traffic_selector.hpp"

namespace culvert::model {

struct GroupPolicy {
  using Member = std::variant<Identity, IdentityPattern>;

  std::string name;
  /// Identities as Identity::comparable() has them.
  std::vector<Member> members;
  bool refused = false;
  /// Instead of the tunnel's; empty: the tunnel's.
  std::vector<std::string> pools;
  TrafficSelectors local;
  /// Instead of the tunnel's where it is not 0.
  std::size_t sessions = 0;

  /// `identity` is comparable.
  [[nodiscard]] bool has(const Identity& identity) const;
  friend bool operator==(const GroupPolicy&, const GroupPolicy&) = default;
};

/// The group of a peer: the one that is named so, if any is, else the first that has the identity; null: none.
[[nodiscard]] const GroupPolicy* group_of(const std::vector<GroupPolicy>& groups, const Identity& identity,
                                          std::string_view named);

}  // namespace culvert::model
