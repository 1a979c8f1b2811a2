#include "api/log_ring.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace culvert::api {
namespace {

constexpr std::size_t kTextLimit = 2000;
constexpr std::size_t kTunnelLimit = 255;

}  // namespace

LogRing::LogRing(std::size_t capacity) : capacity_(std::max<std::size_t>(capacity, 1)) {}

void LogRing::append(std::int64_t time, LogLevel level, std::string_view tunnel, std::string_view text) {
  {
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= capacity_) entries_.pop_front();
    entries_.push_back({++last_sequence_, time, level, escaped(tunnel, kTunnelLimit), escaped(text, kTextLimit)});
  }
  const std::lock_guard lock(listener_mutex_);
  if (listener_) listener_();
}

LogPage LogRing::read(std::optional<std::uint64_t> after, std::size_t limit, std::string_view tunnel) const {
  const std::lock_guard lock(mutex_);
  LogPage page;
  page.next = last_sequence_;
  const auto wanted = [&](const LogEntry& entry) { return tunnel.empty() || entry.tunnel == tunnel; };
  if (!after) {
    for (auto entry = entries_.rbegin(); entry != entries_.rend() && page.entries.size() < limit; ++entry) {
      if (wanted(*entry)) page.entries.push_back(*entry);
    }
    std::ranges::reverse(page.entries);
    return page;
  }
  // A daemon that was started anew counts from 1 again: a reader that is ahead begins at the beginning.
  const std::uint64_t from = *after > last_sequence_ ? 0 : *after;
  const std::uint64_t oldest = entries_.empty() ? last_sequence_ + 1 : entries_.front().sequence;
  if (from + 1 < oldest) page.lost = oldest - from - 1;
  const std::size_t skip = from + 1 > oldest ? static_cast<std::size_t>(from + 1 - oldest) : 0;
  for (std::size_t i = skip; i < entries_.size(); ++i) {
    if (!wanted(entries_[i])) continue;
    if (page.entries.size() == limit) {
      page.next = page.entries.empty() ? from : page.entries.back().sequence;
      break;
    }
    page.entries.push_back(entries_[i]);
  }
  return page;
}

void LogRing::set_listener(std::function<void()> listener) {
  const std::lock_guard lock(listener_mutex_);
  listener_ = std::move(listener);
}

}  // namespace culvert::api
