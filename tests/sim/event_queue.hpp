// EventQueue: virtual time. Events of one instant run in the order in which they were planned, so a run repeats
// exactly.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/time.hpp"

namespace culvert::sim {

class EventQueue {
 public:
  using Action = std::function<void()>;

  [[nodiscard]] Instant now() const { return now_; }
  /// Plans an action; one in the past runs next.
  void at(Instant when, Action action) {
    heap_.push_back({std::max(when, now_), ++planned_, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(Duration delay, Action action) { at(now_ + delay, std::move(action)); }

  /// Runs the next event that is due no later than `until`. Without one, the time becomes `until` and the answer is
  /// false.
  bool run_next(Instant until) {
    if (heap_.empty() || heap_.front().when > until) {
      now_ = std::max(now_, until);
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Entry entry = std::move(heap_.back());
    heap_.pop_back();
    now_ = entry.when;
    entry.action();
    return true;
  }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    Instant when;
    std::uint64_t order = 0;
    Action action;
  };
  static bool later(const Entry& a, const Entry& b) { return a.when != b.when ? a.when > b.when : a.order > b.order; }

  Instant now_{std::chrono::seconds(1000)};
  std::uint64_t planned_ = 0;
  std::vector<Entry> heap_;
};

}  // namespace culvert::sim
