// TCP sockets as streams for IKE and ESP want them: non-blocking, marked, without delays of their own.
#pragma once

#include <cstdint>
#include <optional>

#include "io/error.hpp"
#include "io/file_descriptor.hpp"
#include "net/address.hpp"

namespace culvert::io {

/// A socket that waits for connections at `local`, an address of ours or the unspecified one. `mark` as
/// UdpOptions::mark.
[[nodiscard]] Result<FileDescriptor, IoError> listen_tcp(const net::Endpoint& local, std::uint32_t mark);

struct TcpConnection {
  FileDescriptor fd;
  net::Path path;
};
/// The next connection that waits at a listening socket; nothing when there is none.
[[nodiscard]] std::optional<TcpConnection> accept_tcp(const FileDescriptor& listener, std::uint32_t mark);

struct TcpBound {
  FileDescriptor fd;
  net::Endpoint local;  // with the port that the system chose
};
/// A socket at one of our addresses, to be connected.
[[nodiscard]] Result<TcpBound, IoError> bind_tcp(const net::IpAddress& local, std::uint32_t mark);
/// 0 or an errno; EINPROGRESS when the socket becomes writable once it is known how it went (`tcp_error`).
[[nodiscard]] int connect_tcp(const FileDescriptor& fd, const net::Endpoint& remote);
/// The error that the socket holds, 0 for none.
[[nodiscard]] int tcp_error(const FileDescriptor& fd);

}  // namespace culvert::io
