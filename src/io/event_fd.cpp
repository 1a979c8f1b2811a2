#include "io/event_fd.hpp"

#include <cstdint>

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace culvert::io {

Result<EventFd, IoError> EventFd::open() {
  FileDescriptor fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd.valid()) return err(system_error("cannot make an eventfd", errno));
  return EventFd(std::move(fd));
}

void EventFd::signal() const {
  const std::uint64_t one = 1;
  // It fails only when the counter is full: then the descriptor is readable anyway.
  while (::write(fd_.get(), &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void EventFd::drain() const {
  std::uint64_t count = 0;
  while (::read(fd_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace culvert::io
