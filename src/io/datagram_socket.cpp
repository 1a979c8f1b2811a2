#include "io/datagram_socket.hpp"

#include <array>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "io/ancillary.hpp"
#include "io/socket_address.hpp"

namespace culvert::io {

namespace {

bool set_int(int fd, int level, int option, int value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

void set_buffer(int fd, int force_option, int plain_option, int size) {
  if (!set_int(fd, SOL_SOCKET, force_option, size)) (void)set_int(fd, SOL_SOCKET, plain_option, size);
}

IoError bind_error(const net::Endpoint& local, int number) {
  const std::string at = local.to_string();
  if (number == EADDRINUSE) {
    return {
        IoErrorCode::address_in_use, number,
        fmt::format(
            "UDP port {} is in use ({}): another IKE daemon (culvertd, charon, pluto, iked) is running; stop it, or "
            "configure other ports. `ss -ulpn sport = :{}` names it",
            local.port, at, local.port)};
  }
  if (number == EADDRNOTAVAIL) {
    return {IoErrorCode::address_unavailable, number,
            fmt::format("{} is not an address of this host", local.address.to_string())};
  }
  if (number == EACCES || number == EPERM) {
    return {IoErrorCode::not_permitted, number,
            fmt::format("may not bind UDP port {}: ports below 1024 need root or CAP_NET_BIND_SERVICE", local.port)};
  }
  return system_error(fmt::format("cannot bind UDP {}", at), number);
}

}  // namespace

Result<void, IoError> DatagramSocket::configure(std::uint32_t mark, int receive_buffer, int send_buffer) const {
  const int fd = fd_.get();
  bool ok = true;
  if (family_ == net::Family::v4) {
    ok = set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) && set_int(fd, IPPROTO_IP, IP_RECVTOS, 1) &&
         // The outer packet may be fragmented: what the inner one is told is the business of TUN's MTU.
         set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  } else {
    ok = set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) && set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) &&
         set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
  }
  if (!ok) return err(system_error("cannot set a socket's options", errno));
  if (mark != 0 && ::setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0) {
    return err(system_error(fmt::format("cannot set the firewall mark {:#x} on a socket", mark), errno));
  }
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, send_buffer);
  return {};
}

Result<DatagramSocket, IoError> DatagramSocket::open_udp(const UdpOptions& options) {
  const net::Family family = options.local.address.family();
  FileDescriptor fd(::socket(socket_family(family), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return err(
        system_error(fmt::format("cannot make an {} UDP socket", family == net::Family::v4 ? "IPv4" : "IPv6"), errno));
  }
  DatagramSocket socket(std::move(fd), family);
  if (auto set = socket.configure(options.mark, options.receive_buffer, options.send_buffer); !set)
    return err(set.error());
  if (family == net::Family::v6 && !set_int(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
    return err(system_error("cannot keep an IPv6 socket to IPv6", errno));
  }
  sockaddr_storage address{};
  socklen_t length = to_sockaddr(options.local, address);
  if (::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), length) < 0)
    return err(bind_error(options.local, errno));
  length = sizeof address;
  if (::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &length) < 0) {
    return err(system_error("cannot read a socket's address", errno));
  }
  socket.local_ = from_sockaddr(address);
  if (options.segmentation) {
    // Asking for segment size 0 changes nothing and tells whether the option exists (Linux 4.18).
    socket.gso_ = set_int(socket.fd(), IPPROTO_UDP, UDP_SEGMENT, 0);
    socket.gro_ = set_int(socket.fd(), IPPROTO_UDP, UDP_GRO, 1);
  }
  return socket;
}

Result<DatagramSocket, IoError> DatagramSocket::open_raw(const RawOptions& options) {
  FileDescriptor fd(::socket(socket_family(options.family), SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, options.protocol));
  if (!fd.valid()) {
    return err(system_error(fmt::format("cannot make an {} raw socket for protocol {}",
                                        options.family == net::Family::v4 ? "IPv4" : "IPv6", options.protocol),
                            errno));
  }
  DatagramSocket socket(std::move(fd), options.family);
  if (auto set = socket.configure(options.mark, options.receive_buffer, options.send_buffer); !set)
    return err(set.error());
  socket.raw_ = true;
  socket.local_ = {net::IpAddress::any(options.family), 0};
  return socket;
}

int DatagramSocket::send_one(const net::Path& path, std::uint8_t tos, std::span<const ByteView> parts) const {
  constexpr std::size_t kMaxParts = 4;
  std::array<iovec, kMaxParts> vectors;
  if (parts.size() > kMaxParts || path.remote.address.family() != family_) return EINVAL;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    vectors[i] = {const_cast<std::uint8_t*>(parts[i].data()), parts[i].size()};  // NOLINT: sendmsg reads only
  }
  sockaddr_storage address{};
  AncillaryBuffer control;
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = to_sockaddr({path.remote.address, raw_ ? std::uint16_t{0} : path.remote.port}, address);
  message.msg_iov = vectors.data();
  message.msg_iovlen = parts.size();
  write_ancillary(message, control, path.local.address, tos, 0);
  for (int attempt = 0;; ++attempt) {
    if (::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
    if (errno == EINTR) continue;
    // An ICMP error of an earlier datagram may be reported here once; it says nothing about this one.
    if (attempt == 0 && errno == ECONNREFUSED) continue;
    return errno;
  }
}

}  // namespace culvert::io
