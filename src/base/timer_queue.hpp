// TimerQueue: at most one instant for each of many keys, and which comes first.
#pragma once

#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/time.hpp"

namespace culvert {

/// `Key` is ordered and has a std::hash. Of equal instants the smaller key comes first. Costs grow with the logarithm
/// of the number of keys.
template <typename Key>
class TimerQueue {
 public:
  /// Puts the key in the queue, moves it, or takes it out.
  void set(const Key& key, std::optional<Instant> at) {
    const auto known = at_.find(key);
    if (known != at_.end()) {
      if (at == known->second) return;
      queue_.erase({known->second, key});
      if (!at) at_.erase(known);
    }
    if (!at) return;
    at_.insert_or_assign(key, *at);
    queue_.insert({*at, key});
  }
  [[nodiscard]] std::optional<Instant> next() const {
    return queue_.empty() ? std::nullopt : std::optional(queue_.begin()->first);
  }
  /// The first key whose instant is `now` or before; it stays in the queue.
  [[nodiscard]] std::optional<Key> due(Instant now) const {
    return queue_.empty() || queue_.begin()->first > now ? std::nullopt : std::optional(queue_.begin()->second);
  }

 private:
  std::set<std::pair<Instant, Key>> queue_;
  std::unordered_map<Key, Instant> at_;
};

}  // namespace culvert
