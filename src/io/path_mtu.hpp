// The longest packet that the host's routing lets out towards an address.
#pragma once

#include <cstdint>
#include <optional>

#include "io/file_descriptor.hpp"
#include "net/address.hpp"

namespace culvert::io {

/// Asks the kernel's routing. A socket for each family is kept between questions from the same address, as opening one
/// is most of what a question costs. For one thread.
class PathMtuProbe {
 public:
  /// `mark` as on the sockets that will send.
  explicit PathMtuProbe(std::uint32_t mark) : mark_(mark) {}

  /// Octets of the longest IP packet from `local` (unspecified: as routing chooses) to `remote` that leaves uncut: the
  /// route's MTU or else the interface's. Nothing without a route.
  [[nodiscard]] std::optional<std::uint16_t> ask(const net::IpAddress& local, const net::IpAddress& remote);

 private:
  struct Bound {
    FileDescriptor socket;
    net::IpAddress local;
  };
  [[nodiscard]] FileDescriptor open(const net::IpAddress& local, net::Family family) const;

  std::uint32_t mark_;
  Bound v4_, v6_;
};

}  // namespace culvert::io
