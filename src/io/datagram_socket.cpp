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

Result<void, IoError> DatagramSocket::configure(const Settings& settings) const {
  const int fd = fd_.get();
  bool ok = true;
  if (family_ == net::Family::v4) {
    // Of DF and fragments see `sender`. Where errors are wanted, "too long" must be among them: not with _DONT. _OMIT
    // keeps the kernel from believing them.
    ok = set_int(fd, IPPROTO_IP, IP_PKTINFO, 1) && set_int(fd, IPPROTO_IP, IP_RECVTOS, 1) &&
         set_int(fd, IPPROTO_IP, IP_RECVTTL, 1) && set_int(fd, IPPROTO_IP, IP_TTL, kDefaultHopLimit) &&
         set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, settings.errors ? IP_PMTUDISC_OMIT : IP_PMTUDISC_DONT) &&
         (!settings.errors || set_int(fd, IPPROTO_IP, IP_RECVERR, 1));
  } else {
    ok = set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) && set_int(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) &&
         set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) &&
         set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, kDefaultHopLimit) &&
         set_int(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, settings.errors ? IPV6_PMTUDISC_WANT : IPV6_PMTUDISC_DONT) &&
         (!settings.errors || set_int(fd, IPPROTO_IPV6, IPV6_RECVERR, 1));
  }
  if (!ok) return err(system_error("cannot set a socket's options", errno));
  const std::uint32_t mark = settings.mark;
  if (mark != 0 && ::setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0) {
    return err(system_error(fmt::format("cannot set the firewall mark {:#x} on a socket", mark), errno));
  }
  if (settings.receive_buffer != 0) set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, settings.receive_buffer);
  set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, settings.send_buffer);
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
  socket.settings_ = {options.mark, options.receive_buffer, options.send_buffer, options.errors};
  if (auto set = socket.configure(socket.settings_); !set) return err(set.error());
  if (auto bound = socket.bind_udp(options.local); !bound) return err(std::move(bound.error()));
  if (options.segmentation) socket.use_segmentation();
  return socket;
}

