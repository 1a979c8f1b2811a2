// NetworkMonitor: says that links, addresses or routes of the host changed, so that paths are looked at again; or what
// it forwards.
#pragma once

#include "io/error.hpp"
#include "io/file_descriptor.hpp"

namespace culvert::io {

class NetworkMonitor {
 public:
  [[nodiscard]] static Result<NetworkMonitor, IoError> open();
  /// Readable when something changed.
  [[nodiscard]] int fd() const { return fd_.get(); }

  struct Changes {
    bool links = false;
    bool addresses = false;
    bool routes = false;
    bool forwarding = false;  // of packets that come in by some interface
    /// Anything that packets to a peer may go another way for.
    [[nodiscard]] bool ways() const { return links || addresses || routes; }
  };
  /// What changed since the last call; never blocks. When the kernel lost messages everything counts as changed. Routes
  /// with the protocol number `own_routes` do not count.
  [[nodiscard]] Changes take(unsigned own_routes = 0) const;

 private:
  explicit NetworkMonitor(FileDescriptor fd) : fd_(std::move(fd)) {}
  FileDescriptor fd_;
};

}  // namespace culvert::io
