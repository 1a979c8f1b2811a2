#include "io/kernel_ipsec.hpp"

#include <cstring>

#include <linux/netlink.h>
#include <linux/xfrm.h>

#include <netlink/attr.h>
#include <netlink/msg.h>

#include "io/netlink_socket.hpp"

namespace culvert::io {

KernelIpsec kernel_ipsec() {
  KernelIpsec answer;
  auto netlink = NetlinkSocket::open(NETLINK_XFRM);
  if (!netlink) return answer;
  constexpr std::uint32_t kAll = ~0U;
  NetlinkRequest sad(XFRM_MSG_GETSADINFO, 0);
  sad.body(kAll);
  auto counted = netlink->query(sad, "cannot count the kernel's SAs", [&](const nlmsghdr* message) {
    if (auto* at = find_attribute(message, sizeof(std::uint32_t), XFRMA_SAD_CNT)) {
      answer.sas = nla_get_u32(at);
    }
  });
  answer.available = counted.has_value();
  NetlinkRequest spd(XFRM_MSG_GETSPDINFO, 0);
  spd.body(kAll);
  (void)netlink->query(spd, "cannot count the kernel's policies", [&](const nlmsghdr* message) {
    auto* at = find_attribute(message, sizeof(std::uint32_t), XFRMA_SPD_INFO);
    if (at == nullptr || nla_len(at) < static_cast<int>(sizeof(xfrmu_spdinfo))) return;
    xfrmu_spdinfo info;
    std::memcpy(&info, nla_data(at), sizeof info);
    answer.policies = info.incnt + info.outcnt + info.fwdcnt;
  });
  return answer;
}

}  // namespace culvert::io
