// RunLog: what one simulated run did, and the first thing that was wrong with it. Lines are only made when somebody
// will read them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tests/sim/event_queue.hpp"

namespace culvert::sim {

class RunLog {
 public:
  explicit RunLog(const EventQueue& queue, bool enabled) : queue_(queue), enabled_(enabled) {}

  [[nodiscard]] bool enabled() const { return enabled_; }
  [[nodiscard]] bool failed() const { return failure_.has_value(); }
  [[nodiscard]] const std::optional<std::string>& failure() const { return failure_; }
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    if (enabled_) lines_.push_back(stamp() + fmt::format(format, std::forward<Args>(args)...));
  }
  /// A violated invariant: the run ends after the present event.
  template <typename... Args>
  void fail(fmt::format_string<Args...> format, Args&&... args) {
    if (failure_) return;
    failure_ = stamp() + fmt::format(format, std::forward<Args>(args)...);
    if (enabled_) lines_.push_back("FAILED: " + *failure_);
  }

 private:
  [[nodiscard]] std::string stamp() const {
    const auto since = queue_.now() - Instant(std::chrono::seconds(1000));
    return fmt::format("{:10.6f} ", std::chrono::duration<double>(since).count());
  }

  const EventQueue& queue_;
  bool enabled_;
  std::optional<std::string> failure_;
  std::vector<std::string> lines_;
};

}  // namespace culvert::sim
