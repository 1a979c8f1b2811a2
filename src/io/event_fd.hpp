// EventFd: wakes another thread's loop.
#pragma once

#include "io/error.hpp"
#include "io/file_descriptor.hpp"

namespace culvert::io {

/// A descriptor that is readable from the first `signal` until the next `drain`. Any thread may signal.
class EventFd {
 public:
  [[nodiscard]] static Result<EventFd, IoError> open();
  [[nodiscard]] int fd() const { return fd_.get(); }
  void signal() const;
  /// Makes the descriptor silent again. Drain first, then take what was queued: a signal in between is not lost.
  void drain() const;

 private:
  explicit EventFd(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace culvert::io
