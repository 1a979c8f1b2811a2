// The longest packet that the host's routing lets out towards an address.
#pragma once

#include <cstdint>
#include <optional>

#include "net/address.hpp"

namespace culvert::io {

/// Octets of the longest IP packet from `local` (unspecified: as routing chooses) to `remote` that leaves uncut: the
/// route's MTU or else the interface's. `mark` as on the sockets that will send. Nothing without a route.
[[nodiscard]] std::optional<std::uint16_t> path_mtu(const net::IpAddress& local, const net::IpAddress& remote,
                                                    std::uint32_t mark);

}  // namespace culvert::io
