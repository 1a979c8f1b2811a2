#include "ike/v2/resource_sas.hpp"

#include <algorithm>
#include <map>
#include <variant>

namespace culvert::ike::v2 {
namespace {

using model::TrafficSelectors;
using model::TransformType;

// Octets of a resource identifier.
constexpr std::size_t kInfoSize = 8;

bool equal_selectors(const TrafficSelectors& a, const TrafficSelectors& b) {
  return model::is_subset(a, b) && model::is_subset(b, a);
}

bool covers_the_same(const ChildSa& child, const TrafficSelectors& local, const TrafficSelectors& remote) {
  return equal_selectors(child.local, local) && equal_selectors(child.remote, remote);
}

bool is_beside(const ChildSa& child, const ChildSa& fallback) {
  return child.is_current() && child.group.resource && covers_the_same(child, fallback.local, fallback.remote);
}

bool is_like(const model::Transform& transform, const model::EspSuite& suite) {
  switch (transform.type) {
    case TransformType::encryption:
      return transform.id == static_cast<std::uint16_t>(suite.encryption) && transform.key_bits == suite.key_bits;
    case TransformType::integrity: return transform.id == static_cast<std::uint16_t>(suite.integrity);
    case TransformType::esn: return transform.id == static_cast<std::uint16_t>(suite.esn);
    default: return true;
  }
}

}  // namespace

std::size_t resource_limit(const model::ConnectionConfig& config) { return config.resource_sas.value_or(0); }

const ChildSa* find_fallback(const IkeSa& sa, const TrafficSelectors& local, const TrafficSelectors& remote) {
  for (const auto& [id, child] : sa.children) {
    // Also in an IKE SA that is to go for a rival's sake, of which the peer may not know yet.
    const bool stands = !child.replaced_by && !child.deleting;
    if (stands && !child.group.resource && covers_the_same(child, local, remote)) return &child;
  }
  return nullptr;
}

const ChildSa* wanted_beside(const IkeSa& sa, const model::ConnectionConfig& config, const codec::Message& request) {
  if (request.notify(model::NotifyType::sa_resource_info) == nullptr) return nullptr;
  const TrafficSelectors& remote = request.ts(model::Role::initiator)->selectors;
  const TrafficSelectors& local = request.ts(model::Role::responder)->selectors;
  if (const ChildSa* exact = find_fallback(sa, local, remote)) return exact;
  return find_fallback(sa, model::narrow(local, config.local), model::narrow(remote, config.remote));
}

const ChildSa* joinable(const IkeSa& sa, const model::ConnectionConfig& config, const ChildWish& wish) {
  const ChildSa* fallback = find_fallback(sa, wish.local, wish.remote);
  if (fallback == nullptr || !fallback->group.open) return nullptr;
  // With those of ours that are under way at the same time.
  std::size_t count = count_beside(sa, *fallback);
  for (const InitiatorExchange* one : sa.exchanges()) {
    const ChildWish* other = one->wish();
    if (other != nullptr && other->resource && covers_the_same(*fallback, other->local, other->remote)) ++count;
  }
  return count < resource_limit(config) ? fallback : nullptr;
}

std::size_t count_beside(const IkeSa& sa, const ChildSa& fallback) {
  return static_cast<std::size_t>(
      std::ranges::count_if(sa.children, [&](const auto& entry) { return is_beside(entry.second, fallback); }));
}

std::uint32_t next_resource(const Core& core, const IkeSa& sa, const ChildSa& fallback) {
  const std::uint32_t resources = std::max<std::uint32_t>(core.settings.resources, 1);
  std::map<std::uint32_t, std::size_t> pairs;
  // Whoever has the fallback needs no other: it never asks for one (ipsec::SaHome), and receives for all as it is.
  if (const auto home = core.esp_spis.resource_of(fallback.id)) ++pairs[*home];
  for (const auto& [id, child] : sa.children) {
    const auto& resource = child.group.resource;
    if (resource && is_beside(child, fallback)) ++pairs[*resource];
  }
  const auto note = [&](const ChildWish* wish) {
    const bool ours = wish != nullptr && wish->resource && covers_the_same(fallback, wish->local, wish->remote);
    if (ours) ++pairs[*wish->resource];
  };
  for (const InitiatorExchange* one : sa.exchanges()) note(one->wish());
  for (const QueuedTask& queued : sa.tasks) {
    const auto* task = std::get_if<CreateChildTask>(&queued.task);
    if (task != nullptr && task->wish) note(&*task->wish);
  }
  // RFC 9611 4: the resource with the fewest. Among equals one after the other, over all groups: else the first
  // resource would have the odd pair of every peer.
  std::uint32_t best = core.next_resource % resources;
  for (std::uint32_t step = 0; step < resources; ++step) {
    const std::uint32_t one = (core.next_resource + step) % resources;
    if (pairs[one] < pairs[best]) best = one;
  }
  return best;
}

ResourceGroup group_beside(Core& core, std::uint32_t resource) {
  // RFC 9611 3, 7: unique among the pairs with the same selectors, and no hint at what the resource is.
  ResourceGroup group{.open = true, .resource = resource, .info = Bytes(kInfoSize)};
  core.random.fill(group.info);
  return group;
}

std::vector<model::Proposal> proposals_like(std::vector<model::Proposal> proposals, const model::EspSuite& suite) {
  const auto has = [](const model::Proposal& proposal, TransformType type) {
    return std::ranges::any_of(proposal.transforms, [&](const model::Transform& one) { return one.type == type; });
  };
  for (model::Proposal& proposal : proposals) {
    const model::Proposal whole = proposal;
    std::erase_if(proposal.transforms, [&](const model::Transform& one) { return !is_like(one, suite); });
    for (const TransformType type : {TransformType::encryption, TransformType::integrity, TransformType::esn}) {
      if (has(whole, type) && !has(proposal, type)) proposal.transforms.clear();
    }
  }
  std::erase_if(proposals, [](const model::Proposal& proposal) { return proposal.transforms.empty(); });
  return proposals;
}

}  // namespace culvert::ike::v2
