#include "io/link_resolver.hpp"

#include <algorithm>
#include <cstring>

#include <errno.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <fmt/format.h>
#include <netlink/attr.h>
#include <netlink/msg.h>

#include "io/socket_address.hpp"

namespace culvert::io {
namespace {

std::optional<EthernetAddress> ethernet_in(const nlattr* found) {
  EthernetAddress address{};
  if (found == nullptr || nla_len(found) != static_cast<int>(address.size())) return {};
  std::memcpy(address.data(), nla_data(found), address.size());
  return address;
}

std::uint16_t mtu_in(const nlattr* found) {
  return found == nullptr ? std::uint16_t{0} : static_cast<std::uint16_t>(std::min(nla_get_u32(found), 0xffffU));
}

}  // namespace

Result<LinkResolver, IoError> LinkResolver::open() {
  auto netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (!netlink) return err(std::move(netlink.error()));
  return LinkResolver(std::move(*netlink));
}

std::optional<LinkTarget> LinkResolver::resolve(const net::IpAddress& local, const net::IpAddress& remote,
                                                std::uint32_t mark) {
  const auto hop = next_hop(local, remote, mark);
  if (!hop) return {};
  LinkTarget target;
  target.interface_index = hop->interface_index;
  if (!read_link(target)) return {};
  const auto destination = neighbour(*hop);
  if (!destination) return {};
  target.destination = *destination;
  use(*hop);
  return target;
}

std::optional<LinkResolver::Hop> LinkResolver::next_hop(const net::IpAddress& local, const net::IpAddress& remote,
                                                        std::uint32_t mark) {
  NetlinkRequest request(RTM_GETROUTE, 0);
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(socket_family(remote.family()));
  header.rtm_dst_len = header.rtm_src_len = static_cast<unsigned char>(remote.size() * 8);
  request.body(header).address(RTA_DST, remote).address(RTA_SRC, local);
  if (mark != 0) request.u32(RTA_MARK, mark);
  std::optional<Hop> hop;
  (void)netlink_.query(request, "cannot ask for a route", [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWROUTE || !nlmsg_valid_hdr(message, sizeof(rtmsg))) return;
    const auto* const route = static_cast<const rtmsg*>(nlmsg_data(message));
    const nlattr* const out = find_attribute(message, sizeof(rtmsg), RTA_OIF);
    // What the kernel would wrap further, or hand to itself, is its business.
    const bool plain = route->rtm_type == RTN_UNICAST && find_attribute(message, sizeof(rtmsg), RTA_ENCAP) == nullptr &&
                       find_attribute(message, sizeof(rtmsg), RTA_VIA) == nullptr;
    if (!plain || out == nullptr) return;
    hop = Hop{nla_get_u32(out), remote};
    const nlattr* const gateway = find_attribute(message, sizeof(rtmsg), RTA_GATEWAY);
    if (gateway == nullptr) return;
    const ByteView octets(static_cast<const std::uint8_t*>(nla_data(gateway)),
                          static_cast<std::size_t>(nla_len(gateway)));
    if (const auto address = net::IpAddress::from_bytes(octets)) hop->neighbour = *address;
  });
  return hop;
}

std::optional<EthernetAddress> LinkResolver::neighbour(const Hop& hop) {
  NetlinkRequest request(RTM_GETNEIGH, 0);
  ndmsg header{};
  header.ndm_family = static_cast<unsigned char>(socket_family(hop.neighbour.family()));
  header.ndm_ifindex = static_cast<int>(hop.interface_index);
  request.body(header).address(NDA_DST, hop.neighbour);
  std::optional<EthernetAddress> found;
  (void)netlink_.query(request, "cannot ask for a neighbour", [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWNEIGH || !nlmsg_valid_hdr(message, sizeof(ndmsg))) return;
    const auto* const entry = static_cast<const ndmsg*>(nlmsg_data(message));
    constexpr unsigned kUsable = NUD_PERMANENT | NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE;
    if ((entry->ndm_state & kUsable) != 0) found = ethernet_in(find_attribute(message, sizeof(ndmsg), NDA_LLADDR));
  });
  return found;
}

// The kernel sees nothing of what goes around it: without this, the entry would grow old and not be asked about again.
void LinkResolver::use(const Hop& hop) {
  NetlinkRequest request(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_REPLACE);
  ndmsg header{};
  header.ndm_family = static_cast<unsigned char>(socket_family(hop.neighbour.family()));
  header.ndm_ifindex = static_cast<int>(hop.interface_index);
  header.ndm_flags = NTF_USE;
  request.body(header).address(NDA_DST, hop.neighbour);
  (void)netlink_.request(request, "cannot mark a neighbour as used");
}

bool LinkResolver::read_link(LinkTarget& target) {
  NetlinkRequest request(RTM_GETLINK, 0);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(target.interface_index);
  request.body(header);
  bool ethernet = false;
  (void)netlink_.query(request, "cannot ask for a link", [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(message, sizeof(ifinfomsg))) return;
    const auto* const link = static_cast<const ifinfomsg*>(nlmsg_data(message));
    const auto own = ethernet_in(find_attribute(message, sizeof(ifinfomsg), IFLA_ADDRESS));
    if (link->ifi_type != ARPHRD_ETHER || (link->ifi_flags & IFF_UP) == 0 || !own) return;
    ethernet = true;
    target.source = *own;
    target.mtu = mtu_in(find_attribute(message, sizeof(ifinfomsg), IFLA_MTU));
  });
  return ethernet;
}

Result<LinkFacts, IoError> link_facts(const std::string& name) {
  auto netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (!netlink) return err(std::move(netlink.error()));
  LinkFacts facts;
  facts.index = ::if_nametoindex(name.c_str());
  if (facts.index == 0) return err(system_error(fmt::format("there is no interface {}", name), errno));
  NetlinkRequest request(RTM_GETLINK, 0);
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(facts.index);
  request.body(header);
  auto asked =
      netlink->query(request, fmt::format("cannot ask for the interface {}", name), [&](const nlmsghdr* message) {
        if (message->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(message, sizeof(ifinfomsg))) return;
        facts.ethernet = static_cast<const ifinfomsg*>(nlmsg_data(message))->ifi_type == ARPHRD_ETHER;
        facts.mtu = mtu_in(find_attribute(message, sizeof(ifinfomsg), IFLA_MTU));
        const nlattr* const queues = find_attribute(message, sizeof(ifinfomsg), IFLA_NUM_RX_QUEUES);
        if (queues != nullptr) facts.receive_queues = nla_get_u32(queues);
      });
  if (!asked) return err(std::move(asked.error()));
  return facts;
}

}  // namespace culvert::io
