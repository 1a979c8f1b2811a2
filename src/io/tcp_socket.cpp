#include "io/tcp_socket.hpp"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "io/socket_address.hpp"

namespace culvert::io {

namespace {

constexpr int kBacklog = 256;
/// What is written and not sent yet, in octets: packets wait in the tunnel's own queues, which may drop, or nowhere.
constexpr int kUnsent = 128 * 1024;
/// A connection over which nothing was acknowledged for so long is broken, in milliseconds.
constexpr int kUserTimeout = 15'000;
constexpr int kKeepaliveIdle = 60;  // in seconds, as the next
constexpr int kKeepaliveInterval = 15;
constexpr int kKeepaliveTries = 4;

bool set_int(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

net::Endpoint over_tcp(net::Endpoint endpoint) {
  endpoint.transport = net::Transport::tcp;
  return endpoint;
}

// RFC 9329 6.7: TCP's own keepalives find broken connections; they say nothing about the IKE peer. 6.1: no flow label,
// so that it is the same for each connection. What the kernel lacks of these costs little.
void tune(int fd, net::Family family) {
  (void)set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  (void)set_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kUnsent);
  (void)set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeout);
  (void)set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  (void)set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveIdle);
  (void)set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, kKeepaliveInterval);
  (void)set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveTries);
  constexpr int kAutoFlowLabel = 70;  // IPV6_AUTOFLOWLABEL, which no header of glibc has
  if (family == net::Family::v6) (void)set_int(fd, IPPROTO_IPV6, kAutoFlowLabel, 0);
}

Result<void, IoError> set_mark(int fd, std::uint32_t mark) {
  if (mark == 0 || ::setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0) return {};
  return err(system_error(fmt::format("cannot set the firewall mark {:#x} on a TCP socket", mark), errno));
}

Result<FileDescriptor, IoError> open_tcp(net::Family family, std::uint32_t mark) {
  FileDescriptor fd(::socket(socket_family(family), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return err(system_error("cannot make a TCP socket", errno));
  if (family == net::Family::v6 && !set_int(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1))
    return err(system_error("cannot keep an IPv6 socket to IPv6", errno));
  if (auto marked = set_mark(fd.get(), mark); !marked) return err(std::move(marked.error()));
  return fd;
}

Result<net::Endpoint, IoError> bind_to(const FileDescriptor& fd, const net::Endpoint& local) {
  sockaddr_storage address{};
  socklen_t length = to_sockaddr(local, address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    const int number = errno;
    if (number == EADDRINUSE) {
      return err(IoError{IoErrorCode::address_in_use, number,
                         fmt::format("TCP port {} is in use: another program listens there; stop it, or write another "
                                     "port. `ss -tlpn sport = :{}` names it",
                                     local.port, local.port)});
    }
    return err(system_error(fmt::format("cannot bind TCP {}", local.to_string()), number));
  }
  length = sizeof address;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0)
    return err(system_error("cannot read a socket's address", errno));
  return over_tcp(from_sockaddr(address));
}

}  // namespace

Result<FileDescriptor, IoError> listen_tcp(const net::Endpoint& local, std::uint32_t mark) {
  auto fd = open_tcp(local.address.family(), mark);
  if (!fd) return fd;
  // A restart finds connections of the run before it.
  if (!set_int(fd->get(), SOL_SOCKET, SO_REUSEADDR, 1)) return err(system_error("cannot reuse a TCP port", errno));
  if (auto bound = bind_to(*fd, local); !bound) return err(std::move(bound.error()));
  if (::listen(fd->get(), kBacklog) < 0)
    return err(system_error(fmt::format("cannot listen on TCP {}", local.to_string()), errno));
  return fd;
}

std::optional<TcpConnection> accept_tcp(const FileDescriptor& listener, std::uint32_t mark) {
  sockaddr_storage remote{};
  socklen_t length = sizeof remote;
  FileDescriptor fd(
      ::accept4(listener.get(), reinterpret_cast<sockaddr*>(&remote), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.valid()) return std::nullopt;
  sockaddr_storage local{};
  length = sizeof local;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &length) < 0) return std::nullopt;
  net::Path path{over_tcp(from_sockaddr(local)), over_tcp(from_sockaddr(remote))};
  tune(fd.get(), path.local.address.family());
  if (!set_mark(fd.get(), mark)) return std::nullopt;
  return TcpConnection{std::move(fd), path};
}

Result<TcpBound, IoError> bind_tcp(const net::IpAddress& local, std::uint32_t mark) {
  auto fd = open_tcp(local.family(), mark);
  if (!fd) return err(std::move(fd.error()));
  tune(fd->get(), local.family());
  auto bound = bind_to(*fd, {local, 0, net::Transport::tcp});
  if (!bound) return err(std::move(bound.error()));
  return TcpBound{std::move(*fd), *bound};
}

int connect_tcp(const FileDescriptor& fd, const net::Endpoint& remote) {
  sockaddr_storage address{};
  const socklen_t length = to_sockaddr(remote, address);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0 ? 0 : errno;
}

int tcp_error(const FileDescriptor& fd) {
  int number = 0;
  socklen_t length = sizeof number;
  return ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &number, &length) == 0 ? number : errno;
}

}  // namespace culvert::io
