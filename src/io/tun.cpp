#include "io/tun.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <fmt/format.h>

#include "io/kernel_settings.hpp"
#include "io/netlink_socket.hpp"

namespace culvert::io {

namespace {

constexpr const char* kTunDevice = "/dev/net/tun";
// Linux 6.2; Debian 12's headers do not have them. The kernel grants both or neither.
constexpr unsigned kUso4 = 0x20;
constexpr unsigned kUso6 = 0x40;
// Packets that may wait for us in each queue; the kernel drops what comes behind. Its own 500 are 3 ms of small packets
// at 160,000 a second, less than a busy processor may take to let us run; more than these would only be late.
constexpr int kQueueLength = 2000;

Result<FileDescriptor, IoError> open_device() {
  FileDescriptor fd(::open(kTunDevice, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (fd.valid()) return fd;
  const int number = errno;
  if (number == ENOENT || number == ENODEV || number == ENXIO) {
    return err(
        IoError{IoErrorCode::no_tun_device, number,
                fmt::format("{} is missing: load the module (modprobe tun), or in a container pass the device in "
                            "(--device {})",
                            kTunDevice, kTunDevice)});
  }
  return err(system_error(fmt::format("cannot open {}", kTunDevice), number));
}

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::memcpy(request.ifr_name, name.c_str(), std::min<std::size_t>(name.size(), IFNAMSIZ - 1));
  return request;
}

IoError attach_error(const std::string& name, int number) {
  if (number == EBUSY || ((number == EINVAL || number == EEXIST) && ::if_nametoindex(name.c_str()) != 0)) {
    return {IoErrorCode::name_taken, number,
            fmt::format("the interface name {} is taken: another culvertd or program has it; stop that one, or choose "
                        "another name",
                        name)};
  }
  return system_error(fmt::format("cannot make the TUN interface {}", name), number);
}

/// One more way into the interface: a queue, or with `name` of one that is there, a further one.
Result<FileDescriptor, IoError> attach(std::string& name, bool with_header, bool several) {
  auto fd = open_device();
  if (!fd) return fd;
  ifreq request = request_for(name);
  request.ifr_flags =
      static_cast<short>(IFF_TUN | IFF_NO_PI | (with_header ? IFF_VNET_HDR : 0) | (several ? IFF_MULTI_QUEUE : 0));
  if (::ioctl(fd->get(), TUNSETIFF, &request) < 0) return err(attach_error(name, errno));
  name = request.ifr_name;
  return fd;
}

/// A way in that the kernel sends nothing out by. What is written to a queue that is read moves its flow there, however
/// much of the flow still waits in another queue: packets would overtake. A detached queue takes packets and moves
/// nothing, so a flow stays where its hash puts it.
Result<FileDescriptor, IoError> attach_writer(std::string& name, bool with_header) {
  auto fd = attach(name, with_header, true);
  if (!fd) return fd;
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_DETACH_QUEUE);
  if (::ioctl(fd->get(), TUNSETQUEUE, &request) < 0) {
    return err(system_error(
        fmt::format("cannot keep flows of {} in their queues (set workers = 1 to do without)", name), errno));
  }
  return fd;
}

/// Asks for the most super-packets allowed, then for less and less.
TunOffload negotiate_offload(int fd, TunOffload most) {
  const unsigned checksum = TUN_F_CSUM;
  const unsigned tcp = checksum | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  if (most >= TunOffload::tcp_and_udp && ::ioctl(fd, TUNSETOFFLOAD, tcp | kUso4 | kUso6) == 0)
    return TunOffload::tcp_and_udp;
  if (most >= TunOffload::tcp && ::ioctl(fd, TUNSETOFFLOAD, tcp) == 0) return TunOffload::tcp;
  if (most >= TunOffload::checksum && ::ioctl(fd, TUNSETOFFLOAD, checksum) == 0) return TunOffload::checksum;
  (void)::ioctl(fd, TUNSETOFFLOAD, 0);
  return TunOffload::none;
}

Result<void, IoError> interface_request(const std::string& name, unsigned long operation, ifreq& request,
                                        const char* what) {
  const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid() || ::ioctl(socket.get(), operation, &request) < 0) {
    return err(system_error(fmt::format("cannot {} of {}", what, name), errno));
  }
  return {};
}

/// Without a link-local address the kernel solicits no routers over the interface. A kernel without IPv6 has none
/// anyway.
Result<void, IoError> keep_link_local_away(const std::string& name, unsigned index) {
  auto netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (!netlink) return err(std::move(netlink.error()));
  NetlinkRequest request(RTM_SETLINK, NLM_F_ACK);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  request.body(header).begin_nested(IFLA_AF_SPEC).begin_nested(AF_INET6);
  request.u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE).end_nested().end_nested();
  auto set = netlink->request(request, fmt::format("cannot set the IPv6 address generation of {}", name));
  if (!set && (set.error().system_error == EAFNOSUPPORT || set.error().system_error == EOPNOTSUPP)) return {};
  return set;
}

