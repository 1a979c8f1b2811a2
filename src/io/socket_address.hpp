// Turns endpoints into the system's socket addresses and back.
#pragma once

#include <sys/socket.h>

#include "net/address.hpp"

namespace culvert::io {

/// Fills `out` and answers the length that goes with it.
socklen_t to_sockaddr(const net::Endpoint& endpoint, sockaddr_storage& out);
/// 0.0.0.0:0 for a family that is neither IPv4 nor IPv6. An IPv4-mapped IPv6 address becomes IPv4.
[[nodiscard]] net::Endpoint from_sockaddr(const sockaddr_storage& address);
[[nodiscard]] inline int socket_family(net::Family family) { return family == net::Family::v4 ? AF_INET : AF_INET6; }

}  // namespace culvert::io
