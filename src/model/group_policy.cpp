#include "model/group_policy.hpp"

#include <algorithm>

namespace culvert::model {

bool GroupPolicy::has(const Identity& identity) const {
  return std::ranges::any_of(members, [&](const Member& member) {
    if (const auto* pattern = std::get_if<IdentityPattern>(&member)) return pattern->matches(identity);
    return std::get<Identity>(member) == identity;
  });
}

const GroupPolicy* group_of(const std::vector<GroupPolicy>& groups, const Identity& identity, std::string_view named) {
  if (!named.empty()) {
    const auto found = std::ranges::find(groups, named, &GroupPolicy::name);
    if (found != groups.end()) return &*found;
  }
  const auto found = std::ranges::find_if(groups, [&](const GroupPolicy& group) { return group.has(identity); });
  return found == groups.end() ? nullptr : &*found;
}

}  // namespace culvert::model