Result<void, IoError> DatagramSocket::bind_udp(const net::Endpoint& local) {
  if (family_ == net::Family::v6 && !set_int(fd(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
    return err(system_error("cannot keep an IPv6 socket to IPv6", errno));
  }
  sockaddr_storage address{};
  socklen_t length = to_sockaddr(local, address);
  if (::bind(fd(), reinterpret_cast<const sockaddr*>(&address), length) < 0) return err(bind_error(local, errno));
  length = sizeof address;
  if (::getsockname(fd(), reinterpret_cast<sockaddr*>(&address), &length) < 0) {
    return err(system_error("cannot read a socket's address", errno));
  }
  local_ = from_sockaddr(address);
  return {};
}

void DatagramSocket::use_segmentation() {
  // Asking for segment size 0 changes nothing and tells whether the option exists (Linux 4.18).
  gso_ = set_int(fd(), IPPROTO_UDP, UDP_SEGMENT, 0);
  gro_ = set_int(fd(), IPPROTO_UDP, UDP_GRO, 1);
}

// The first socket took the port while nobody may share it, so the group is this process's own; and as it gives
// SO_REUSEADDR up again, it goes on keeping others out. The rest of the group keeps it: `bind_beside` needs it.
Result<DatagramSocket, IoError> DatagramSocket::sibling() const {
  FileDescriptor descriptor(::socket(socket_family(family_), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!descriptor.valid()) return err(system_error("cannot make a further UDP socket", errno));
  DatagramSocket socket(std::move(descriptor), family_);
  socket.settings_ = settings_;
  if (auto set = socket.configure(socket.settings_); !set) return err(set.error());
  for (const DatagramSocket* one : {this, static_cast<const DatagramSocket*>(&socket)}) {
    if (!set_int(one->fd(), SOL_SOCKET, SO_REUSEPORT, 1) || !set_int(one->fd(), SOL_SOCKET, SO_REUSEADDR, 1)) {
      return err(system_error("cannot share a UDP port among workers", errno));
    }
  }
  auto bound = socket.bind_udp(local_);
  (void)set_int(fd(), SOL_SOCKET, SO_REUSEADDR, 0);
  if (!bound) return err(std::move(bound.error()));
  if (gro_) socket.use_segmentation();
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
  socket.settings_ = {options.mark, options.receive_buffer, options.send_buffer, options.errors};
  if (auto set = socket.configure(socket.settings_); !set) return err(set.error());
  if (options.family == net::Family::v6) {
    const int fd_number = socket.fd();
    // For ReceivedMessage::ip_header: an IPv6 raw socket gives the headers as ancillary data only.
    for (const int option : {IPV6_RECVHOPOPTS, IPV6_RECVDSTOPTS, IPV6_RECVRTHDR, kIpv6FlowInfo}) {
      if (!set_int(fd_number, IPPROTO_IPV6, option, 1))
        return err(system_error("cannot ask for IPv6 extension headers", errno));
    }
  }
  socket.raw_ = true;
  socket.protocol_ = options.protocol;
  socket.local_ = {net::IpAddress::any(options.family), 0};
  return socket;
}

Result<DatagramSocket, IoError> DatagramSocket::open_whole(const WholePacketOptions& options) {
  const bool v4 = options.family == net::Family::v4;
  FileDescriptor fd(::socket(socket_family(options.family), SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!fd.valid()) {
    return err(system_error(fmt::format("cannot make an {} socket for whole packets", v4 ? "IPv4" : "IPv6"), errno));
  }
  DatagramSocket socket(std::move(fd), options.family);
  socket.settings_ = {options.mark, 0, options.send_buffer, false};
  if (auto set = socket.configure(socket.settings_); !set) return err(set.error());
  // _PROBE: the interface's MTU counts, not what an ICMP error made the kernel believe. IPV6_FREEBIND: a packet that
  // passes through keeps a source that is not ours, and routing may ask for it.
  const bool ok = v4 ? set_int(socket.fd(), IPPROTO_IP, IP_HDRINCL, 1) &&
                           set_int(socket.fd(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
                     : set_int(socket.fd(), IPPROTO_IPV6, IPV6_HDRINCL, 1) &&
                           set_int(socket.fd(), IPPROTO_IPV6, IPV6_FREEBIND, 1) &&
                           set_int(socket.fd(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  if (!ok) return err(system_error("cannot make a socket take whole IP packets", errno));
  socket.raw_ = true;
  socket.protocol_ = IPPROTO_RAW;
  socket.local_ = {net::IpAddress::any(options.family), 0};
  return socket;
}

Result<DatagramSocket, IoError> DatagramSocket::sender(bool dont_fragment) const {
  FileDescriptor fd(::socket(socket_family(family_), (raw_ ? SOCK_RAW : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
                             raw_ ? protocol_ : 0));
  if (!fd.valid()) return err(system_error("cannot make a socket to send from", errno));
  DatagramSocket socket(std::move(fd), family_);
  socket.settings_ = {settings_.mark, 0, settings_.send_buffer, false};
  if (auto set = socket.configure(socket.settings_); !set) return err(set.error());
  if (auto set = socket.allow_fragments(dont_fragment, IP_PMTUDISC_DONT); !set) return err(set.error());
  socket.raw_ = raw_;
  socket.protocol_ = protocol_;
  if (auto bound = socket.bind_beside(*this); !bound) return err(std::move(bound.error()));
  socket.local_ = local_;
  if (gso_) socket.gso_ = set_int(socket.fd(), IPPROTO_UDP, UDP_SEGMENT, 0);
  return socket;
}

Result<DatagramSocket, IoError> DatagramSocket::connected(const net::Path& path, bool dont_fragment) const {
  FileDescriptor descriptor(::socket(socket_family(family_), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!descriptor.valid()) return err(system_error("cannot make a socket for one peer", errno));
  DatagramSocket socket(std::move(descriptor), family_);
  socket.settings_ = settings_;
  if (auto set = socket.configure(socket.settings_); !set) return err(set.error());
  if (auto set = socket.allow_fragments(dont_fragment, IP_PMTUDISC_OMIT); !set) return err(set.error());
  // Before it has a port: nothing may come that is not cut into trains.
  if (gro_) socket.use_segmentation();
  socket.gso_ = gso_;
  if (auto bound = socket.share_port(*this, path.local); !bound) return err(std::move(bound.error()));
  sockaddr_storage address{};
  const socklen_t length = to_sockaddr(path.remote, address);
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    return err(system_error("cannot connect a socket to a peer", errno));
  }
  socket.local_ = path.local;
  socket.connected_ = true;
  return socket;
}

/// Where ICMP's "too long" shall be told, `otherwise_v4` is not IP_PMTUDISC_DONT.
Result<void, IoError> DatagramSocket::allow_fragments(bool dont_fragment, int otherwise_v4) const {
  const bool v4 = family_ == net::Family::v4;
  const int discover = v4 ? (dont_fragment ? IP_PMTUDISC_PROBE : otherwise_v4)
                          : (dont_fragment ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT);
  if (!set_int(fd(), v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, discover)) {
    return err(system_error("cannot choose whether packets may be cut", errno));
  }
  return {};
}

/// Binds to the port of `receiver` too.
Result<void, IoError> DatagramSocket::share_port(const DatagramSocket& receiver, const net::Endpoint& local) {
  if (family_ == net::Family::v6 && !set_int(fd(), IPPROTO_IPV6, IPV6_V6ONLY, 1)) {
    return err(system_error("cannot keep an IPv6 socket to IPv6", errno));
  }
  // On the receiver for this moment only: afterwards the port is refused to anyone else again.
  (void)set_int(receiver.fd(), SOL_SOCKET, SO_REUSEADDR, 1);
  (void)set_int(fd(), SOL_SOCKET, SO_REUSEADDR, 1);
  sockaddr_storage address{};
  const socklen_t length = to_sockaddr(local, address);
  const int bound = ::bind(fd(), reinterpret_cast<const sockaddr*>(&address), length);
  const int number = errno;
  (void)set_int(receiver.fd(), SOL_SOCKET, SO_REUSEADDR, 0);
  if (bound < 0) return err(bind_error(local, number));
  return {};
}

/// Takes the port of `receiver` too, and nothing that comes to it: connected to a loopback port where nobody answers,
/// this socket is out of the question for every other sender's datagrams and for ICMP errors about them. Messages name
/// their own destination and source all the same.
Result<void, IoError> DatagramSocket::bind_beside(const DatagramSocket& receiver) {
  sockaddr_storage address{};
  if (!raw_) {
    if (auto bound = share_port(receiver, receiver.local_); !bound) return bound;
  }
  constexpr std::uint16_t kDiscardPort = 9;
  const auto nobody = receiver.local_.address.is_unspecified()
                          ? *net::IpAddress::parse(family_ == net::Family::v4 ? "127.0.0.1" : "::1")
                          : receiver.local_.address;
  const socklen_t length = to_sockaddr({nobody, raw_ ? std::uint16_t{0} : kDiscardPort}, address);
  if (::connect(fd(), reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    return err(system_error("cannot set a sending socket apart (is the loopback interface up?)", errno));
  }
  return {};
}

int DatagramSocket::send_one(const net::Path& path, std::uint8_t tos, std::span<const ByteView> parts,
                             std::uint8_t hop_limit) const {
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
  write_ancillary(message, control, {.source = path.local.address, .tos = tos, .hop_limit = hop_limit});
  for (int attempt = 0;; ++attempt) {
    if (::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
    if (errno == EINTR) continue;
    // An ICMP error of an earlier datagram may be reported here once; it says nothing about this one.
    if (attempt == 0 && errno == ECONNREFUSED) continue;
    return errno;
  }
}

}  // namespace culvert::io
