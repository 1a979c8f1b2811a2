#include "control/resource_wishes.hpp"

#include <algorithm>

namespace culvert::control {
namespace {

using model::TrafficSelectors;

// An SA that the peer ends before this time has passed was not wanted: asked for again at once, it would be ended
// again, and so on for ever.
constexpr Duration kBriefLife = std::chrono::minutes(2);

bool equal_selectors(const TrafficSelectors& a, const TrafficSelectors& b) {
  return model::is_subset(a, b) && model::is_subset(b, a);
}

}  // namespace

const ResourceWishes::Group* ResourceWishes::find(const TrafficSelectors& local, const TrafficSelectors& remote) const {
  const auto found = std::ranges::find_if(groups_, [&](const Group& group) {
    return equal_selectors(group.local, local) && equal_selectors(group.remote, remote);
  });
  return found == groups_.end() ? nullptr : &*found;
}

ResourceWishes::Group& ResourceWishes::at(const TrafficSelectors& local, const TrafficSelectors& remote) {
  if (const Group* known = find(local, remote)) return groups_[static_cast<std::size_t>(known - groups_.data())];
  if (groups_.size() >= kMostGroups) groups_.erase(groups_.begin());
  return groups_.emplace_back(Group{local, remote, false, {}});
}

bool ResourceWishes::may_ask(const TrafficSelectors& local, const TrafficSelectors& remote, std::uint32_t resource,
                             Instant now) const {
  const Group* group = find(local, remote);
  if (group == nullptr) return true;
  if (group->full) return false;
  const auto rest = group->rests.find(resource);
  return rest == group->rests.end() || !rest->second.until || *rest->second.until <= now;
}

bool ResourceWishes::full(const TrafficSelectors& local, const TrafficSelectors& remote) {
  return !std::exchange(at(local, remote).full, true);
}

Duration ResourceWishes::refuse(const TrafficSelectors& local, const TrafficSelectors& remote, std::uint32_t resource,
                                Instant now) {
  return at(local, remote).rests[resource].begin(now);
}

void ResourceWishes::made(const TrafficSelectors& local, const TrafficSelectors& remote, std::uint32_t resource,
                          Instant now) {
  at(local, remote).rests[resource].made_at = now;
}

void ResourceWishes::ended(const TrafficSelectors& local, const TrafficSelectors& remote, std::uint32_t resource,
                           bool by_us, Instant now) {
  Group& group = at(local, remote);
  Rest& rest = group.rests[resource];
  const bool brief = rest.made_at && now - *rest.made_at < kBriefLife;
  if (by_us) {
    group.full = false;
    rest = {};
    return;
  }
  // RFC 9611 6: to bring up at once what the peer has deleted may go on for ever.
  if (!brief) rest = {};
  rest.made_at.reset();
  rest.begin(now);
}

}  // namespace culvert::control
