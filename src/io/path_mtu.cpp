#include "io/path_mtu.hpp"

#include <algorithm>

#include <netinet/in.h>
#include <sys/socket.h>

#include "io/socket_address.hpp"

namespace culvert::io {

FileDescriptor PathMtuProbe::open(const net::IpAddress& local, net::Family family) const {
  FileDescriptor fd(::socket(socket_family(family), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return {};
  if (mark_ != 0 && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark_, sizeof mark_) < 0) return {};
  // Nobody reads what somebody may send to its port: let it hold as little of that as can be.
  constexpr int kLeast = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kLeast, sizeof kLeast);
  if (!local.is_unspecified()) {
    sockaddr_storage address{};
    const socklen_t length = to_sockaddr({local, 0}, address);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) return {};
  }
  return fd;
}

std::optional<std::uint16_t> PathMtuProbe::ask(const net::IpAddress& local, const net::IpAddress& remote) {
  const bool v4 = remote.is_v4();
  Bound& bound = v4 ? v4_ : v6_;
  // The first connection gives a socket without an address the one that it keeps: such a one answers once.
  if (!bound.socket.valid() || bound.local != local || local.is_unspecified())
    bound = {open(local, remote.family()), local};
  if (!bound.socket.valid()) return {};
  // Connecting a UDP socket sends nothing.
  constexpr std::uint16_t kAnyPort = 500;
  const int fd = bound.socket.get();
  sockaddr_storage address{};
  const socklen_t length = to_sockaddr({remote, kAnyPort}, address);
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) < 0 ||
      ::getsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu, &size) < 0 || mtu <= 0) {
    bound.socket.reset();  // the address may be gone
    return {};
  }
  return static_cast<std::uint16_t>(std::min(mtu, 0xffff));
}

}  // namespace culvert::io
