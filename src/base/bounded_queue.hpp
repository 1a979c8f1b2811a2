// BoundedQueue: hands values from one thread to another, never growing beyond its bound.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

namespace culvert {

/// A first-in first-out queue for any number of threads. It never blocks: a full queue refuses, an empty one answers
/// nothing. Waking the reader is the owner's business (an eventfd, say).
template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) {}

  /// Takes the value unless the queue is full; on false `value` is untouched.
  [[nodiscard]] bool push(T&& value) {
    const std::lock_guard lock(mutex_);
    if (items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    return true;
  }

  /// All that waits, in order.
  [[nodiscard]] std::vector<T> take_all() {
    const std::lock_guard lock(mutex_);
    std::vector<T> taken(std::make_move_iterator(items_.begin()), std::make_move_iterator(items_.end()));
    items_.clear();
    return taken;
  }

  [[nodiscard]] std::size_t capacity() const { return capacity_; }

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::deque<T> items_;
};

}  // namespace culvert
