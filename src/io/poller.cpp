#include "io/poller.hpp"

#include <algorithm>

#include <errno.h>
#include <sys/epoll.h>

namespace culvert::io {

namespace {

// epoll_pwait2 takes nanoseconds but is missing before Linux 5.11; milliseconds rounded up are fine for timers that
// only need "not early".
int milliseconds(std::optional<Duration> timeout) {
  if (!timeout) return -1;
  if (*timeout <= Duration::zero()) return 0;
  const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(*timeout).count();
  return static_cast<int>(std::min<std::int64_t>(rounded, 3'600'000));
}

}  // namespace

Result<Poller, IoError> Poller::open() {
  FileDescriptor fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd.valid()) return err(system_error("cannot make an epoll descriptor", errno));
  return Poller(std::move(fd));
}

Result<void, IoError> Poller::watch(const Watched& one) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = one.token;
  if (::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, one.fd, &event) < 0)
    return err(system_error("cannot wait for a descriptor", errno));
  return {};
}

Result<void, IoError> Poller::add(int fd, std::uint32_t token) {
  const Watched one{fd, token};
  auto added = watch(one);
  if (added) watched_.push_back(one);
  return added;
}

void Poller::remove(int fd) {
  const auto found = std::ranges::find(watched_, fd, &Watched::fd);
  if (found == watched_.end()) return;
  if (found->resting) --resting_;
  watched_.erase(found);
  (void)::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Poller::rest(int fd) {
  const auto found = std::ranges::find(watched_, fd, &Watched::fd);
  if (found == watched_.end() || found->resting) return;
  if (::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr) < 0) return;
  found->resting = true;
  ++resting_;
}

// False when one could not be had yet.
bool Poller::wake_resting() {
  for (Watched& one : watched_) {
    if (!one.resting || !watch(one)) continue;
    one.resting = false;
    --resting_;
  }
  return resting_ == 0;
}

std::span<const Poller::Ready> Poller::wait(std::optional<Duration> timeout) {
  // The kernel may have no memory for it at the moment.
  constexpr auto kSoon = std::chrono::milliseconds(1);
  if (resting_ != 0 && !wake_resting()) timeout = std::min<Duration>(timeout.value_or(kSoon), kSoon);
  std::array<epoll_event, kMaxReady> events;
  const int count = ::epoll_wait(fd_.get(), events.data(), static_cast<int>(events.size()), milliseconds(timeout));
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    ready_[static_cast<std::size_t>(i)] = {event.data.u32, (event.events & (EPOLLERR | EPOLLHUP)) != 0};
  }
  return {ready_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

}  // namespace culvert::io