Result<void, IoError> change_flags(const std::string& name, int set, int clear) {
  ifreq request = request_for(name);
  if (auto read = interface_request(name, SIOCGIFFLAGS, request, "read the flags"); !read) return read;
  request.ifr_flags = static_cast<short>((request.ifr_flags | set) & ~clear);
  return interface_request(name, SIOCSIFFLAGS, request, "set the flags");
}

// What the kernel says of an interface; nothing when it does not answer.
void ask_link(const std::string& name, unsigned index, const std::function<void(const rtattr&)>& each) {
  auto netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (!netlink) return;
  NetlinkRequest request(RTM_GETLINK, 0);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  request.body(header);
  (void)netlink->query(request, "cannot ask for " + name, [&](const nlmsghdr* message) {
    const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
    auto left = static_cast<int>(IFLA_PAYLOAD(message));
    for (const rtattr* one = IFLA_RTA(info); RTA_OK(one, left); one = RTA_NEXT(one, left)) each(*one);
  });
}

}  // namespace

const char* name_of(TunOffload offload) {
  switch (offload) {
    case TunOffload::none: return "none";
    case TunOffload::checksum: return "checksum";
    case TunOffload::tcp: return "tcp";
    case TunOffload::tcp_and_udp: return "tcp+udp";
  }
  return "?";
}

TunQueue::Read TunQueue::read(MutableByteView buffer) {
  const std::size_t offset = with_header_ ? 0 : sizeof(VirtioNetHeader);
  const ssize_t got = ::read(fd_.get(), buffer.data() + offset, buffer.size() - offset);
  if (got < 0) return {{}, {}, errno == EINTR ? EAGAIN : errno};
  Read read;
  std::size_t size = static_cast<std::size_t>(got);
  if (with_header_) {
    if (size < sizeof read.header) return {{}, {}, EAGAIN};
    std::memcpy(&read.header, buffer.data(), sizeof read.header);
    size -= sizeof read.header;
  }
  read.packet = buffer.subspan(sizeof(VirtioNetHeader), size);
  return read;
}

