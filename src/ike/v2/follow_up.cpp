#include "ike/v2/follow_up.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"

namespace culvert::ike::v2 {
namespace {

// A peer with a window of one has no reason for more; those that it has forgotten end by themselves.
constexpr std::size_t kMostFollowUps = 4;
constexpr std::size_t kLinkSize = 16;

bool replaces(const FollowUp& follow_up, std::optional<model::ChildSaId> old) {
  const auto* child = std::get_if<AwaitedChild>(&follow_up.outcome);
  return old ? child != nullptr && child->old == old : child == nullptr;
}

void give_back(Core& core, const FollowUp& follow_up) {
  if (const auto* child = std::get_if<AwaitedChild>(&follow_up.outcome))
    core.esp_spis.release(child->agreement.spi_inbound);
}

template <typename Predicate>
void cancel_if(Core& core, IkeSa& sa, Predicate predicate) {
  const auto rest = std::ranges::stable_partition(sa.follow_ups, [&](const auto& one) { return !predicate(*one); });
  for (const auto& one : rest) give_back(core, *one);
  sa.follow_ups.erase(rest.begin(), rest.end());
  core.touch(sa);
}

}  // namespace

bool await_follow_up(Core& core, IkeSa& sa, FollowUp follow_up, codec::Message& answer) {
  const auto* child = std::get_if<AwaitedChild>(&follow_up.outcome);
  if (child == nullptr || child->old) cancel_rekey_of(core, sa, child == nullptr ? std::nullopt : child->old);
  if (sa.follow_ups.size() >= kMostFollowUps) return false;
  await_next(core, follow_up, answer);
  core.progress(sa, fmt::format("{} additional key exchanges are awaited", follow_up.methods.size()));
  sa.follow_ups.push_back(std::make_unique<FollowUp>(std::move(follow_up)));
  core.touch(sa);
  return true;
}

void await_next(Core& core, FollowUp& follow_up, codec::Message& answer) {
  // RFC 9370 2.2.4: any octets that tell it from others; these are nobody else's to guess.
  follow_up.link = Bytes(kLinkSize);
  core.random.fill(follow_up.link);
  follow_up.until = core.now + kFollowUpPatience;
  answer.add_notify(model::NotifyType::additional_key_exchange, follow_up.link);
}

FollowUp* find_follow_up(const IkeSa& sa, ByteView link) {
  const auto found = std::ranges::find_if(sa.follow_ups, [&](const auto& one) { return equal(one->link, link); });
  return found == sa.follow_ups.end() ? nullptr : found->get();
}

bool awaits_rekey_of(const IkeSa& sa, std::optional<model::ChildSaId> old) {
  return std::ranges::any_of(sa.follow_ups, [&](const auto& one) { return replaces(*one, old); });
}

FollowUp take_follow_up(IkeSa& sa, const FollowUp& follow_up) {
  const auto found = std::ranges::find_if(sa.follow_ups, [&](const auto& one) { return one.get() == &follow_up; });
  CHECK(found != sa.follow_ups.end());
  FollowUp taken = std::move(**found);
  sa.follow_ups.erase(found);
  return taken;
}

void cancel_follow_up(Core& core, IkeSa& sa, const FollowUp& follow_up) {
  cancel_if(core, sa, [&](const FollowUp& one) { return &one == &follow_up; });
}

void cancel_rekey_of(Core& core, IkeSa& sa, std::optional<model::ChildSaId> old) {
  cancel_if(core, sa, [&](const FollowUp& one) { return replaces(one, old); });
}

void cancel_follow_ups(Core& core, IkeSa& sa) {
  cancel_if(core, sa, [](const FollowUp&) { return true; });
}

void expire_follow_ups(Core& core, IkeSa& sa) {
  const auto due = [&](const FollowUp& one) { return one.until <= core.now; };
  if (std::ranges::none_of(sa.follow_ups, [&](const auto& one) { return due(*one); })) return;
  // RFC 9370 2.2.4: an initiator that lost its state shall not leave ours behind for ever.
  core.progress(sa, "the peer began a CREATE_CHILD_SA and left out its additional key exchanges");
  cancel_if(core, sa, due);
}

std::optional<Instant> next_follow_up_expiry(const IkeSa& sa) {
  std::optional<Instant> first;
  for (const auto& one : sa.follow_ups) first = earliest(first, one->until);
  return first;
}

std::optional<Instant> follow_ups_block(const IkeSa& sa, const Task& task) {
  const auto* rekey = std::get_if<RekeyChildTask>(&task);
  // RFC 7296 2.25.2: nothing that makes or ends SAs, lest its answer comes when the Child SAs have moved to the
  // successor. What ends the IKE SA itself, asks for life, or is about the path goes on: a peer that has moved and left
  // its key exchanges out would be kept waiting.
  const bool path = std::holds_alternative<UpdateAddressesTask>(task) ||
                    std::holds_alternative<TellAddressesTask>(task) || std::holds_alternative<ProbePathTask>(task);
  const bool elsewhere = path || std::holds_alternative<DeleteIkeTask>(task) ||
                         std::holds_alternative<LivenessTask>(task) || std::holds_alternative<NotifyTask>(task);
  if (elsewhere) return std::nullopt;
  std::optional<Instant> last;
  for (const auto& one : sa.follow_ups) {
    // RFC 7296 2.25.1: the peer would answer with TEMPORARY_FAILURE.
    const bool collides = replaces(*one, std::nullopt) || (rekey != nullptr && replaces(*one, rekey->child));
    if (collides) last = std::max(last.value_or(one->until), one->until);
  }
  return last;
}

}  // namespace culvert::ike::v2
