#include "ipsec/acquire_queue.hpp"

#include <cstring>
#include <iterator>

namespace culvert::ipsec {
namespace {

constexpr Duration kAskInterval = std::chrono::seconds(1);

}  // namespace

WaitingPacket::WaitingPacket(const InnerPacket& packet, Instant since)
    : storage_(kInnerHeadroom + packet.bytes.size() + kInnerTailroom), offload_(packet.offload), since_(since) {
  std::memcpy(storage_.data() + kInnerHeadroom, packet.bytes.data(), packet.bytes.size());
}

InnerPacket WaitingPacket::view() {
  return {MutableByteView(storage_).subspan(kInnerHeadroom, storage_.size() - kInnerHeadroom - kInnerTailroom),
          offload_};
}

bool AcquireQueue::push(PolicyId policy, const InnerPacket& packet, Instant since) {
  Queue& queue = queues_[policy];
  const std::size_t size = kInnerHeadroom + packet.bytes.size() + kInnerTailroom;
  if (queue.packets.size() >= bounds_.packets || queue.bytes + size > bounds_.bytes ||
      total_bytes_ + size > bounds_.total_bytes) {
    return false;
  }
  queue.packets.emplace_back(packet, since);
  queue.bytes += size;
  total_bytes_ += size;
  return true;
}

bool AcquireQueue::should_ask(PolicyId policy, const SaSelectors& selectors, Instant now) {
  std::map<SaSelectors, Instant>& asked = queues_[policy].asked;
  if (const auto before = asked.find(selectors); before != asked.end()) {
    if (now - before->second < kAskInterval) return false;
    before->second = now;
    return true;
  }
  if (asked.size() >= kMaxAsked) {
    std::erase_if(asked, [now](const auto& entry) { return now - entry.second >= kAskInterval; });
    if (asked.size() >= kMaxAsked) return false;
  }
  asked.emplace(selectors, now);
  return true;
}

std::vector<WaitingPacket> AcquireQueue::take_all() {
  std::vector<WaitingPacket> taken;
  for (auto& [policy, queue] : queues_) {
    std::move(queue.packets.begin(), queue.packets.end(), std::back_inserter(taken));
    queue.packets.clear();
    queue.bytes = 0;
  }
  total_bytes_ = 0;
  return taken;
}

std::size_t AcquireQueue::expire(Instant now) {
  std::size_t dropped = 0;
  for (auto entry = queues_.begin(); entry != queues_.end();) {
    Queue& queue = entry->second;
    while (!queue.packets.empty() && now - queue.packets.front().since() >= bounds_.age) {
      queue.bytes -= queue.packets.front().size();
      total_bytes_ -= queue.packets.front().size();
      queue.packets.pop_front();
      ++dropped;
    }
    std::erase_if(queue.asked, [&](const auto& asked) { return now - asked.second >= bounds_.age; });
    const bool idle = queue.packets.empty() && queue.asked.empty();
    entry = idle ? queues_.erase(entry) : std::next(entry);
  }
  return dropped;
}

std::optional<Instant> AcquireQueue::next_expiry() const {
  std::optional<Instant> next;
  for (const auto& [policy, queue] : queues_) {
    if (!queue.packets.empty()) next = earliest(next, queue.packets.front().since() + bounds_.age);
  }
  return next;
}

}  // namespace culvert::ipsec
