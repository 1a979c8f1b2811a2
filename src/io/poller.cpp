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

Result<void, IoError> Poller::add(int fd, std::uint32_t token) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = token;
  if (::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) < 0)
    return err(system_error("cannot wait for a descriptor", errno));
  return {};
}

void Poller::remove(int fd) { (void)::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

std::span<const Poller::Ready> Poller::wait(std::optional<Duration> timeout) {
  std::array<epoll_event, kMaxReady> events;
  const int count = ::epoll_wait(fd_.get(), events.data(), static_cast<int>(events.size()), milliseconds(timeout));
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    ready_[static_cast<std::size_t>(i)] = {event.data.u32, (event.events & (EPOLLERR | EPOLLHUP)) != 0};
  }
  return {ready_.data(), static_cast<std::size_t>(std::max(count, 0))};
}

}  // namespace culvert::io
