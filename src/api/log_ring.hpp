// LogRing: the newest log entries, for `culvert log`. Any thread may append.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "api/schema.hpp"

namespace culvert::api {

class LogRing {
 public:
  /// Keeps the newest `capacity` entries (at least one).
  explicit LogRing(std::size_t capacity = 4096);

  /// `text` is one line; control characters in it are escaped and it is cut after 2,000 octets. `time`: milliseconds
  /// since 1970.
  void append(std::int64_t time, LogLevel level, std::string_view tunnel, std::string_view text);

  /// Entries with a sequence above `after`, oldest first, at most `limit`; without `after` the newest `limit`. `tunnel`
  /// not empty: only that tunnel's. `next` moves on over entries that were not of the tunnel.
  [[nodiscard]] LogPage read(std::optional<std::uint64_t> after, std::size_t limit, std::string_view tunnel = {}) const;

  /// Called after each append, from the appending thread, without the ring's lock held. It must return at once (post to
  /// a loop, say). An empty function ends it; once this returns the old one is not running and will not be called
  /// again.
  void set_listener(std::function<void()> listener);

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<LogEntry> entries_;
  std::uint64_t last_sequence_ = 0;
  std::mutex listener_mutex_;
  std::function<void()> listener_;
};

}  // namespace culvert::api
