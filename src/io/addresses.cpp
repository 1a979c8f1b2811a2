#include "io/addresses.hpp"

#include <algorithm>

#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "io/file_descriptor.hpp"
#include "io/socket_address.hpp"

namespace culvert::io {

namespace {

std::optional<InterfaceAddress> parse_address(const nlmsghdr* message) {
  if (message->nlmsg_type != RTM_NEWADDR || !nlmsg_valid_hdr(message, sizeof(ifaddrmsg))) return {};
  auto* header = static_cast<const ifaddrmsg*>(nlmsg_data(message));
  auto attribute = [&](int type) { return find_attribute(message, sizeof(ifaddrmsg), type); };
  // IFA_LOCAL is ours on point-to-point links, where IFA_ADDRESS is the other end; IPv6 has IFA_ADDRESS only.
  const nlattr* value = attribute(IFA_LOCAL);
  if (value == nullptr) value = attribute(IFA_ADDRESS);
  if (value == nullptr) return {};
  const auto address = net::IpAddress::from_bytes(
      {static_cast<const std::uint8_t*>(nla_data(value)), static_cast<std::size_t>(nla_len(value))});
  if (!address) return {};
  std::uint32_t flags = header->ifa_flags;
  if (const nlattr* more = attribute(IFA_FLAGS)) flags = nla_get_u32(more);
  return InterfaceAddress{header->ifa_index, *address, header->ifa_prefixlen, header->ifa_scope <= RT_SCOPE_SITE,
                          (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0};
}

}  // namespace

Result<std::vector<InterfaceAddress>, IoError> local_addresses() {
  auto netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (!netlink) return err(std::move(netlink.error()));
  std::vector<InterfaceAddress> found;
  NetlinkRequest request(RTM_GETADDR, NLM_F_DUMP);
  request.body(ifaddrmsg{});
  auto listed = netlink->query(request, "cannot list the host's addresses", [&](const nlmsghdr* message) {
    if (const auto address = parse_address(message)) found.push_back(*address);
  });
  if (!listed) return err(std::move(listed.error()));
  return found;
}

std::set<unsigned> working_interfaces() {
  std::set<unsigned> working;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return working;
  // Each interface has an entry of its own, whatever addresses there are.
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    constexpr unsigned kWorking = IFF_UP | IFF_RUNNING;
    if ((one->ifa_flags & kWorking) == kWorking) working.insert(::if_nametoindex(one->ifa_name));
  }
  ::freeifaddrs(list);
  return working;
}

std::vector<net::IpAddress> addresses_for_peers(const std::vector<InterfaceAddress>& addresses,
                                                const std::set<unsigned>& working, unsigned except) {
  std::vector<net::IpAddress> found;
  for (const InterfaceAddress& one : addresses) {
    const bool usable = one.global && !one.tentative && !one.address.is_loopback() && one.interface_index != except &&
                        working.contains(one.interface_index);
    if (usable && std::ranges::find(found, one.address) == found.end()) found.push_back(one.address);
  }
  return found;
}

std::optional<net::IpAddress> local_address_within(const std::vector<InterfaceAddress>& addresses,
                                                   const std::vector<net::AddressRange>& ranges) {
  for (const net::AddressRange& range : ranges) {
    for (const InterfaceAddress& candidate : addresses) {
      if (candidate.global && !candidate.tentative && !candidate.address.is_loopback() &&
          range.contains(candidate.address)) {
        return candidate.address;
      }
    }
  }
  return {};
}

Result<net::IpAddress, IoError> local_address_towards(const net::IpAddress& remote, std::uint32_t mark,
                                                      const std::optional<net::IpAddress>& from) {
  const FileDescriptor fd(::socket(socket_family(remote.family()), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return err(system_error("cannot make a socket", errno));
  if (mark != 0 && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0) {
    return err(system_error(fmt::format("cannot set the firewall mark {:#x} on a socket", mark), errno));
  }
  sockaddr_storage address{};
  if (from) {
    const socklen_t length = to_sockaddr({*from, 0}, address);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) {
      return err(system_error(fmt::format("cannot send from {}", from->to_string()), errno));
    }
  }
  // Connecting a UDP socket sends nothing; the kernel only picks the route and the source address.
  socklen_t length = to_sockaddr({remote, 500}, address);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0) {
    const int number = errno;
    return err(IoError{IoErrorCode::unreachable, number,
                       fmt::format("no route to the peer {}: {}", remote.to_string(), errno_text(number))});
  }
  length = sizeof address;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0) {
    return err(system_error("cannot read a socket's address", errno));
  }
  return from_sockaddr(address).address;
}

Result<AddedAddresses, IoError> AddedAddresses::open(unsigned interface_index) {
  auto netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (!netlink) return err(std::move(netlink.error()));
  return AddedAddresses(std::move(*netlink), interface_index);
}

AddedAddresses::~AddedAddresses() {
  for (const InterfaceAddress& address : added_) (void)change(address, false);
}

Result<void, IoError> AddedAddresses::change(const InterfaceAddress& address, bool add) {
  NetlinkRequest request(add ? RTM_NEWADDR : RTM_DELADDR, NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0));
  ifaddrmsg header{};
  header.ifa_family = static_cast<__u8>(socket_family(address.address.family()));
  header.ifa_prefixlen = address.prefix_length;
  header.ifa_index = interface_index_;
  // TUN has no neighbours that could hold a duplicate, and a tentative address is no source for routes.
  if (!address.address.is_v4()) header.ifa_flags = IFA_F_NODAD;
  request.body(header).address(IFA_LOCAL, address.address).address(IFA_ADDRESS, address.address);
  return netlink_.request(request, fmt::format("cannot {} the address {}/{}", add ? "add" : "remove",
                                               address.address.to_string(), address.prefix_length));
}

Result<void, IoError> AddedAddresses::add(const net::IpAddress& address, unsigned prefix_length) {
  const InterfaceAddress entry{interface_index_, address, static_cast<std::uint8_t>(prefix_length), true, false};
  auto added = change(entry, true);
  if (!added && added.error().system_error == EEXIST) return {};
  if (added) added_.insert(entry);
  return added;
}

void AddedAddresses::remove(const net::IpAddress& address) {
  const auto found =
      std::ranges::find_if(added_, [&](const InterfaceAddress& entry) { return entry.address == address; });
  if (found == added_.end()) return;
  (void)change(*found, false);
  added_.erase(found);
}

}  // namespace culvert::io
