#include "io/reverse_path.hpp"

#include <algorithm>
#include <fstream>

#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "io/netlink_socket.hpp"

namespace culvert::io {
namespace {

int read_setting(const std::string& interface, const char* name) {
  std::ifstream in("/proc/sys/net/ipv4/conf/" + interface + "/" + name);
  int value = 0;
  return in >> value ? value : 0;
}

}  // namespace

std::vector<ReversePathFilter> reverse_path_filters() {
  std::vector<ReversePathFilter> found;
  // The kernel takes the greater of the two for rp_filter, either of them for src_valid_mark.
  const int filter_of_all = read_setting("all", "rp_filter");
  const bool mark_of_all = read_setting("all", "src_valid_mark") != 0;
  struct if_nameindex* const names = ::if_nameindex();
  if (names == nullptr) return found;
  for (const struct if_nameindex* one = names; one->if_index != 0; ++one) {
    const std::string name = one->if_name;
    if (name == "lo") continue;
    found.push_back({.interface = name,
                     .strict = std::max(filter_of_all, read_setting(name, "rp_filter")) == 1,
                     .mark_counts = mark_of_all || read_setting(name, "src_valid_mark") != 0});
  }
  ::if_freenameindex(names);
  return found;
}

Result<void, IoError> set_mark_counts(const std::string& interface, bool counts) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) return {};  // it is gone, and its setting with it
  auto netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (!netlink) return err(std::move(netlink.error()));
  NetlinkRequest request(RTM_NEWLINK, 0);
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = static_cast<int>(index);
  request.body(header);
  request.begin_nested(IFLA_AF_SPEC).begin_nested(AF_INET).begin_nested(IFLA_INET_CONF);
  request.u32(IPV4_DEVCONF_SRC_VMARK, counts ? 1 : 0);
  request.end_nested().end_nested().end_nested();
  return netlink->request(
      request, fmt::format("cannot set src_valid_mark of {}, whose strict rp_filter drops what peers within their own "
                           "tunnels send; set its rp_filter to 2",
                           interface));
}

}  // namespace culvert::io
