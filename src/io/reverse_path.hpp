// The kernel's reverse path filter (RFC 3704) and our firewall mark. Where a tunnel covers its peer's own address, the
// route back to the peer leads into TUN, and an interface with strict filtering (rp_filter = 1) drops all that the peer
// sends, ESP and IKE first. With `src_valid_mark` the filter looks up the route with the packet's mark, and for ours
// the route is the one past the tunnels.
#pragma once

#include <string>
#include <vector>

#include "io/error.hpp"

namespace culvert::io {

/// One interface of the calling thread's network namespace. IPv6 has no such filter.
struct ReversePathFilter {
  std::string interface;
  bool strict = false;       // 1, of the interface or of all
  bool mark_counts = false;  // src_valid_mark, likewise
};

/// Of all interfaces but loopback. What cannot be read counts as off.
[[nodiscard]] std::vector<ReversePathFilter> reverse_path_filters();

/// Sets the interface's own src_valid_mark, by netlink: /proc/sys may be read-only for a confined daemon.
[[nodiscard]] Result<void, IoError> set_mark_counts(const std::string& interface, bool counts);

}  // namespace culvert::io