int TunQueue::write(const VirtioNetHeader& header, std::span<const ByteView> pieces) {
  if (pieces.size() > kMaxPieces) return EMSGSIZE;
  VirtioNetHeader copy = header;
  std::array<iovec, 1 + kMaxPieces> parts;
  parts[0] = {&copy, sizeof copy};
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    parts[1 + i] = {const_cast<std::uint8_t*>(pieces[i].data()), pieces[i].size()};  // NOLINT: only read
  }
  const iovec* const first = with_header_ ? parts.data() : parts.data() + 1;
  const int count = static_cast<int>(pieces.size()) + (with_header_ ? 1 : 0);
  const int fd = writer_.valid() ? writer_.get() : fd_.get();
  for (;;) {
    if (::writev(fd, first, count) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

Result<Tun, IoError> Tun::open(const TunOptions& options) {
  if (options.name.empty() || options.name.size() >= IFNAMSIZ) {
    return err(IoError{IoErrorCode::invalid, 0,
                       fmt::format("an interface name has 1 to 15 characters: \"{}\"", options.name)});
  }
  Tun tun;
  tun.name_ = options.name;
  const bool with_header = options.offload != TunOffload::none;
  const bool several = options.queues > 1;
  // An interface that is there already is not ours, not even a persistent TUN that the kernel would let us attach to.
  if (::if_nametoindex(tun.name_.c_str()) != 0) return err(attach_error(tun.name_, EBUSY));
  for (unsigned i = 0; i < std::max(options.queues, 1U); ++i) {
    auto fd = attach(tun.name_, with_header, several);
    if (!fd) return err(std::move(fd.error()));
    tun.offload_ = negotiate_offload(fd->get(), options.offload);
    auto writer = several ? attach_writer(tun.name_, with_header) : Result<FileDescriptor, IoError>(FileDescriptor());
    if (!writer) return err(std::move(writer.error()));
    tun.queues_.emplace_back(std::move(*fd), with_header, std::move(*writer));
  }
  tun.index_ = ::if_nametoindex(tun.name_.c_str());
  if (auto set = tun.make_quiet(); !set) return err(std::move(set.error()));
  if (auto set = tun.set_mtu(options.mtu); !set) return err(std::move(set.error()));
  if (auto set = tun.set_queue_length(); !set) return err(std::move(set.error()));
  if (auto set = keep_link_local_away(tun.name_, tun.index_); !set) return err(std::move(set.error()));
  if (auto up = change_flags(tun.name_, IFF_UP, 0); !up) return err(std::move(up.error()));
  return tun;
}

Result<TunOffload, IoError> Tun::probe() {
  auto fd = open_device();
  if (!fd) return err(std::move(fd.error()));
  ifreq request = request_for("cvprobe%d");
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
  if (::ioctl(fd->get(), TUNSETIFF, &request) < 0) return err(attach_error(request.ifr_name, errno));
  return negotiate_offload(fd->get(), TunOffload::tcp_and_udp);
}

// It is no link with neighbours. Where the host forwards IPv6 the kernel has joined the routers' group by now and would
// report that; below IPv6's smallest MTU it forgets all it had of IPv6 on the interface, and without IFF_MULTICAST it
// does not join again.
Result<void, IoError> Tun::make_quiet() {
  constexpr unsigned kTooSmallForIpv6 = 576;
  if (auto set = change_flags(name_, 0, IFF_MULTICAST); !set) return set;
  return set_mtu(kTooSmallForIpv6);
}

Result<void, IoError> Tun::set_mtu(unsigned mtu) {
  ifreq request = request_for(name_);
  request.ifr_mtu = static_cast<int>(mtu);
  return interface_request(name_, SIOCSIFMTU, request, "set the MTU");
}

Result<void, IoError> Tun::set_queue_length() {
  ifreq request = request_for(name_);
  request.ifr_qlen = kQueueLength;
  return interface_request(name_, SIOCSIFTXQLEN, request, "set the queue length");
}

bool Tun::forwards(net::Family family) const {
  const char* const which = family == net::Family::v4 ? "ipv4" : "ipv6";
  return kernel_number(fmt::format("net/{}/conf/{}/forwarding", which, name_)).value_or(1) != 0;
}

bool Tun::takes_big_tcp() const {
  constexpr int kGroIpv4MaxSize = 64;  // IFLA_GRO_IPV4_MAX_SIZE, came with it; not in the headers of older systems
  bool told = false;
  ask_link(name_, index_, [&](const rtattr& one) { told |= one.rta_type == kGroIpv4MaxSize; });
  return told;
}

std::uint64_t Tun::queue_drops() const {
  rtnl_link_stats64 counts{};
  ask_link(name_, index_, [&](const rtattr& one) {
    if (one.rta_type == IFLA_STATS64) {
      std::memcpy(&counts, RTA_DATA(&one), std::min<std::size_t>(RTA_PAYLOAD(&one), sizeof counts));
    }
  });
  return counts.tx_dropped;
}

}  // namespace culvert::io
