// Poller: waits for several descriptors (epoll, level-triggered). For the worker threads; the control thread has an
// event loop of its own, and one of these for what the data plane has for it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/time.hpp"
#include "io/error.hpp"
#include "io/file_descriptor.hpp"

namespace culvert::io {

class Poller {
 public:
  /// One descriptor that has something: `token` is what the caller gave to `add`.
  struct Ready {
    std::uint32_t token = 0;
    bool failed = false;  // EPOLLERR or EPOLLHUP
  };

  [[nodiscard]] static Result<Poller, IoError> open();
  /// Waits for `fd` to become readable.
  [[nodiscard]] Result<void, IoError> add(int fd, std::uint32_t token);
  void remove(int fd);
  /// Waits for it again only from the next `wait` on; nothing for a descriptor that was not added. Until then whatever
  /// happens to it costs nobody a look at who waits: the kernel takes one, under two locks, for each packet that has
  /// left a socket's send buffer.
  void rest(int fd);
  /// Readable while `wait` would find something: one poller may wait for another.
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// Blocks until something is ready or `timeout` has passed (rounded up to milliseconds; absent: no bound).
  /// The answer stands until the next call; empty on a timeout or an interrupting signal.
  [[nodiscard]] std::span<const Ready> wait(std::optional<Duration> timeout);

 private:
  static constexpr std::size_t kMaxReady = 16;
  explicit Poller(FileDescriptor fd) : fd_(std::move(fd)) {}
  struct Watched {
    int fd = -1;
    std::uint32_t token = 0;
    bool resting = false;
  };
  [[nodiscard]] Result<void, IoError> watch(const Watched& one);
  [[nodiscard]] bool wake_resting();
  FileDescriptor fd_;
  std::vector<Watched> watched_;
  std::size_t resting_ = 0;
  std::array<Ready, kMaxReady> ready_{};
};

}  // namespace culvert::io
