#include "io/path_mtu.hpp"

#include <algorithm>

#include <netinet/in.h>
#include <sys/socket.h>

#include "io/file_descriptor.hpp"
#include "io/socket_address.hpp"

namespace culvert::io {

std::optional<std::uint16_t> path_mtu(const net::IpAddress& local, const net::IpAddress& remote, std::uint32_t mark) {
  const bool v4 = remote.is_v4();
  const FileDescriptor fd(::socket(socket_family(remote.family()), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return {};
  if (mark != 0 && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0) return {};
  sockaddr_storage address{};
  if (!local.is_unspecified()) {
    const socklen_t length = to_sockaddr({local, 0}, address);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) return {};
  }
  // Connecting a UDP socket sends nothing.
  constexpr std::uint16_t kAnyPort = 500;
  const socklen_t length = to_sockaddr({remote, kAnyPort}, address);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) return {};
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (::getsockopt(fd.get(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU : IPV6_MTU, &mtu, &size) < 0 || mtu <= 0) {
    return {};
  }
  return static_cast<std::uint16_t>(std::min(mtu, 0xffff));
}

}  // namespace culvert::io
