#include "ipsec/acquire_queue.hpp"

#include <cstring>
#include <iterator>
#include <utility>

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

bool AcquireQueue::push(const Rule& rule, const InnerPacket& packet, Instant since) {
  const auto known = queues_.find(rule);
  const std::size_t size = kInnerHeadroom + packet.bytes.size() + kInnerTailroom;
  const std::size_t packets = known == queues_.end() ? 0 : known->second.packets.size();
  const std::size_t bytes = known == queues_.end() ? 0 : known->second.bytes;
  if (packets >= bounds_.packets || bytes + size > bounds_.bytes || total_bytes_ + size > bounds_.total_bytes)
    return false;
  Queue& queue = known == queues_.end() ? queues_[rule] : known->second;
  if (queue.packets.empty()) waiting_.emplace(since, rule);
  queue.packets.emplace_back(packet, since);
  queue.bytes += size;
  total_bytes_ += size;
  return true;
}

bool AcquireQueue::should_ask(const Rule& rule, const SaSelectors& selectors, Instant now) {
  Queue& queue = queues_[rule];
  std::map<SaSelectors, Instant>& asked = queue.asked;
  note_asked(queue, rule, now);
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

void AcquireQueue::note_asked(Queue& queue, const Rule& rule, Instant now) {
  if (!std::exchange(queue.listed, true)) asking_.emplace_back(now, rule);
}

void AcquireQueue::take(Queue& queue, std::vector<WaitingPacket>& taken) {
  std::move(queue.packets.begin(), queue.packets.end(), std::back_inserter(taken));
  queue.packets.clear();
  total_bytes_ -= std::exchange(queue.bytes, 0);
}

std::vector<WaitingPacket> AcquireQueue::take_all() {
  std::vector<WaitingPacket> taken;
  std::set<Rule> rules;
  for (const auto& [since, rule] : std::exchange(waiting_, {})) rules.insert(rule);
  for (const Rule& rule : rules) take(queues_.at(rule), taken);
  return taken;
}

std::vector<WaitingPacket> AcquireQueue::take_of(model::ConnectionId connection) {
  std::vector<WaitingPacket> taken;
  for (auto at = queues_.lower_bound({connection, PolicyId{0}}); at != queues_.end(); ++at) {
    auto& [rule, queue] = *at;
    if (rule.connection != connection) break;
    if (queue.packets.empty()) continue;
    waiting_.erase({queue.packets.front().since(), rule});
    take(queue, taken);
  }
  return taken;
}

bool AcquireQueue::has_any_of(model::ConnectionId connection) const {
  for (auto at = queues_.lower_bound({connection, PolicyId{0}}); at != queues_.end(); ++at) {
    if (at->first.connection != connection) break;
    if (!at->second.packets.empty()) return true;
  }
  return false;
}

std::size_t AcquireQueue::expire(Instant now) {
  std::size_t dropped = 0;
  while (!waiting_.empty() && now - waiting_.begin()->first >= bounds_.age) {
    const auto entry = queues_.find(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    Queue& queue = entry->second;
    while (!queue.packets.empty() && now - queue.packets.front().since() >= bounds_.age) {
      queue.bytes -= queue.packets.front().size();
      total_bytes_ -= queue.packets.front().size();
      queue.packets.pop_front();
      ++dropped;
    }
    if (!queue.packets.empty()) waiting_.emplace(queue.packets.front().since(), entry->first);
    forget_when_idle(entry);
  }
  while (!asking_.empty() && now - asking_.front().first >= bounds_.age) {
    const auto entry = queues_.find(asking_.front().second);
    asking_.pop_front();
    Queue& queue = entry->second;
    std::erase_if(queue.asked, [&](const auto& asked) { return now - asked.second >= bounds_.age; });
    queue.listed = false;
    if (!queue.asked.empty()) note_asked(queue, entry->first, now);
    forget_when_idle(entry);
  }
  return dropped;
}

void AcquireQueue::forget_when_idle(Queues::iterator queue) {
  if (queue->second.packets.empty() && queue->second.asked.empty()) queues_.erase(queue);
}

std::optional<Instant> AcquireQueue::next_expiry() const {
  return waiting_.empty() ? std::nullopt : std::optional(waiting_.begin()->first + bounds_.age);
}

}  // namespace culvert::ipsec
