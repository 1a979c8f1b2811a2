#include "io/network_monitor.hpp"

#include <array>
#include <cstdint>

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <netlink/msg.h>

namespace culvert::io {

namespace {

void note(const nlmsghdr* message, unsigned own_routes, NetworkMonitor::Changes& changes) {
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: changes.links = true; break;
    case RTM_NEWADDR:
    case RTM_DELADDR: changes.addresses = true; break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      if (!nlmsg_valid_hdr(message, sizeof(rtmsg))) break;
      auto* route = static_cast<const rtmsg*>(nlmsg_data(message));
      if (own_routes == 0 || route->rtm_protocol != own_routes) changes.routes = true;
      break;
    }
    case RTM_NEWNETCONF: changes.forwarding = true; break;
    default: break;
  }
}

}  // namespace

Result<NetworkMonitor, IoError> NetworkMonitor::open() {
  FileDescriptor fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return err(system_error("cannot open netlink", errno));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  constexpr unsigned kForwarding = 1U << (RTNLGRP_IPV4_NETCONF - 1) | 1U << (RTNLGRP_IPV6_NETCONF - 1);
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | kForwarding;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    return err(system_error("cannot subscribe to the kernel's network changes", errno));
  }
  return NetworkMonitor(std::move(fd));
}

NetworkMonitor::Changes NetworkMonitor::take(unsigned own_routes) const {
  Changes changes;
  alignas(nlmsghdr) std::array<std::uint8_t, 32768> buffer;
  constexpr int kMostReads = 256;  // what is left keeps the descriptor readable
  for (int i = 0; i < kMostReads; ++i) {
    const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENOBUFS) {
      changes = {true, true, true, true};
      continue;
    }
    if (got <= 0) break;
    int rest = static_cast<int>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); nlmsg_ok(message, rest) != 0;
         message = nlmsg_next(message, &rest)) {
      note(message, own_routes, changes);
    }
  }
  return changes;
}

}  // namespace culvert::io
